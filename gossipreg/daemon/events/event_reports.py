"""What the operator hears of events: lines of the log, and troubles in `info` for as long as they last.

Owns: the words. What is looked at now and then (`look`) is a trouble that is over when the next look does not find it.
"""

from collections import Counter, deque
from collections.abc import Sequence

from gossipreg.daemon.events.events_shown import EventsShown
from gossipreg.daemon.logs import Field, Log
from gossipreg.daemon.troubles import Troubles
from gossipreg.events.effects import LogEvents

FULL_FROM = 0.8
"""The part of what a journal may hold from which on its operator is warned; publishers are refused from 7/8 on."""
EXPIRED_S = 86_400.0
"""For how long `info` shows that events were dropped for their age."""
NOT_REMEMBERED_S = 86_400.0
"""For how long `info` shows that a group was forgotten for want of room."""
LINES_A_MINUTE = 16
"""Of one kind: each may come for every event."""
NAMED = 5
"""Groups that one line names."""


class EventReports:
    def __init__(self, log: Log, troubles: Troubles, *, max_age_s: float) -> None:
        self._log = log
        self._troubles = troubles
        self._max_age_s = max_age_s
        self.counts: Counter[str] = Counter()
        self._not_remembered_last: deque[str] = deque(maxlen=NAMED)

    # -- what happens once -------------------------------------------------------------------------------------------

    def event(self, event: LogEvents) -> None:
        """What the events of the journals that are led here say themselves."""
        fields: dict[str, Field] = dict(event.fields)
        match event.kind:
            case "event_dead":
                self.counts["events.dead"] += 1
                fields["message"] = "set aside as a dead letter: `gossipreg events dead` shows it, retry or drop it"
                self._log.line("warning", "event_dead", fields, kind_burst=LINES_A_MINUTE)
            case "event_payload_missing":
                self.counts["events.payloads_missing"] += 1
                fields["message"] = "the content of an event cannot be read from the disk here; trying again in 30 s"
                self._log.line("error", "event_payload_missing", fields, kind_burst=LINES_A_MINUTE)
            case "group_forgotten":
                self._forgotten(fields)
            case "events_expired":
                self._expired(fields)
            case "groups_not_remembered":
                self._not_remembered(fields)
            case _:
                self.counts[f"events.{event.kind}"] += 1
                self._log.line("info", event.kind, fields, kind_burst=LINES_A_MINUTE)

    def _forgotten(self, fields: dict[str, Field]) -> None:
        self.counts["events.groups_forgotten"] += 1
        lost = int(fields.get("dropped", 0) or 0)
        fields["message"] = "the group is forgotten, and events that it had not acknowledged are dropped"
        if lost:
            self._log.line("warning", "group_forgotten", fields, kind_burst=LINES_A_MINUTE)
        else:
            fields["message"] = "the group is forgotten; nothing waited for it"
            self._log.line("info", "group_forgotten", fields, kind_burst=LINES_A_MINUTE)

    def _expired(self, fields: dict[str, Field]) -> None:
        dropped = int(fields.get("dropped", 0) or 0)
        self.counts["events.expired"] += dropped
        days = f"{self._max_age_s / 86_400:g} days"
        message = f"{self.counts['events.expired']} events were dropped because they were older than {days}"
        self._troubles.saw("events_expired", message, for_s=EXPIRED_S)
        fields["message"] = "events, with dead letters, were dropped for their age: their groups did not handle them"
        self._log.line("warning", "events_expired", fields, kind_burst=LINES_A_MINUTE)

    def _not_remembered(self, fields: dict[str, Field]) -> None:
        self.counts["events.groups_not_remembered"] += 1
        self._not_remembered_last.append(f"{fields['group']!r} ({fields['pattern']})")
        names = ", ".join(self._not_remembered_last)
        message = (
            f"more groups ran beside this sidecar than it remembers, and it forgot {names}: until their programs are "
            "back they may miss events of types that are new to them"
        )
        self._troubles.saw("groups_not_remembered", message, for_s=NOT_REMEMBERED_S)
        self._log.line("warning", "groups_not_remembered", {"message": message}, kind_burst=LINES_A_MINUTE)

    # -- what lasts --------------------------------------------------------------------------------------------------

    def look(self, shown: EventsShown, now: float) -> None:
        self.full(*shown.fullest())
        self.dead_letters(shown.dead_letters())
        self.without_instance(shown.without_instance(now))

    def full(self, fill: float, group: str | None) -> None:
        """The fullest of the journals that are led here, and the group that waits for the most of it."""
        if fill < FULL_FROM:
            self._troubles.over("events_full")
            return
        blame = "events that are kept take its room" if group is None else f"group {group!r} has acknowledged the least"
        self._troubles.saw("events_full", f"a journal is {fill:.0%} full: {blame}", lasting=True)

    def dead_letters(self, by_group: dict[str, int]) -> None:
        if not by_group:
            self._troubles.over("events_dead")
            return
        names = first_names(sorted(by_group, key=lambda name: (-by_group[name], name)))
        message = f"dead letters that a person has to decide on: {sum(by_group.values())}, of {names}"
        self._troubles.saw("events_dead", message, lasting=True)

    def without_instance(self, groups: Sequence[str]) -> None:
        if not groups:
            self._troubles.over("events_no_instance")
            return
        message = f"groups that had no instance within a day, while events wait: {first_names(groups)}"
        self._troubles.saw("events_no_instance", message, lasting=True)


def first_names(names: Sequence[str]) -> str:
    """The first of these names, and how many there are beside them."""
    named = ", ".join(map(repr, names[:NAMED]))
    return named if len(names) <= NAMED else f"{named} and {len(names) - NAMED} more"
