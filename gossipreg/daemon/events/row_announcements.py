"""What this sidecar announces of events in its own row, one by one: what has no room there keeps out nothing else.

Owns: the announcements that have no room, and the trouble that names them. Each is tried again now and then: room comes
when a service or another announcement is taken out. Never knows: why a group or a subscription is announced, or how its
slot was chosen.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gossipreg.errors import TooLarge
from gossipreg.events.announced import GROUP_KIND, decode_group_untrusted, decode_subscription_untrusted
from gossipreg.events.effects import AnnounceSubscription

if TYPE_CHECKING:
    from gossipreg.core.node import Node
    from gossipreg.daemon.logs import Field, Log
    from gossipreg.daemon.pump import Pump
    from gossipreg.daemon.troubles import Troubles

NO_SLOT = "a sidecar announces at most 1024 groups"
LINES_A_MINUTE = 16
"""A row that is full refuses every subscription that begins."""
NAMED = 20
"""Groups that the trouble names; of more it says how many. The log has a line for each."""


class RowAnnouncements:
    def __init__(self, node: "Node", pump: "Pump", log: "Log", troubles: "Troubles") -> None:
        self._node = node
        self._pump = pump
        self._log = log
        self._troubles = troubles
        self._refused: dict[tuple[int, int], AnnounceSubscription] = {}
        """By kind and slot: what the row is to say there, and does not."""
        self._why = ""
        """Why the last one was refused."""
        self._without_slot: frozenset[str] = frozenset()
        self._refusals = 0

    def announce(self, wanted: AnnounceSubscription) -> None:
        """Announce it, or note that it has no room. It takes the place of what was noted for its slot."""
        was_refused = self._refused.pop((wanted.kind, wanted.slot), None)
        if not self._fits(wanted):
            self._refusals += 1
            self._note(f"{_name(wanted)}: {self._why}")
        if was_refused is not None or self._refused:
            self._show()

    def look(self, without_slot: Iterable[str] = ()) -> None:
        """Try again what had no room. `without_slot` are the groups for which there is no slot."""
        new = frozenset(without_slot)
        for name in sorted(new - self._without_slot):
            self._note(f"{name!r}: {NO_SLOT}")
        changed, self._without_slot = new != self._without_slot, new
        for wanted in list(self._refused.values()):
            del self._refused[wanted.kind, wanted.slot]
            changed = self._fits(wanted) or changed
        if changed:
            self._show()

    def counts(self) -> dict[str, int]:
        """How many had no room since the start, for the metrics."""
        return {"events.not_announced": self._refusals} if self._refusals else {}

    def _fits(self, wanted: AnnounceSubscription) -> bool:
        try:
            self._pump.order(lambda now: self._node.announce(wanted.kind, wanted.slot, wanted.value, now))
        except TooLarge as error:
            self._refused[wanted.kind, wanted.slot] = wanted
            self._why = str(error)
            return False
        return True

    def _note(self, what: str) -> None:
        fields: dict[str, Field] = {"message": f"this sidecar cannot announce {what}"}
        self._log.line(
            "error", "events_not_announced", fields, repeat_key=f"not announced: {what}", kind_burst=LINES_A_MINUTE
        )

    def _show(self) -> None:
        names = [*dict.fromkeys(map(_name, self._refused.values())), *map(repr, sorted(self._without_slot))]
        if not names:
            self._troubles.over("events_not_announced")
            return
        why = self._why if self._refused else NO_SLOT
        message = f"groups and subscriptions that this sidecar cannot announce: {first_of(names)}: {why}"
        self._troubles.saw("events_not_announced", message, lasting=True)


def first_of(names: Sequence[str]) -> str:
    """The first of these names, and how many there are beside them."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _name(announced: AnnounceSubscription) -> str:
    """What people know it by."""
    assert announced.value is not None, "what is taken out always fits"
    if announced.kind == GROUP_KIND:
        return repr(decode_group_untrusted(announced.value).name)
    subscription = decode_subscription_untrusted(announced.value)
    return repr(subscription.group) if subscription.group else f"a broadcast of {subscription.pattern!r}"
