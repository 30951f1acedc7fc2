"""The rates of the history: a storm of the same becomes a few lines, and one that says how many were left out.

Owns: how many lines there are of one kind, and about one subject. Never knows: what a line says, or where it is kept.

Two buckets admit a note: that of its subject (a member that dies and returns all night) and that of its kind (1,000
members that die at once). What is left out of a subject ends with the last of it, so that the last line shows how the
subject is now. What is left out of a kind is counted, and the first subjects are named. Both kinds of summary take a
token as any other line does, so the buckets bound the lines in all: of each kind KIND_BURST and then 600 an hour,
which is 15 days of the worst storm in the default space.
"""

from collections import OrderedDict
from dataclasses import field, replace

from gossipreg.core.session.token_bucket import TokenBucket
from gossipreg.daemon.history.history_note import HistoryNote
from gossipreg.quick_dataclass import dataclass

SUBJECT_BURST = 6
SUBJECT_A_S = 1 / 60
"""About one subject a line a minute, beyond the burst."""
KIND_BURST = 100
KIND_A_S = 1 / 6
SUBJECTS_MAX = 4096
"""Subjects whose rate is known; of more, the one that was heard of longest ago begins anew."""
KINDS_MAX = 256
"""There are some 80 kinds."""
NAMED = 5
"""Subjects that a summary names."""


@dataclass(slots=True)
class _Subject:
    bucket: TokenBucket
    left_out: int = 0
    last: HistoryNote | None = None
    """The last one left out."""


@dataclass(slots=True)
class _LinesOfKind:
    bucket: TokenBucket
    left_out: int = 0
    since: float = 0.0
    """When the first one was left out."""
    last: HistoryNote | None = None
    names: dict[str, None] = field(default_factory=dict)
    """The first subjects left out."""


class LineRates:
    def __init__(self) -> None:
        self._subjects: OrderedDict[tuple[str, str, str], _Subject] = OrderedDict()
        self._kinds: dict[str, _LinesOfKind] = {}
        self._waiting: dict[tuple[str, str, str], None] = {}
        """Subjects whose notes were left out in part."""

    def admit(self, note: HistoryNote, now: float) -> bool:
        """Whether to write this note now; otherwise it is counted, and `summaries` tells of it. `now` is monotonic."""
        key = note.rate_key
        subject = self._subjects.get(key)
        if subject is None:
            return self._admit_new(note, now)
        self._subjects.move_to_end(key)
        if subject.left_out or not subject.bucket.take(now):
            subject.left_out += 1
            subject.last = note
            self._waiting[key] = None
            return False
        return self._admit_to_kind(note, now)

    def _admit_new(self, note: HistoryNote, now: float) -> bool:
        """A subject has a rate of its own from its first line on. In a storm of thousands hardly any has a line, and
        their rates would take 400 bytes each."""
        if not self._admit_to_kind(note, now):
            return False
        subject = self._subjects[note.rate_key] = _Subject(TokenBucket(SUBJECT_BURST, SUBJECT_A_S, now))
        subject.bucket.take(now)
        if len(self._subjects) > SUBJECTS_MAX:
            oldest, forgotten = self._subjects.popitem(last=False)
            self._waiting.pop(oldest, None)
            if forgotten.last is not None:
                self._leave_out(self._kind(forgotten.last.kind, now), forgotten.last, now, forgotten.left_out)
        return True

    def _admit_to_kind(self, note: HistoryNote, now: float) -> bool:
        kind = self._kind(note.kind, now)
        if kind.left_out or not kind.bucket.take(now):
            self._leave_out(kind, note, now)
            return False
        return True

    def _kind(self, name: str, now: float) -> _LinesOfKind:
        kind = self._kinds.get(name)
        if kind is None:
            while len(self._kinds) >= KINDS_MAX:
                del self._kinds[next(iter(self._kinds))]
            kind = self._kinds[name] = _LinesOfKind(TokenBucket(KIND_BURST, KIND_A_S, now))
        return kind

    def _leave_out(self, kind: _LinesOfKind, note: HistoryNote, now: float, count: int = 1) -> None:
        if not kind.left_out:
            kind.since = now
        kind.left_out += count
        kind.last = note
        if len(kind.names) < NAMED and note.subject:
            kind.names[note.subject] = None

    def summaries(self, now: float, *, all: bool = False) -> list[HistoryNote]:
        """The notes that tell what was left out, as far as the buckets admit them; with `all` every one: the end. Call
        it now and then."""
        found: list[HistoryNote] = []
        for key in [*self._waiting]:
            subject = self._subjects[key]
            assert subject.last is not None, "something was left out"
            if not (all or subject.bucket.take(now)):
                continue
            del self._waiting[key]
            note, left_out = subject.last, subject.left_out
            subject.left_out, subject.last = 0, None
            kind = self._kind(note.kind, now)
            if all or (not kind.left_out and kind.bucket.take(now)):
                found.append(_last_of_subject(note, left_out))
            else:
                self._leave_out(kind, note, now, left_out)
        for kind in self._kinds.values():
            if kind.last is not None and (all or kind.bucket.take(now)):
                found.append(_more_of_kind(kind, now))
                kind.left_out, kind.last, kind.names = 0, None, {}
        return found


def _last_of_subject(note: HistoryNote, left_out: int) -> HistoryNote:
    if left_out == 1:
        return note
    message = f"{note.message} (the last of {left_out} such changes; the others are left out)"
    return replace(note, message=message, more={**note.more, "left_out": left_out - 1})


def _more_of_kind(kind: _LinesOfKind, now: float) -> HistoryNote:
    last = kind.last
    assert last is not None, "something was left out"
    named = ", ".join(kind.names)
    more = " and others" if kind.left_out > len(kind.names) else ""
    about = f": {named}{more}" if named else ""
    message = f"{kind.left_out} more {last.kind} within {max(1.0, now - kind.since):.0f} s, left out as a storm{about}"
    return HistoryNote(
        last.at, last.boot_s, last.kind, last.level, message, more={"left_out": kind.left_out}, topic=last.topic
    )  # fmt: skip
