"""A program's registry beside real sidecars: what it knows while they restart, die, stand still or are alone."""

from collections.abc import Iterator

import pytest

import gossipreg
from gossipreg.client.registry import Registry
from gossipreg.client.service import Service
from gossipreg.errors import NotSynced
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.client.programs import run_program


@pytest.fixture
def pair(cluster: Sidecars) -> list[Sidecar]:
    """Two sidecars that keep their identity, each with an instance of `web`."""
    here = cluster.start("here", "--data-dir", str(cluster.folder / "here"), "--zone", "eu").wait_ready()
    there = cluster.start("there", "--data-dir", str(cluster.folder / "there")).wait_ready()
    here.call("register", name="web", port=1)
    there.call("register", name="web", port=2)
    return [here, there]


@pytest.fixture
def registry(pair: list[Sidecar]) -> Iterator[Registry]:
    with gossipreg.connect(str(pair[0].socket), timeout=BOUND_S) as registry:
        wait_for(lambda: ports(registry) == [1, 2])
        yield registry


def web(registry: Registry) -> Service:
    return registry.service("web")


def ports(registry: Registry) -> list[int]:
    return sorted(one.port for one in web(registry).instances)


def stale(registry: Registry) -> list[int]:
    return sorted(one.port for one in web(registry).instances if one.stale)


def is_fresh(registry: Registry) -> bool:
    return web(registry).snapshot.stale_since is None


def restart(cluster: Sidecars, name: str, *more: str, seed: bool = True) -> Sidecar:
    return cluster.start(name, "--data-dir", str(cluster.folder / name), *more, seed=seed)


def test_changes_of_all_members_reach_the_snapshot(pair: list[Sidecar], registry: Registry) -> None:
    here, there = pair
    there.call("register", name="web", port=3, tags=["v2"], meta={"a": "b"})
    wait_for(lambda: ports(registry) == [1, 2, 3])
    newest = registry.service("web", tags=["v2"]).instances
    assert [(one.node_name, dict(one.meta), one.hostport) for one in newest] == [
        ("there", {"a": "b"}, f"{newest[0].address}:3")
    ]
    there.call("deregister", id="web-3")
    here.call("maint", service="web-1", reason="disk")
    wait_for(lambda: ports(registry) == [2])
    assert [(one.health, one.reason) for one in web(registry).snapshot.all] == [
        ("maintenance", "disk") if one.port == 1 else ("passing", "") for one in web(registry).snapshot.all
    ]
    assert (registry.zone, registry.stats()["synced"], registry.stats()["node"]) == ("eu", True, here.id)


def test_a_killed_sidecar_that_returns_removes_nothing(
    cluster: Sidecars, pair: list[Sidecar], registry: Registry
) -> None:
    here, _ = pair
    for _ in range(3):
        here.kill()
        wait_for(lambda: not is_fresh(registry))
        assert ports(registry) == [1, 2]
        here = restart(cluster, "here")
        here.wait_ready()
        while not is_fresh(registry):
            assert ports(registry) == [1, 2], "at no moment anything else"
            assert web(registry).snapshot.stale_s < BOUND_S


def test_a_sidecar_that_returns_without_its_cluster_removes_nothing(
    cluster: Sidecars, pair: list[Sidecar], registry: Registry
) -> None:
    """Its data are lost, and it has no seed: it is another member, and the first of a cluster of its own."""
    here, _ = pair
    here.kill()
    other = cluster.start("here", seed=False).wait_ready()
    other.call("register", name="web", port=9)
    wait_for(lambda: registry.stats()["connects"] >= 2 and "another member" in registry.stats()["why_not"])
    assert (ports(registry), is_fresh(registry)) == ([1, 2], False)


def test_a_sidecar_without_data_returns_as_another_member(cluster: Sidecars) -> None:
    here = cluster.start("here").wait_ready()
    there = cluster.start("there").wait_ready()
    there.call("register", name="web", port=2)
    wait_for(lambda: here.lookup("web") != [])
    with gossipreg.connect(str(here.socket), timeout=BOUND_S) as registry:
        assert ports(registry) == [2]
        here.kill()
        cluster.start("here", "--seed", there.gossip).wait_ready().call("register", name="web", port=3)
        wait_for(lambda: is_fresh(registry) and ports(registry) == [2, 3])
        there.call("register", name="web", port=4)
        wait_for(lambda: ports(registry) == [2, 3, 4])


def test_instances_of_a_dead_member_leave(cluster: Sidecars, registry: Registry) -> None:
    third = cluster.start("third").wait_ready()
    third.call("register", name="web", port=3)
    wait_for(lambda: ports(registry) == [1, 2, 3])
    third.kill()
    wait_for(lambda: ports(registry) == [1, 2])


def test_a_sidecar_alone_keeps_the_others_as_stale(pair: list[Sidecar], registry: Registry) -> None:
    """The other one stands still: nothing arrives from anybody."""
    _, there = pair
    there.stop()
    wait_for(lambda: stale(registry) == [2])
    assert (ports(registry), is_fresh(registry)) == ([1, 2], False)
    assert sorted(one.port for one in web(registry).wait(1)) == [1, 2]
    there.resume()
    wait_for(lambda: is_fresh(registry) and stale(registry) == [])


def test_a_sidecar_that_stands_still_does_not_stop_lookups(pair: list[Sidecar], registry: Registry) -> None:
    here, there = pair
    here.stop()
    assert ports(registry) == [1, 2]
    web(registry).check()
    wait_for(lambda: not is_fresh(registry))
    with (
        gossipreg.connect(str(here.socket), timeout=0.2) as other,
        pytest.raises(NotSynced, match="it has not answered yet"),
    ):
        _ = web(other).instances
    here.resume()
    there.call("register", name="web", port=3)
    wait_for(lambda: ports(registry) == [1, 2, 3] and is_fresh(registry))


def test_a_sidecar_that_is_not_synced_says_why(cluster: Sidecars) -> None:
    alone = cluster.start("alone", "--seed", "127.0.0.1:9").wait_ready()
    with gossipreg.connect(str(alone.socket), timeout=2.0) as registry:
        with pytest.raises(NotSynced, match=r"no list of web came .* within 2 s: no other member has answered"):
            _ = web(registry).instances
        alone.call("register", name="web", port=1)
        wait_for(lambda: ports(registry) == [1])
        assert not web(registry).snapshot.complete


def test_forked_workers_of_a_program_follow_a_real_sidecar(pair: list[Sidecar]) -> None:
    """As gunicorn does it with --preload: the registry is made, and used, in the parent."""
    here, there = pair
    wait_for(lambda: len(here.lookup("web")) == 2)
    there.call("register", name="web", port=3)
    out = run_program(
        "eventually(lambda: ports() == [1, 2, 3])\n"
        "def work():\n"
        "    eventually(lambda: web.snapshot.stale_since is None)\n"
        "    assert ports() == [1, 2, 3]\n"
        "assert all([ended_well(child(work)) for _ in range(8)])\n"
        "eventually(lambda: web.snapshot.stale_since is None)\n"
        "print(registry.stats()['connects'])\n",
        here.socket,
    )
    assert out == "1\n"


def test_a_thousand_names_are_watched_on_one_connection(pair: list[Sidecar], registry: Registry) -> None:
    _, there = pair
    services = [registry.service(f"name-{number}") for number in range(1000)]
    for service in services:
        service.use()
    assert {len(service.instances) for service in services} == {0}
    there.call("register", name="name-999", port=7)
    assert [one.port for one in services[999].wait(timeout=BOUND_S)] == [7]
    assert registry.stats()["connects"] == 1
