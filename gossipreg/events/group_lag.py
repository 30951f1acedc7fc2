"""How far behind the groups of a journal are."""

from dataclasses import dataclass

from gossipreg.events.dispatched import DispatchedEvents


@dataclass(frozen=True, slots=True)
class GroupLag:
    group: str
    pending: int
    """Events that it has not acknowledged and not set aside."""
    pending_bytes: int
    unanswered: int
    """Of these, how many are at a member now."""
    oldest_ms: int
    """The age of the oldest of them, in led time; 0: there is none."""


def group_lag(machine: DispatchedEvents, name: str, unanswered: int, led_ms: int) -> GroupLag:
    """`led_ms` is the led time now."""
    number = machine.groups[name].number
    oldest = machine.oldest_led_ms(number)
    age_ms = 0 if oldest is None else max(0, led_ms - oldest)
    return GroupLag(name, machine.waiting_count(number), machine.waiting_bytes(number), unanswered, age_ms)


def group_to_blame(machine: DispatchedEvents) -> str | None:
    """The group that waits for the most bytes, so that people know whom to look at when a journal is full; None if
    nobody waits."""
    waiting = [(machine.waiting_bytes(group.number), name) for name, group in machine.groups.items()]
    size_bytes, name = max(waiting, default=(0, ""))
    return name if size_bytes else None
