"""The members as items of a board: each as `gossipreg members` shows it.

That a member is suspected here is told by no feed, and round trips change all the time: so all are looked at every two
seconds. A round trip counts as changed after five seconds, if it is a tenth more or less.
"""

from collections.abc import Callable
from dataclasses import replace

from gossipreg.core.view import View
from gossipreg.gateway.http.ui.board import BoardItem
from gossipreg.gateway.http.ui.page_events import json_line
from gossipreg.model import MemberInfo, NodeId
from gossipreg.wire.shapes import member_shape

LOOK_EVERY_S = 2.0
RTT_EVERY_S = 5.0
RTT_CHANGE = 0.1


class MemberItems:
    """Reads the items; one for each board."""

    def __init__(self, view: View, now: Callable[[], float]) -> None:
        self._view = view
        self._now = now
        self._written: dict[NodeId, tuple[float, float | None]] = {}
        """When the item was made, and the round trip in it."""

    def keys(self) -> list[NodeId]:
        return sorted(self._view.table.rows)

    def read(self, id: NodeId, before: BoardItem | None) -> BoardItem | None:
        now = self._now()
        member = self._view.member(id, now)
        if member is None:
            self._written.pop(id, None)
            return None
        shown = (replace(member, since_s=0.0, rtt_ms=None), self._view.knowledge.partial)
        if before is not None and before.shown == shown and not self._rtt_changed(member, now):
            return before
        self._written[id] = now, member.rtt_ms
        text = json_line(member_shape(member, self._view.knowledge.partial, id == self._view.id))
        return BoardItem(shown, text, group=member.state)

    def _rtt_changed(self, member: MemberInfo, now: float) -> bool:
        at, written = self._written[member.id]
        if now - at < RTT_EVERY_S:
            return False
        if member.rtt_ms is None or written is None:
            return member.rtt_ms != written
        return abs(member.rtt_ms - written) > RTT_CHANGE * written
