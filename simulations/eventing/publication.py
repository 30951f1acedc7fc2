"""An event that a program publishes, and what it knows of it."""

from dataclasses import dataclass, field

from gossipreg.events.cloud_event import PARTITION_KEY, encode_event, make_event
from gossipreg.journal.model import JournalId


@dataclass(slots=True, eq=False)
class Publication:
    id: str
    source: str
    type: str
    key: str
    data: bytes
    """What its handlers do with it: see `subscriber.py`."""
    host: int
    keep_ms: int
    """The number of the publisher's host."""
    known: list[frozenset[str]] = field(default_factory=list)
    """The groups that the publisher's sidecar knew for its type, at each publish that may have been the one that
    counted: what was refused for certain is left out. The last one may be under way."""
    conflicts_with: "Publication | None" = None
    """It has the id of this one, and other content: it must be refused."""
    times: int = 0
    """How often it was published."""
    code: str | None = None
    """What its publisher was told last: empty, it is durable. None: nothing yet."""
    acked: tuple[JournalId, int] | None = None
    """The journal and the index that its publisher was told first."""

    @property
    def event(self) -> bytes:
        extensions = {PARTITION_KEY: self.key} if self.key else {}
        return encode_event(make_event(self.id, self.source, self.type, self.data, extensions=extensions))
