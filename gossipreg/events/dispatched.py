"""What delivery reads of the state machine of a journal's events (`machine.py`). It changes nothing there."""

from collections.abc import Collection, Mapping
from typing import Protocol


class PendingEvent(Protocol):
    """An event of the journal."""

    @property
    def type(self) -> str: ...

    @property
    def key(self) -> str:
        """Its partition key; empty if it has none."""

    @property
    def size_bytes(self) -> int: ...

    @property
    def waiting(self) -> Collection[int]:
        """The numbers of the groups that have not acknowledged it, and have not set it aside."""


class DeliveredGroup(Protocol):
    """A group of the journal."""

    @property
    def number(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def patterns(self) -> Collection[str]: ...

    @property
    def seen_ms(self) -> int:
        """The led time at which it was noted last that it has an instance."""


class NotedFailures(Protocol):
    """The attempts of one event at one group that were noted."""

    @property
    def attempts(self) -> int:
        """All of them, those with a death included."""

    @property
    def deaths(self) -> int: ...


class DispatchedEvents(Protocol):
    @property
    def groups(self) -> Mapping[str, DeliveredGroup]: ...

    @property
    def events(self) -> Mapping[int, PendingEvent]:
        """In the order of their indexes."""

    @property
    def failures(self) -> Mapping[tuple[int, int], NotedFailures]:
        """By the group's number, and the event's index."""

    def held_keys(self, group: int) -> Collection[str]:
        """The keys that dead letters of this group hold."""

    def waiting_count(self, group: int) -> int: ...

    def waiting_bytes(self, group: int) -> int: ...

    def oldest_led_ms(self, group: int) -> int | None:
        """The led time of the oldest event that this group waits for."""
