"""Requests that got a large answer. A member that sends the same request again has not received the answer: perhaps the
path to it carries only smaller datagrams (`path_mtu.py`).

Owns: the last of these requests, by member. Never knows: what is requested.
"""

from collections import OrderedDict
from collections.abc import Hashable

from gossipreg.core.session.channel import Channel
from gossipreg.core.session.path_mtu import PathMtu
from gossipreg.model import NodeId

REQUESTS_MAX = 1024
"""Requests that are kept, of all members together. Beyond it the oldest is forgotten."""


class AnsweredRequests:
    def __init__(self, channel: Channel, paths: PathMtu) -> None:
        self._channel = channel
        self._paths = paths
        self._answered: OrderedDict[tuple[NodeId, Hashable], None] = OrderedDict()

    def received(self, peer: NodeId, request: Hashable) -> None:
        """Call this before `peer` is answered: if the last answer seems to be lost, it has the path validated."""
        key = peer, request
        if key in self._answered:
            del self._answered[key]
            self._paths.validate(peer)

    def answered(self, peer: NodeId, request: Hashable) -> None:
        """Call this after `peer` was answered: it notes the request if the answer was large."""
        if not self._channel.sends_large(peer):
            return
        self._answered[peer, request] = None
        self._answered.move_to_end((peer, request))
        if len(self._answered) > REQUESTS_MAX:
            self._answered.popitem(last=False)
