"""The services of a dead member: in no answer, and listed separately as long as its row is kept."""

from dataclasses import replace

import pytest

from gossipreg.config import lan
from tests.core.cluster import Cluster, Host
from tests.core.speaker import parts_that_hold

BRIEF = replace(lan, dead_row_s=60, dead_row_brief_s=30)


def gone_at(host: Host, name: str) -> list[str]:
    return [one.service.id for one in host.node.catalog.gone.of_name(name)]


@pytest.fixture
def world() -> tuple[Cluster, list[Host]]:
    cluster = Cluster(seed=5, config=BRIEF)
    hosts = cluster.grow(4)
    for port in (81, 80):
        cluster.register(hosts[2], "web", port=port)
    cluster.register(hosts[2], "db", port=5432)
    cluster.run(1)
    cluster.crash(hosts[2])
    assert cluster.until(lambda: cluster.all_say([hosts[0], hosts[1]], hosts[2], "dead"), 5)
    return cluster, hosts


def test_a_dead_members_services_are_kept_apart_from_the_answers(world: tuple[Cluster, list[Host]]) -> None:
    _, (first, second, *_) = world
    for host in (first, second):
        assert host.node.catalog.lookup("web", all=True) == ()
        assert gone_at(host, "web") == gone_at(host, "WEB") == ["web-80", "web-81"]
        assert gone_at(host, "db") == ["db-5432"]
        assert gone_at(host, "nothing") == []
        assert [one.name for one in host.node.catalog.services()] == []


def test_gone_services_are_forgotten_with_the_row(world: tuple[Cluster, list[Host]]) -> None:
    cluster, (first, *_, dead, _) = world
    cluster.run(BRIEF.dead_row_s - 5)
    assert gone_at(first, "web") == ["web-80", "web-81"]
    assert cluster.until(lambda: dead.id not in first.node.table.rows, 10)
    assert gone_at(first, "web") == []
    assert parts_that_hold(first.node)["GoneServices._nodes"] == {}


def test_gone_services_are_answered_again_with_their_member(world: tuple[Cluster, list[Host]]) -> None:
    cluster, (first, *_, dead, _) = world
    cluster.start(dead, [first])
    assert cluster.until(lambda: len(first.node.catalog.lookup("web")) == 2, 10)
    assert gone_at(first, "web") == []


def test_gone_services_are_forgotten_with_a_declared_leave(world: tuple[Cluster, list[Host]]) -> None:
    cluster, (first, second, dead, _) = world
    cluster.act(first, first.node.force_leave(dead.id, cluster.now))
    assert cluster.until(lambda: gone_at(first, "web") == gone_at(second, "web") == [], 2)


def test_a_member_that_left_has_none() -> None:
    cluster = Cluster(seed=5)
    hosts = cluster.grow(3)
    cluster.register(hosts[2], "web")
    cluster.run(1)
    cluster.leave(hosts[2])
    assert cluster.until(lambda: cluster.state_at(hosts[0], hosts[2]) == "left", 5)
    assert gone_at(hosts[0], "web") == []
