"""Events about members: what is news to this member, and what was over before it knew of the member."""

from collections.abc import Iterable

from gossipreg.core.effects import Effect, Event
from gossipreg.core.table.layout import KIND_MEMBER
from gossipreg.model import Member, Status
from gossipreg.wire.values import encode_member
from tests.core.cluster import START
from tests.core.speaker import Speaker, a_node


def leaves(speaker: Speaker) -> None:
    member = Member("gone", speaker.boot_id, (speaker.address,), status=Status.LEFT)
    speaker.content.put(KIND_MEMBER, 0, encode_member(member))


def kinds(effects: Iterable[Effect]) -> list[str]:
    return [effect.kind for effect in effects if isinstance(effect, Event)]


def test_leaving_is_an_event_only_of_a_member_that_was_known() -> None:
    node, peer, known, unknown = a_node(), Speaker(1), Speaker(2), Speaker(3)
    peer.handshake(node, START)
    assert kinds(peer.send_to(node, START, known.row)) == ["member_alive"]
    leaves(known)
    leaves(unknown)
    assert kinds(peer.send_to(node, START, known.row)) == ["member_left"]
    assert kinds(peer.send_to(node, START, unknown.row)) == []
    assert unknown.id in node.table.rows
