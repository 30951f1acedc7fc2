"""MembersChanged: which members are reported as shown otherwise, and when nothing is reported."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from gossipreg.config import lan
from gossipreg.core.effects import Changed, Effect, MembersChanged
from gossipreg.core.node import Node
from gossipreg.core.table.layout import KIND_HEALTH, KIND_MEMBER, KIND_SERVICE
from gossipreg.model import Address, Health, Member, NodeId, Rank, RegisteredService, Status
from gossipreg.wire.messages import Claim
from gossipreg.wire.values import encode_health, encode_member, encode_service
from simulations.checkers import Checkers
from tests.core.cluster import START, Cluster
from tests.core.speaker import GENERATION, Speaker, a_node

FUTURE = GENERATION + (3_600_000 << 16)


def reported(effects: Iterable[Effect]) -> tuple[NodeId, ...]:
    """The members that these effects report; at most one effect does."""
    found = [effect.ids for effect in effects if isinstance(effect, MembersChanged)]
    assert len(found) <= 1
    return found[0] if found else ()


def announces(speaker: Speaker, node: Node, **changed: object) -> list[Effect]:
    member = Member("speaker", speaker.boot_id, (speaker.address,), zone="z", durable=True)
    speaker.content.put(KIND_MEMBER, 0, encode_member(replace(member, **changed)))  # type: ignore[arg-type]
    return speaker.send_to(node, START, speaker.row)


@pytest.fixture
def node() -> Node:
    return a_node()


@pytest.fixture
def peer(node: Node) -> Speaker:
    """One that is known already."""
    speaker = Speaker(1)
    assert reported(speaker.handshake(node, START)) == (speaker.id,)
    assert announces(speaker, node)
    return speaker


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"zone": "y"},
        {"labels": (("rack", "7"),)},
        {"addresses": (Address("10.9.9.9", 1),)},
        {"status": Status.DRAINING},
        {"status": Status.LEFT},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_change_of_the_own_entry_reports_the_member(node: Node, peer: Speaker, changed: dict[str, object]) -> None:
    assert reported(announces(peer, node, **changed)) == (peer.id,)
    assert reported(announces(peer, node, **changed)) == (), "the same again"


def test_death_and_refutation_report_the_member(node: Node, peer: Speaker) -> None:
    other = Speaker(2)
    other.handshake(node, START)
    died = other.send_to(node, START, Claim(peer.id, GENERATION, 0, Rank.DEAD, other.id))
    assert reported(died) == (peer.id,)
    assert reported(other.send_to(node, START, Claim(peer.id, GENERATION, 0, Rank.DEAD, other.id))) == ()
    assert reported(peer.send_to(node, START, Claim(peer.id, GENERATION, 1, Rank.ALIVE, peer.id))) == (peer.id,)


def test_changes_of_services_alone_report_no_member(node: Node, peer: Speaker) -> None:
    peer.content.put(KIND_SERVICE, 0, encode_service(RegisteredService("web", "web", "10.0.0.1", 80)))
    peer.content.put(KIND_HEALTH, 0, encode_health(Health.PASSING))
    effects = peer.send_to(node, START, peer.row)
    assert any(isinstance(effect, Changed) for effect in effects)
    assert reported(effects) == ()


def test_the_report_comes_after_the_changes_of_its_input(node: Node, peer: Speaker) -> None:
    peer.content.put(KIND_SERVICE, 0, encode_service(RegisteredService("web", "web", "10.0.0.1", 80)))
    effects = announces(peer, node, name="other")
    kinds = [type(effect) for effect in effects if isinstance(effect, Changed | MembersChanged)]
    assert kinds == [Changed, MembersChanged]


def test_our_own_entry_is_reported_too(node: Node) -> None:
    assert reported(node.drain(True, START, "oil")) == (node.id,)


def test_a_quarantined_member_is_reported_once_admitted(node: Node, peer: Speaker) -> None:
    unproven = Speaker(3, generation=FUTURE)
    assert reported(peer.send_to(node, START, unproven.row)) == ()
    assert node.standing(unproven.id) is None
    assert reported(unproven.handshake(node, START)) == (unproven.id,)
    assert node.standing(unproven.id) is not None


def test_a_death_reports_the_others_of_that_name(node: Node, peer: Speaker) -> None:
    namesake = Speaker(4)
    namesake.handshake(node, START)
    assert set(reported(announces(namesake, node, addresses=(namesake.address,)))) == {peer.id, namesake.id}
    died = peer.send_to(node, START, Claim(namesake.id, GENERATION, 0, Rank.DEAD, peer.id))
    assert set(reported(died)) == {peer.id, namesake.id}


def test_hidden_forgotten_and_recalled_members_are_reported() -> None:
    """`ShownMembers` compares what was reported with what is shown, four times a period."""
    brief = replace(lan, alone_small_s=5.0, dead_row_s=10.0, dead_row_brief_s=10.0)
    cluster = Cluster(seed=3, config=brief)
    checkers = Checkers(cluster)
    watcher, crashed, silent = cluster.grow(3)
    cluster.run(1)
    cluster.crash(crashed)
    cluster.cut = lambda sender, to: silent in (sender, to)
    assert cluster.until(lambda: "member_hidden" in cluster.events(watcher), 5)
    assert cluster.until(lambda: "alone_over" in cluster.events(watcher), 20)
    cluster.cut = lambda _from, _to: False
    assert cluster.until(lambda: crashed.id not in watcher.node.table.rows, 30)
    kept = [row.content.cut(silent.id, 0, 1300) for row in [watcher.node.table.rows[silent.id]] if row.content]
    cluster.crash(watcher)
    cluster.run(1)
    cluster.start(watcher, (silent,))
    cluster.act(watcher, watcher.node.recall(kept, 60.0, cluster.now))
    assert watcher.node.catalog.recalled
    cluster.run(5)
    assert not watcher.node.catalog.recalled
    checkers.at_rest()
