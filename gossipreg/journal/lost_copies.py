"""What other members are told of copies that are not here any more: with a database that was lost, or given up.

Never knows: how a copy is lost. A member that asks such a copy is answered as long as it asks. One that asked before it
was lost, and has no answer, waits over a stream that did not break: it is told at once.
"""

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
from gossipreg.journal.replica_data import ReplicaData

ASKS = (Append, InstallState, PreVote, RequestVote, ConfirmLeader, HandOver, AskLeader)
"""What is answered for a copy that is lost."""


def lost_answer(message: ReplicaMessage) -> ReplicaLost:
    """The answer to a message for a copy that is not here."""
    return ReplicaLost(journal=message.journal, sender=message.receiver, receiver=message.sender)


def lost_notices(data: ReplicaData) -> list[SendMessage]:
    """To all that may wait for an answer of this lost copy: the others of the journal, and its last leader."""
    others = {place.replica: place.node for place in data.configuration.places}
    if data.heard is not None:
        others[data.heard.claim.ballot.replica] = data.heard.claim.node
    others.pop(data.replica, None)
    return [
        SendMessage(node, ReplicaLost(journal=data.journal, sender=data.replica, receiver=replica))
        for replica, node in others.items()
    ]
