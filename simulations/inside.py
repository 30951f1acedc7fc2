"""The few things that tests and the laboratory do to the private parts of a node.

What they only read is in `gossipreg/core/inspect.py`. Here stands what no input of a node does, or what would take many
inputs: an opinion that a member gets of itself, a comparison that begins now. When a part changes, this file changes,
and no test. `formed.py` is the other file that may write to private parts.
"""

from collections.abc import Iterable

from gossipreg.core.effects import Effect, Send
from gossipreg.core.failure.swim import GossipedSuspicions, IndirectOver
from gossipreg.core.node import Node
from gossipreg.model import Address, NodeId
from gossipreg.wire.messages import Claim, Message


def flush(node: Node) -> list[Effect]:
    """The effects of what was done to the node since its last input."""
    return node._end()


def claim(node: Node, what: Claim, now: float) -> list[Effect]:
    """The node has found this out itself."""
    node._intake.claim(what)
    return node.advance(now)


def send(node: Node, to: Address, messages: Iterable[Message], now: float) -> list[Send]:
    """The node says this, in as few datagrams as hold it."""
    outbox = node._outbox
    for message in messages:
        outbox.put(to, message)
    return outbox.flush(now)


def ping(node: Node, target: NodeId) -> list[Effect]:
    node._prober.probe(target)
    return flush(node)


def compare(node: Node, peer: NodeId, now: float) -> list[Effect]:
    """A comparison of the node's table with this peer's begins."""
    node._begin(now)
    node._anti_entropy._begin(peer, 0)
    return flush(node)


def end_session(node: Node, id: NodeId) -> None:
    """The member has to prove again who it is."""
    node._sessions.forget(id)


def stop_pulling(node: Node, id: NodeId) -> None:
    """The pull of this row is over, as when its owner left the ring."""
    node._pulls.done(id)


def forget(node: Node, id: NodeId) -> None:
    """The row goes, as after its time in the table."""
    node.table._remove(node.table.rows[id], node.inspect().now)
    node._membership.refresh()


def answered_in_time(node: Node, share: float) -> None:
    """This share of the node's pings was acked in time, as far as it says something about the node itself."""
    node._prober.own_fault._ours = share


def accused(node: Node) -> None:
    """Others take the node for dead, though it lives."""
    node._prober.own_fault.accused()


def pass_time(node: Node, seconds: float) -> None:
    """Time passes in which nothing happens at all."""
    node._context.now += seconds


def suspect(node: Node, id: NodeId, now: float) -> list[Effect]:
    """A ping of this member has just timed out."""
    sent_at = now - node._channel.bound_s(id)
    node._suspicions.missed(id, sent_at, refused=False)
    return node.advance(now)


def take_round_trip(node: Node, id: NodeId, seconds: float) -> None:
    """The node has measured this round trip."""
    node._round_trips.sample(id, node.table.zone(id), seconds)


def lower_local_health(node: Node, by: int) -> None:
    """Below 0 it is raised."""
    node._prober.unhealthier(by)


def note_pair(node: Node, id: NodeId, helper: NodeId) -> None:
    """The helper has reached this member, and the node has not."""
    node._prober.pairs.vouched(id, helper)


def late_ack(node: Node, id: NodeId, size_bytes: int) -> bool:
    """The ack of a size probe that was given up long ago."""
    node._paths._numbers[77] = id, size_bytes
    return node._paths.on_ack(id, 77)


def unsync(node: Node) -> None:
    """The node is no longer synced; no input leads back to that."""
    node._context.synced = False


def block_prober(node: Node, now: float, *, blocked: bool) -> None:
    """The Lifeguard paper's slow member: its sends block, and its prober waits. Only with gossiped suspicions."""
    if isinstance(node._suspicions, GossipedSuspicions):
        node._suspicions.blocked(now, blocked=blocked)


def fail_indirect_pings(node: Node, target: NodeId, now: float) -> list[Effect]:
    """Nobody that was asked for help has reached the target. Gossiped suspicions only."""
    _gossiped(node)._asks[target] = {}
    node._context.timers.set(IndirectOver(target), now)
    return node.advance(now)


def refute_s(node: Node, confirmations: int) -> float:
    """The time that a suspect has to refute a suspicion with so many confirmations. Gossiped suspicions only."""
    return _gossiped(node)._refute_s(confirmations)


def _gossiped(node: Node) -> GossipedSuspicions:
    assert isinstance(node._suspicions, GossipedSuspicions)
    return node._suspicions
