"""What an applied entry has changed in the events of a journal. The state machine returns these; whoever leads the
journal answers and delivers by them."""

from dataclasses import dataclass
from enum import Enum


class PublishVerdict(Enum):
    NEW = "new"
    DUPLICATE = "duplicate"
    """The same event, with the same id and source, is there already."""
    CONFLICT = "conflict"
    """Another event has its id and source."""


@dataclass(frozen=True, slots=True)
class EventPublished:
    """Of each event of a PUBLISH entry, in their order."""

    verdict: PublishVerdict
    index: int
    """Of the event, or of the one that has its id."""
    groups: int
    """How many groups it belonged to when it was new."""


@dataclass(frozen=True, slots=True)
class EventAdded:
    """There is a new event, and these groups (by number) are to get it."""

    index: int
    groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeptEventAdded:
    """A group that is new is to get this event of before, which was kept. Its payload is in the records."""

    group: int
    index: int


@dataclass(frozen=True, slots=True)
class DeliverySettled:
    """This group does not get this event any more: it was acknowledged, set aside, dropped or forgotten."""

    group: int
    index: int


@dataclass(frozen=True, slots=True)
class AttemptNoted:
    group: int
    index: int


@dataclass(frozen=True, slots=True)
class LetterAgain:
    """A dead letter is to be delivered once more, from its first attempt on."""

    group: int
    index: int


@dataclass(frozen=True, slots=True)
class KeyReleased:
    """A dead letter that held its key is gone."""

    group: int
    key: str


@dataclass(frozen=True, slots=True)
class EventGone:
    """Nobody gets this event any more, and its payload was removed."""

    index: int


@dataclass(frozen=True, slots=True)
class GroupAdded:
    number: int
    name: str


@dataclass(frozen=True, slots=True)
class GroupPatternsChanged:
    """A group that was there has other patterns now."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class GroupForgotten:
    number: int
    name: str
    reason: str
    dropped: int
    """Events that it had not acknowledged."""


@dataclass(frozen=True, slots=True)
class EventsExpired:
    """The number of events and dead letters that were too old, and were not handled by all their groups."""

    dropped: int


EventFact = (
    EventPublished | EventAdded | KeptEventAdded | DeliverySettled | AttemptNoted | LetterAgain | KeyReleased
    | EventGone | GroupAdded | GroupPatternsChanged | GroupForgotten | EventsExpired
)  # fmt: skip
