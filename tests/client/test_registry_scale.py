"""Many names, many threads, many instances: the answers stay right, and cost what they should."""

import threading
from collections.abc import Callable, Iterator

import pytest

import gossipreg
from gossipreg.client.registry import Registry
from scripts.tools.wait import wait_for
from tests.client.talking_sidecar import TalkingSidecar, at

BOUND_S = 60.0


@pytest.fixture
def registry(talking: TalkingSidecar) -> Iterator[Registry]:
    with gossipreg.connect(str(talking.path), timeout=BOUND_S) as registry:
        yield registry


def run_in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run work(n) in so many threads that begin together; raise what the first of them raised."""
    faults: list[BaseException] = []
    together = threading.Barrier(count)

    def guarded(number: int) -> None:
        try:
            together.wait(BOUND_S)
            work(number)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND_S)
    assert not any(thread.is_alive() for thread in threads)
    if faults:
        raise faults[0]


def test_32_threads_share_one_registry(talking: TalkingSidecar, registry: Registry) -> None:
    for number in range(20):
        talking.services[f"s{number}"] = [at(number + 1, id=f"s{number}", service=f"s{number}")]

    def work(number: int) -> None:
        for turn in range(200):
            name = f"s{(number + turn) % 20}"
            assert [one.service for one in registry.service(name).instances] == [name]

    run_in_threads(32, work)
    assert sorted(method for method, _ in talking.seen) == ["state", *["watch"] * 20]


def test_threads_wait_together_for_one_instance(talking: TalkingSidecar, registry: Registry) -> None:
    def work(number: int) -> None:
        if number == 0:
            wait_for(lambda: len(registry.service("web").snapshot.all) == 0)
            talking.change("added", at(1))
        assert [one.port for one in registry.service("web").wait(timeout=BOUND_S)] == [1]

    run_in_threads(32, work)


def test_a_thousand_names_need_one_connection(talking: TalkingSidecar, registry: Registry) -> None:
    names = [f"service-{number}" for number in range(1000)]
    for number, name in enumerate(names):
        talking.services[name] = [at(number + 1, id=name, service=name)]
    for service in map(registry.service, names):
        service.use()
    for number, name in enumerate(names):
        assert [one.port for one in registry.service(name).instances] == [number + 1]
    assert (talking.accepted, registry.stats()["services"]) == (1, 1000)
    talking.restart()
    wait_for(lambda: registry.stats()["connects"] == 2 and registry.stats()["stale"] == 0)
    for number, name in enumerate(names):
        assert [one.port for one in registry.service(name).instances] == [number + 1]


def test_readers_never_see_a_mixed_snapshot(talking: TalkingSidecar, registry: Registry) -> None:
    """All instances have one weight in each list that the sidecar sends."""

    def of_weight(weight: int) -> None:
        talking.services["web"] = [at(port, weight=weight) for port in range(1, 51)]
        talking.tell("web", talking.current("web"))

    of_weight(1)
    web = registry.service("web")
    assert len(web.instances) == 50

    def work(number: int) -> None:
        if number == 0:
            for weight in range(2, 60):
                of_weight(weight)
        for _ in range(500):
            instances = web.instances
            assert (len(instances), len({one.weight for one in instances})) == (50, 1)

    run_in_threads(8, work)
    wait_for(lambda: {one.weight for one in web.instances} == {59})


def test_ten_thousand_instances_are_followed(talking: TalkingSidecar, registry: Registry) -> None:
    talking.services["web"] = [at(port) for port in range(1, 10_001)]
    web = registry.service("web")
    assert len(web.instances) == 10_000
    for port in (1, 5000, 10_000):
        talking.tell("web", {"kind": "removed", "instance": at(port)})
    wait_for(lambda: len(web.instances) == 9_997)
    assert [one.id for one in web.instances] == sorted(one.id for one in web.instances)


def test_an_idle_registry_wakes_nobody(registry: Registry) -> None:
    assert registry.service("web").instances == ()

    def nobody_woke() -> bool:
        turns = registry.stats()["turns"]
        for _ in range(1000):
            assert registry.service("web").instances == ()
        assert not threading.Event().wait(1.0)
        return bool(registry.stats()["turns"] == turns)

    wait_for(nobody_woke)
