"""The books of a service that takes part in sagas: what became of each key. All its instances share them, as they share
a database.

Owns: the three rules of a participant. Never knows: how long a request takes, or which of its answers are lost.

    rule 1   the same key once, whatever instance it comes to, and the first answer again; while the first is under way,
             a second one is refused for the moment (409)
    rule 2   an undo of what it never saw is answered 2xx
    rule 3   after an undo the do of that key is refused for ever (410)
"""

from dataclasses import dataclass
from enum import Enum


class KeyState(Enum):
    NEW = "new"
    """Nothing has happened, or it is being done."""
    HELD = "held"
    """Done: a reservation, a payment, a mail."""
    DECLINED = "declined"
    """Refused for good: nothing has happened."""
    UNDONE = "undone"
    """Undone, or undone before it was done: it is never done again."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    body: bytes = b""
    retry_after_s: float = 0.0


UNDER_WAY = HttpAnswer(409, b'{"error": "the first request with this key is under way"}')
GONE = HttpAnswer(410, b'{"error": "this key was undone"}')


@dataclass(slots=True)
class KeyRecord:
    key: str
    state: KeyState = KeyState.NEW
    answer: HttpAnswer | None = None
    """The first one."""
    begun: int = 0
    """Requests that are being worked on: 0 or 1."""
    effects: int = 0
    """How often it was done."""
    undos: int = 0
    """How often what was done was undone."""


class KeyLedger:
    def __init__(self, service: str) -> None:
        self.service = service
        self.records: dict[str, KeyRecord] = {}

    def of(self, key: str) -> KeyRecord:
        return self.records.setdefault(key, KeyRecord(key))

    def begin(self, key: str) -> HttpAnswer | None:
        """A request to do this came. None: work on it, and say `do`, `decline` or `abandon`."""
        record = self.of(key)
        if record.state is KeyState.UNDONE:
            return GONE
        if record.answer is not None:
            return record.answer
        if record.begun:
            return UNDER_WAY
        record.begun += 1
        return None

    def do(self, key: str) -> HttpAnswer:
        """The transaction of a request that was begun is committed."""
        record = self.of(key)
        record.begun -= 1
        if record.state is KeyState.UNDONE:
            return GONE  # its undo was faster
        record.state = KeyState.HELD
        record.effects += 1
        record.answer = HttpAnswer(201, b'{"number": %d, "service": "%s"}' % (len(self.records), self.service.encode()))
        return record.answer

    def decline(self, key: str) -> HttpAnswer:
        """A request that was begun is refused for good."""
        record = self.of(key)
        record.begun -= 1
        if record.state is KeyState.UNDONE:
            return GONE
        record.state = KeyState.DECLINED
        record.answer = HttpAnswer(422, b'{"error": "there is not enough"}')
        return record.answer

    def abandon(self, key: str) -> None:
        """A request that was begun is over, and nothing has happened."""
        self.of(key).begun -= 1

    def undo(self, key: str) -> HttpAnswer:
        record = self.of(key)
        record.undos += record.state is KeyState.HELD
        record.state = KeyState.UNDONE
        return HttpAnswer(200)
