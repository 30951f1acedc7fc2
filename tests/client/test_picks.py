"""`Service.pick` and `Service.call` against a sidecar: threads, asyncio, trio, forks, signals, abandoned blocks."""

import gc
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields

import pytest

import gossipreg
from gossipreg.client.instance import Instance
from gossipreg.client.picked import PickedInstance
from gossipreg.client.registry import Registry
from gossipreg.client.service import Service
from gossipreg.errors import BadParams, BreakerOpen, NoInstance, NotSynced, Refused
from scripts.tools.wait import wait_for
from tests.client.talking_sidecar import TalkingSidecar, at

BOUND_S = 60.0


def test_a_pick_records_its_outcome_when_the_block_is_left(web: Service) -> None:
    with web.pick() as instance:
        assert instance.port in (1, 2, 3)
        assert instance.hostport == f"{instance.address}:{instance.port}"
        assert instance.timeout_s == 10.0
        assert web.stats()["in_flight"] == 1
    stats = web.stats()
    assert (stats["in_flight"], stats["successes"]) == (0, 1)


@pytest.mark.parametrize(
    ("error", "counter"),
    [
        (ConnectionResetError("x"), "failures"), (TimeoutError("x"), "failures"), (KeyError("x"), "neutral"),
        (KeyboardInterrupt(), "neutral"), (FileNotFoundError("x"), "neutral"),
    ],
)  # fmt: skip
def test_an_exception_in_the_block_is_classified_and_passes(web: Service, error: BaseException, counter: str) -> None:
    with pytest.raises(type(error)), web.pick():
        raise error
    assert (web.stats()[counter], web.stats()["in_flight"]) == (1, 0)


def test_a_report_of_a_wrong_type_is_refused_and_ends_the_request(web: Service) -> None:
    for load in ("12", -1, None, 1.5):
        with pytest.raises(BadParams, match=r"in_flight .* is no whole number"), web.pick() as instance:
            instance.server_load(load)  # type: ignore[arg-type]
    with pytest.raises(BadParams, match="status '503' is no whole number"), web.pick() as instance:
        instance.status("503")  # type: ignore[arg-type]
    assert (web.stats()["neutral"], web.stats()["in_flight"]) == (5, 0)


def test_a_caller_that_is_no_text_is_refused_and_changes_nothing(web: Service) -> None:
    with pytest.raises(BadParams, match="caller 5 is no text"):
        web.configure(caller=5)  # type: ignore[arg-type]
    with web.pick() as instance:
        assert instance.port in (1, 2, 3)


def test_what_the_program_says_of_a_request_counts(web: Service) -> None:
    with web.pick() as instance:
        instance.failed()
    with web.pick() as instance:
        instance.status(429)
    with web.pick() as instance:
        instance.status(503)
    stats = web.stats()
    assert (stats["failures"], stats["overloaded"], stats["successes"]) == (2, 1, 0)


def test_a_key_gets_the_same_instance(web: Service) -> None:
    found: dict[str, set[int]] = {}
    for _ in range(10):
        for key in ("a", "b", "c", "d"):
            with web.pick(key=key) as instance:
                found.setdefault(key, set()).add(instance.port)
    assert all(len(ports) == 1 for ports in found.values())


def test_changes_of_the_registry_reach_the_picks(web: Service, talking: TalkingSidecar) -> None:
    with web.pick():
        pass
    for port in (1, 2):
        talking.change("updated", at(port, health="critical", version=["5", 9]))
    wait_for(lambda: len(web.instances) == 1)
    assert {web.call(lambda instance: instance.port) for _ in range(30)} == {3}


def test_picks_without_a_passing_instance_say_why(registry: Registry, talking: TalkingSidecar) -> None:
    with pytest.raises(NoInstance, match="no instance of db is registered"), registry.service("db").pick():
        pass
    talking.change("added", at(9, service="db", health="critical"), "db")
    wait_for(lambda: len(registry.service("db").snapshot.all) == 1)
    with pytest.raises(NoInstance, match="no instance of db passes"):
        registry.service("db").call(lambda instance: instance.port)


def test_an_abandoned_block_ends_with_its_generator(web: Service) -> None:
    def lines() -> Iterator[int]:
        with web.pick() as instance:
            yield instance.port
            yield 0

    reader = lines()
    next(reader)
    assert web.stats()["in_flight"] == 1
    del reader
    gc.collect()
    pick = web.pick()
    pick.__enter__()
    assert web.stats()["in_flight"] == 1
    del pick  # never left, and in no generator: its finalizer ends it
    gc.collect()
    with web.pick():
        assert web.stats()["in_flight"] == 1
    assert web.stats()["abandoned"] == 1


def test_a_pick_is_for_one_request(web: Service) -> None:
    pick = web.pick()
    with pick:
        pass
    with pytest.raises(Refused, match="used already"), pick:
        pass


def test_a_pick_has_the_attributes_of_an_instance(web: Service) -> None:
    pick = web.pick()
    assert repr(pick) == "<SinglePick, not entered>"
    with pick as picked:
        for one in fields(Instance):
            assert getattr(picked, one.name) == getattr(picked.instance, one.name)
        assert "web at " in repr(picked)


def test_bad_settings_are_refused_with_the_choices(web: Service) -> None:
    with pytest.raises(BadParams, match="policy 'fastest' does not exist: use one of adaptive,"):
        web.configure(policy="fastest")
    with pytest.raises(BadParams, match="panic 'yes' does not exist"):
        web.configure(panic="yes")
    with pytest.raises(BadParams, match="deadline 0 is not more than 0"):
        web.pick(deadline=0)
    with pytest.raises(BadParams, match="deadline 0 s"):
        web.call(lambda instance: instance.port, deadline=0)
    with pytest.raises(BadParams, match=r"use gossipreg\.aio"):
        web.call(lambda instance: instance.port, hedge=True)


def test_configured_policies_pick(web: Service) -> None:
    web.configure(policy="round_robin")
    ports = [web.call(lambda instance: instance.port) for _ in range(6)]
    assert ports[:3] == ports[3:]
    assert {*ports} == {1, 2, 3}


@pytest.mark.parametrize(
    ("service", "caller", "most"),
    # 1 / 7 of 500, where half of the callers have 3 of 7 instances; 4 / 7 where zones are not looked at
    [(None, "api", 130), ("api", None, 130), ("nobody", "api", 130), (None, None, 500)],
)
def test_requests_stay_in_the_zone_of_the_caller(
    talking: TalkingSidecar, service: str | None, caller: str | None, most: int
) -> None:
    talking.services["web"] = [at(port, zone="eu" if port < 4 else "us") for port in range(1, 8)]
    talking.services["api"] = [at(20, service="api", zone="eu"), at(21, service="api", zone="us", node="0c" * 16)]
    with gossipreg.connect(str(talking.path), timeout=BOUND_S, service=service) as registry:
        assert len(registry.service("api").wait(2, timeout=BOUND_S)) == 2
        web = registry.service("web").configure(caller=caller, policy="random")
        counts = Counter(web.call(lambda instance: instance.zone) for _ in range(500))
    assert 0 < counts["us"] < most
    assert counts["us"] > 200 or most < 500


# -- calls -------------------------------------------------------------------------------------------------------------


def failing(ports: set[int], error: Exception) -> Callable[[PickedInstance], int]:
    def request(instance: PickedInstance) -> int:
        if instance.port in ports:
            raise error
        return instance.port

    return request


def test_a_call_moves_on_to_another_instance(web: Service) -> None:
    for _ in range(8):
        assert web.call(failing({1}, ConnectionRefusedError("x"))) in (2, 3)
    assert web.stats()["retries"] == web.stats()["failures"]


def test_a_call_raises_what_its_last_attempt_raised(web: Service) -> None:
    with pytest.raises(ConnectionResetError, match="gone"):
        web.call(failing({1, 2, 3}, ConnectionResetError("gone")))
    assert web.stats()["attempts"] == 1
    with pytest.raises(ConnectionResetError, match="gone"):
        web.call(failing({1, 2, 3}, ConnectionResetError("gone")), idempotent=True)
    assert web.stats()["attempts"] == 4


def test_an_error_of_the_program_ends_a_call_unchanged(web: Service) -> None:
    with pytest.raises(KeyError):
        web.call(failing({1, 2, 3}, KeyError("x")), idempotent=True, fallback=lambda: 7)
    assert web.stats()["attempts"] == 1


def test_a_result_that_the_program_calls_failed_is_retried_then_returned(web: Service) -> None:
    def request(instance: PickedInstance) -> int:
        instance.status(503)
        return 503

    assert web.call(request, idempotent=True) == 503
    assert web.stats()["attempts"] == 3


def test_a_fallback_function_or_service_takes_over(web: Service, registry: Registry, talking: TalkingSidecar) -> None:
    gone = failing({1, 2, 3}, ConnectionResetError("gone"))
    assert web.call(gone, idempotent=True, fallback=lambda: 7) == 7
    talking.services["backup"] = [at(9, service="backup")]
    backup = Registry(str(talking.path))
    assert web.call(gone, idempotent=True, fallback=backup.service("backup")) == 9
    backup.close()
    assert registry.service("none").call(gone, fallback=lambda: 8) == 8
    with pytest.raises(ConnectionResetError):
        web.call(gone, fallback=lambda: 7)


def test_a_failing_fallback_raises_the_first_error(web: Service) -> None:
    def fallback() -> int:
        raise ValueError("second")

    with pytest.raises(ConnectionResetError, match="gone") as caught:
        web.call(failing({1, 2, 3}, ConnectionResetError("gone")), idempotent=True, fallback=fallback)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_call_waits_for_the_first_snapshot_within_its_deadline(web: Service, talking: TalkingSidecar) -> None:
    talking.silent = True
    with pytest.raises(NotSynced, match=r"within 0\.05 s"):
        web.call(lambda instance: instance.port, deadline=0.05)
    with pytest.raises(NotSynced, match=r"within 0\.04 s"), web.pick(deadline=0.04):
        pass
    assert web.call(lambda instance: instance.port, deadline=0.05, fallback=lambda: 7) == 7


def test_a_fallback_service_gets_what_is_left_of_the_deadline(web: Service, registry: Registry) -> None:
    left: list[float] = []

    def fn(instance: PickedInstance) -> int:
        left.append(instance.attempt.left_s if instance.attempt else 0.0)
        raise ConnectionResetError("gone")

    other = registry.service("web", tags=[])
    other.wait()
    with pytest.raises(ConnectionResetError):
        web.call(fn, idempotent=True, deadline=2.0, fallback=other, attempts=2)
    assert len(left) == 4
    assert left == sorted(left, reverse=True)
    assert left[2] < left[1]


def test_an_error_of_another_service_in_fn_uses_no_fallback(web: Service) -> None:
    def fn(_instance: PickedInstance) -> int:
        raise BreakerOpen("of another service, after this one has done its work")

    with pytest.raises(BreakerOpen, match="of another service"):
        web.call(fn, fallback=lambda: 7)
    assert (web.stats()["fallbacks"], web.stats()["neutral"]) == (0, 1)


def test_an_open_breaker_refuses_calls_or_uses_the_fallback(web: Service) -> None:
    gone = failing({1, 2, 3}, ConnectionResetError("gone"))
    for _ in range(20):
        with pytest.raises(ConnectionResetError):
            web.call(gone)
    with pytest.raises(BreakerOpen):
        web.call(gone)
    assert web.call(gone, fallback=lambda: 7) == 7
    assert web.stats()["attempts"] == 20


# -- threads, forks, signals -------------------------------------------------------------------------------------------


def test_32_threads_leave_nothing_in_flight(web: Service) -> None:
    def work() -> None:
        for number in range(200):
            with web.pick(key="x" if number % 5 == 0 else None) as instance:
                if number % 7 == 0:
                    instance.failed()

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stats = web.stats()
    assert (stats["in_flight"], stats["picks"]) == (0, 6400)


def test_a_child_starts_without_the_parents_requests(web: Service) -> None:
    with web.pick() as instance:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                if web.stats()["in_flight"] == 0:
                    with web.pick() as other:
                        code = 0 if other.port in (1, 2, 3) and web.stats()["in_flight"] == 1 else 2
            finally:
                os._exit(code)
        assert instance.port in (1, 2, 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert web.stats()["in_flight"] == 0


def test_a_fork_in_the_middle_of_a_change_sets_the_core_aside(web: Service) -> None:
    web.configure(policy="round_robin")
    with web.pick() as instance:
        pass
    picker, changing, forked = web.picker, threading.Event(), threading.Event()

    def change() -> None:
        with picker._lock:
            states, picker._core.balancer._candidates.states = picker._core.balancer._candidates.states, []
            changing.set()
            forked.wait(BOUND_S)
            picker._core.balancer._candidates.states = states

    thread = threading.Thread(target=change)
    thread.start()
    changing.wait(BOUND_S)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            found = set()
            for _ in range(30):
                with web.pick() as instance:
                    found.add(instance.port)
            code = 0 if found == {1, 2, 3} and web.stats()["picks"] == 30 else 2
        finally:
            os._exit(code)
    forked.set()
    thread.join(BOUND_S)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert web.stats()["picks"] == 1


def test_children_pick_in_different_orders(web: Service) -> None:
    web.configure(policy="random")
    web.call(lambda instance: instance.port)
    orders = set()
    for _ in range(4):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(write, bytes(web.call(lambda instance: instance.port) for _ in range(40)))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        orders.add(os.read(read, 100))
        os.close(read)
        os.close(write)
    assert len(orders) == 4


def test_a_signal_handler_may_pick_in_the_middle_of_a_pick(web: Service) -> None:
    seen: list[int] = []
    web.call(lambda instance: instance.port)  # a handler in the middle of the very first lookup gets NotSynced
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(web.call(lambda instance: instance.port)))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        while len(seen) < 200:
            with web.pick():
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert {*seen} <= {1, 2, 3}
