"""An event that a program publishes, and what it knows of it."""

from dataclasses import dataclass

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
    known: frozenset[str] | None = None
    """The groups that the publisher's sidecar knew for its type when it was published first; None before that."""
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
