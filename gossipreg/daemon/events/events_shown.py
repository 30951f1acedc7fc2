"""What people see of the events here: the section of `info`, the counters, and what an operator has to know.

Owns: sums over the journals that are led here. Never knows: who looks, or what an event says.
"""

from collections import Counter
from dataclasses import dataclass

from gossipreg.daemon.journals.led_journals import JournalsOfRuntime
from gossipreg.events.events import Events
from gossipreg.wire.shapes import Shape

GROUPS_SHOWN = 100
"""Of all journals that are led here: those that are furthest behind."""
NO_INSTANCE_S = 86_400.0
"""For so long in led time events may wait for a group without an instance, before that is a trouble."""


@dataclass(slots=True)
class ShownLag:
    """How far behind one group is, in all journals that are led here."""

    pending: int = 0
    bytes: int = 0
    oldest_s: float = 0.0
    unanswered: int = 0
    dead: int = 0


class EventsShown:
    def __init__(self, events: Events, journals: JournalsOfRuntime, counts: Counter[str]) -> None:
        """`counts` are those of the events in the daemon."""
        self._events = events
        self._journals = journals
        self._counts = counts
        self._used = False

    def lags(self, now: float) -> dict[str, ShownLag]:
        """By group."""
        found: dict[str, ShownLag] = {}
        for led in self._events.led.values():
            dead = Counter(number for number, _ in led.machine.dead)
            for lag in led.lag(now):
                one = found.setdefault(lag.group, ShownLag())
                one.pending += lag.pending
                one.bytes += lag.pending_bytes
                one.oldest_s = max(one.oldest_s, lag.oldest_ms / 1000 if lag.pending else 0.0)
                one.unanswered += lag.unanswered
                one.dead += dead[led.machine.groups[lag.group].number]
        return found

    def section(self, now: float) -> Shape:
        """The section `events` of `info`; empty until something here uses events. What was shown once stays."""
        figures = self._figures()
        lags = self.lags(now)
        if not self._is_used(lags or any(figures.values()) or self._counts or self._events.led):
            return {}
        furthest = sorted(lags, key=lambda name: (-lags[name].bytes, -lags[name].dead, name))
        groups = {
            name: {
                "pending": lag.pending, "bytes": lag.bytes, "oldest_s": lag.oldest_s, "unanswered": lag.unanswered,
                "dead": lag.dead,
            }
            for name in furthest[:GROUPS_SHOWN] for lag in (lags[name],)
        }  # fmt: skip
        left_out = {"groups_left_out": len(lags) - len(groups)} if len(groups) < len(lags) else {}
        return {**figures, **left_out, "groups": groups}

    def _is_used(self, anything: object) -> bool:
        """Whether there is something to show. It stays so: a gauge that goes back to 0 must not vanish from a graph."""
        self._used = self._used or bool(anything)
        return self._used

    def _figures(self) -> dict[str, int]:
        events, receiving = self._events, self._events.receiving.statistics()
        return {
            "publishing": len(events.publishing),
            "subscriptions": receiving["subscriptions"],
            "handlings": receiving["handlings"],
            "handlings_bytes": receiving["handlings_bytes"],
        }

    def counts(self) -> dict[str, int]:
        """Figures and counters, for `info` and the metrics."""
        deliveries = self._events.receiving.counts
        found = Counter({f"events.{name}": count for name, count in deliveries.items()})
        found.update(self._counts)
        found.update({f"events.{name}": count for name, count in self._events.counts.items()})
        if not self._is_used(found or any(self._figures().values())):
            return {}
        return {**{f"events_{name}": value for name, value in self._figures().items()}, **dict(sorted(found.items()))}

    # -- troubles ----------------------------------------------------------------------------------------------------

    def dead_letters(self) -> dict[str, int]:
        """By group."""
        found: Counter[str] = Counter()
        for led in self._events.led.values():
            for number, letters in Counter(number for number, _ in led.machine.dead).items():
                if (group := led.machine.group(number)) is not None:
                    found[group.name] += letters
        return dict(found)

    def fullest(self) -> tuple[float, str | None]:
        """How full the fullest journal is that is led here, and the group that waits for the most bytes of it."""
        fill, journal = max(((self._journals.fill(one), one) for one in self._events.led), default=(0.0, None))
        return fill, None if journal is None else self._events.led[journal].dispatch.to_blame()

    def without_instance(self, now: float) -> list[str]:
        """The groups for which events wait, and which had no instance for long."""
        found: dict[str, None] = {}
        for led in self._events.led.values():
            before_ms = led.led_ms(now) - int(NO_INSTANCE_S * 1000)
            for name, group in led.machine.groups.items():
                waits = group.seen_ms < before_ms and led.machine.waiting_count(group.number) > 0
                if waits and not self._events.has_subscriber(name):
                    found[name] = None
        return sorted(found)
