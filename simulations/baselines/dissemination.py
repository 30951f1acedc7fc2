"""Dissemination as in SWIM and memberlist: in intervals, and of suspicions too.

Owns: what differs from our own dissemination. An update waits for the next interval, while ours is sent at once after a
pause. A suspicion is sent to the suspect as to any other member. Each independent confirmation of a suspicion is
gossiped as an update of its own, in the name of its accuser. Never knows: why a member is suspected.
"""

from dataclasses import replace
from typing import NamedTuple, cast

from gossipreg.core.gossip.dissemination import Disseminate, Dissemination, Topic
from gossipreg.model import NodeId, Rank, Version
from gossipreg.wire.messages import Claim, Message


class Confirmation(NamedTuple):
    """The topic of one more accuser of a suspect."""

    id: NodeId
    claim: bool
    by: NodeId


class BaselineDissemination(Dissemination):
    def confirm(self, id: NodeId, by: NodeId) -> None:
        """Gossip the confirmation that `by` suspects this member too."""
        topic = cast("Topic", Confirmation(id, True, by))  # another key beside Topic(id, True), used in the same way
        self._add(topic, Version(0, 0), None)

    def at_once(self) -> None:
        """Send the queued updates now."""
        self._context.timers.set_earlier(Disseminate(), self._context.now)

    def _add(self, topic: Topic, base: Version, received_from: NodeId | None) -> None:
        self._last_at = self._context.now  # so the update waits for a whole interval
        super()._add(topic, base, received_from)

    def _message(self, topic: Topic, base: Version, limit_bytes: int) -> Message | None:
        message = super()._message(topic, base, limit_bytes)
        if isinstance(topic, Confirmation) and type(message) is Claim:
            return replace(message, by=topic.by)
        return message

    def _skipped(self, topic: Topic) -> NodeId:
        row = self._table.rows.get(topic.id)
        suspected = topic.claim and row is not None and row.liveness.rank is Rank.SUSPECT
        return self._context.id if suspected else topic.id
