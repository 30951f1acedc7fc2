"""Operations on the private parts of a node, for tests and the laboratory.

Reading them is in `gossipreg/core/inspect.py`. This file has what no input of a node does, or what would need many
inputs: to put a claim into a node, to begin a comparison now. When a part changes, this file changes and no test does.
`formed.py` is the only other file that writes to private parts.
"""

from collections.abc import Iterable

from gossipreg.core.effects import Effect, Send
from gossipreg.core.failure.detector import FailureDetector
from gossipreg.core.failure.facts import ProbeFailed
from gossipreg.core.node import Node
from gossipreg.model import Address, NodeId
from gossipreg.wire.messages import Claim, Message
from simulations.baselines.detector import BaselineDetector
from simulations.baselines.suspicion import GossipedSuspicions, IndirectOver


def flush(node: Node) -> list[Effect]:
    """Return the effects of the operations since the last input of the node."""
    return node._end()


def claim(node: Node, what: Claim, now: float) -> list[Effect]:
    """Have the node make this claim, as if it had found it out itself."""
    node._claim(what)
    return node.advance(now)


def send(node: Node, to: Address, messages: Iterable[Message], now: float) -> list[Send]:
    """Have the node send these messages, in as few datagrams as hold them."""
    outbox = node._outbox
    for message in messages:
        outbox.put(to, message)
    return outbox.flush(now)


def ping(node: Node, target: NodeId) -> list[Effect]:
    node._detector.probe(target)
    return flush(node)


def compare(node: Node, peer: NodeId, now: float) -> list[Effect]:
    """Begin a comparison of the node's table with this peer's."""
    node._begin(now)
    node._anti_entropy._begin(peer, 0)
    return flush(node)


def end_session(node: Node, id: NodeId) -> None:
    """End the session with this member: it has to prove its identity again."""
    node._sessions.forget(id)


def stop_pulling(node: Node, id: NodeId) -> None:
    """End the pull of this row, as if its owner had left the ring."""
    node._pulls.done(id)


def forget(node: Node, id: NodeId) -> None:
    """Remove the row, as if its time in the table were over."""
    node.table._remove(node.table.rows[id], node.inspect().now)
    node._follow_table()


def answered_in_time(node: Node, share: float) -> None:
    """Set the share of the node's own pings that were acked in time, as the node measures it for its own fault."""
    _ours(node)._health._acked_share = share


def accused(node: Node) -> None:
    """Have the node learn that others hold it dead."""
    _ours(node)._health.accused()


def pass_time(node: Node, seconds: float) -> None:
    """Let time pass without any input."""
    node._context.now += seconds


def suspect(node: Node, id: NodeId, now: float) -> list[Effect]:
    """Let a ping of this member time out now."""
    sent_at = now - node._channel.bound_s(id)
    detector = _ours(node)
    detector._suspicions.on_failed(ProbeFailed(id, sent_at, refused=False))
    node._follow_detector(detector._suspicions.take_found())
    return node.advance(now)


def take_round_trip(node: Node, id: NodeId, seconds: float) -> None:
    """Have the node measure this round trip."""
    node._round_trips.sample(id, node.table.zone(id), seconds)


def lower_local_health(node: Node, by: int) -> None:
    """Worsen the local health score of the node by so many points; a negative number improves it."""
    _ours(node)._health.worse(by)


def note_pair(node: Node, id: NodeId, helper: NodeId) -> None:
    """Note that the helper has reached this member, and the node has not."""
    _ours(node)._pairs.helper_reached(id, helper)


def late_ack(node: Node, id: NodeId, size_bytes: int) -> bool:
    """Give the node an ack of a size probe that it gave up long ago."""
    node._paths._numbers[77] = id, size_bytes
    return node._paths.on_ack(id, 77)


def unsync(node: Node) -> None:
    """Make the node not synced; no input does that."""
    node._context.synced = False
    node.table.changes.note_other()


def block_prober(node: Node, now: float, *, blocked: bool) -> None:
    """Block the prober, as in the Lifeguard paper's slow member, whose sends block. Only with gossiped suspicions."""
    if isinstance(node._detector, BaselineDetector):
        node._detector.blocked(now, blocked=blocked)


def fail_indirect_pings(node: Node, target: NodeId, now: float) -> list[Effect]:
    """End the indirect pings of the target without an ack. Gossiped suspicions only."""
    _gossiped(node)._ping_reqs[target] = {}
    node._context.timers.set(IndirectOver(target), now)
    return node.advance(now)


def refute_s(node: Node, confirmations: int) -> float:
    """Return the time that a suspect has to refute a suspicion with this many confirmations. Gossiped suspicions
    only."""
    return _gossiped(node)._refute_s(confirmations)


def _ours(node: Node) -> FailureDetector:
    assert isinstance(node._detector, FailureDetector)
    return node._detector


def _gossiped(node: Node) -> GossipedSuspicions:
    assert isinstance(node._detector, BaselineDetector)
    return node._detector._suspicions
