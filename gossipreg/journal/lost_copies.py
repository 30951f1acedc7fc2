"""What other members are told of copies that are not here any more: with a database that was lost, or given up.

Owns: the notices that may not have arrived yet. Never knows: how a copy is lost. A member that asks such a copy is
answered as long as it asks. One that asked before it was lost, and has no answer, waits over a stream that did not
break; the leader of an idle journal asks nothing, and takes the copy for there. So they are told at once, and once more
where the stream to them closes before the notice must have arrived.
"""

from dataclasses import dataclass, field

from gossipreg.journal.context import JournalContext
from gossipreg.journal.effects import SendMessage
from gossipreg.journal.messages import (
    Append,
    AskLeader,
    ConfirmLeader,
    HandOver,
    InstallState,
    PreVote,
    ReplicaLost,
    ReplicaMessage,
    RequestVote,
)
from gossipreg.journal.model import JournalId, ReplicaId
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.model import NodeId

ASKS = (Append, InstallState, PreVote, RequestVote, ConfirmLeader, HandOver, AskLeader)
"""What is answered for a copy that is lost."""
ARRIVED_S = 20.0
"""A notice whose stream did not close for so long has arrived: a stream ends when its bytes are unacked for 10 s."""


def lost_answer(message: ReplicaMessage) -> ReplicaLost:
    """The answer to a message for a copy that is not here."""
    return ReplicaLost(journal=message.journal, sender=message.receiver, receiver=message.sender)


@dataclass(frozen=True, slots=True)
class NoticeTimer:
    """The notices to this member have arrived, or are to be sent once more."""

    node: NodeId


@dataclass(slots=True)
class _Told:
    notices: dict[tuple[JournalId, ReplicaId, ReplicaId], ReplicaLost] = field(default_factory=dict)
    closed: bool = False
    """The stream closed after they were sent."""
    wait_s: float = 0.0


class LostNotices:
    def __init__(self, context: JournalContext) -> None:
        self._context = context
        self._told: dict[NodeId, _Told] = {}

    def tell(self, data: ReplicaData) -> None:
        """Tell all members that may wait for an answer of this lost copy: the members with other copies of the journal,
        and its last leader. Our own member may be one of them, by a copy that it lost before: it is not told."""
        others = {place.replica: place.node for place in data.configuration.places}
        if data.heard is not None:
            others[data.heard.claim.ballot.replica] = data.heard.claim.node
        for replica, node in others.items():
            if node == self._context.node:
                continue
            notice = ReplicaLost(journal=data.journal, sender=data.replica, receiver=replica)
            told = self._told.setdefault(node, _Told())
            told.notices[data.journal, data.replica, replica] = notice
            self._send(node, [notice])

    def _send(self, node: NodeId, notices: list[ReplicaLost]) -> None:
        context = self._context
        context.effects += (SendMessage(node, notice) for notice in notices)
        context.timers.set(NoticeTimer(node), context.now + ARRIVED_S)

    def on_closed(self, node: NodeId) -> None:
        """The stream to this member closed, or did not open."""
        told, context = self._told.get(node), self._context
        if told is None or told.closed:
            return
        again = context.tuning.again
        told.closed, told.wait_s = True, again.after(told.wait_s) if told.wait_s else again.first_s
        context.timers.set(NoticeTimer(node), context.now + context.around(told.wait_s))

    def on_timer(self, node: NodeId) -> None:
        """Send them once more, or forget them. A process that does not run waits for nothing; its next one asks."""
        told = self._told[node]
        if told.closed and self._context.membership.member(node).runs:
            told.closed = False
            self._send(node, [*told.notices.values()])
        else:
            del self._told[node]
