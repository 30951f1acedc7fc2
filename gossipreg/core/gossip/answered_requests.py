"""Requests that got a large answer. If the same member sends the same request again, that answer was lost.

Owns: the last of these requests, by member. Never knows: what is requested, or what follows from a repeated request.
"""

from collections import OrderedDict
from collections.abc import Hashable

from gossipreg.model import NodeId

REQUESTS_MAX = 1024
"""Requests that are kept, of all members together. The oldest is forgotten first."""


class AnsweredRequests:
    def __init__(self) -> None:
        self._answered: OrderedDict[tuple[NodeId, Hashable], None] = OrderedDict()

    def note(self, peer: NodeId, request: Hashable) -> None:
        """Note that this request of `peer` got a large answer."""
        self._answered[peer, request] = None
        self._answered.move_to_end((peer, request))
        if len(self._answered) > REQUESTS_MAX:
            self._answered.popitem(last=False)

    def is_repeat(self, peer: NodeId, request: Hashable) -> bool:
        """Whether `peer` has sent this request before and got a large answer. That answer is then forgotten."""
        key = peer, request
        if key not in self._answered:
            return False
        del self._answered[key]
        return True
