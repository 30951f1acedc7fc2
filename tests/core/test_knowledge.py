"""What a member knows of the whole cluster, as every interface asks for it."""

import pytest

from gossipreg.core.knowledge import Knowledge
from gossipreg.model import Address
from tests.core.cluster import Cluster, Host


def _cut_off(cluster: Cluster, host: Host) -> None:
    cluster.cut = lambda sender, receiver: host in (sender, receiver)


def test_a_first_member_is_synced_from_the_start() -> None:
    cluster = Cluster()
    assert cluster.join().node.knowledge is Knowledge.SYNCED


def test_a_member_whose_seed_is_down_is_never_synced() -> None:
    cluster = Cluster()
    host = cluster.join(Address("10.9.9.9", 7940))
    assert host.node.knowledge is Knowledge.NOT_SYNCED
    cluster.run(3600)
    assert host.node.knowledge is Knowledge.NOT_SYNCED


def test_a_joiner_is_synced_once_it_holds_the_table_of_its_seed() -> None:
    cluster = Cluster()
    first = cluster.join()
    joiner = cluster.join(first)
    assert joiner.node.knowledge is Knowledge.NOT_SYNCED
    assert cluster.until(lambda: joiner.node.knowledge is Knowledge.SYNCED, 5)


def test_an_isolated_member_answers_stale_and_then_not_at_all() -> None:
    cluster = Cluster()
    hosts = cluster.grow(5)
    _cut_off(cluster, hosts[0])
    assert cluster.until(lambda: hosts[0].node.knowledge is Knowledge.ISOLATED, 10)
    cluster.run(cluster.config.alone_s - 20)
    assert hosts[0].node.knowledge is Knowledge.ISOLATED
    assert cluster.until(lambda: hosts[0].node.knowledge is Knowledge.NOT_SYNCED, 30)
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: hosts[0].node.knowledge is Knowledge.SYNCED, 30)


@pytest.mark.parametrize("members", [2, 3])
def test_in_a_small_cluster_silent_others_are_taken_for_gone(members: int) -> None:
    cluster = Cluster()
    hosts = cluster.grow(members)
    _cut_off(cluster, hosts[0])
    cluster.run(cluster.config.alone_small_s + 30)
    assert "alone_over" in cluster.events(hosts[0])
    assert hosts[0].node.knowledge is Knowledge.ISOLATED


@pytest.mark.parametrize(
    ("knowledge", "refuses", "partial", "current"),
    [
        (Knowledge.SYNCED, False, False, True),
        (Knowledge.ISOLATED, False, False, False),
        (Knowledge.LAST_KNOWN, False, True, False),
        (Knowledge.NOT_SYNCED, True, True, False),
    ],
)
def test_knowledge_says_what_an_answer_is_worth(
    knowledge: Knowledge, refuses: bool, partial: bool, current: bool
) -> None:
    assert (knowledge.refuses, knowledge.partial, knowledge.current) == (refuses, partial, current)
