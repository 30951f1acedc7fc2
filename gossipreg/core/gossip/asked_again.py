"""Questions that got a large answer: the same question again shows that the answer was lost.

Owns: the last of these questions, by member. Never knows: what they ask, or what follows from a repetition.
"""

from collections import OrderedDict
from collections.abc import Hashable

from gossipreg.model import NodeId

QUESTIONS_MAX = 1024
"""Of all members together; the oldest is forgotten first."""


class AskedAgain:
    def __init__(self) -> None:
        self._answered: OrderedDict[tuple[NodeId, Hashable], None] = OrderedDict()

    def answered(self, peer: NodeId, question: Hashable) -> None:
        """A large answer was sent to this member."""
        self._answered[peer, question] = None
        self._answered.move_to_end((peer, question))
        if len(self._answered) > QUESTIONS_MAX:
            self._answered.popitem(last=False)

    def again(self, peer: NodeId, question: Hashable) -> bool:
        """Whether this member repeats a question that it was sent a large answer to."""
        key = peer, question
        if key not in self._answered:
            return False
        del self._answered[key]
        return True
