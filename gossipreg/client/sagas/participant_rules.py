"""The three rules of a participant as statements on its table. See `docs/sagas-clients.md`.

Owns: the table, and which statement follows which answer of the database. Never knows: how a statement is executed, or
what the program's work does.

    1. A key has its effect once, and each repeat gets the first answer. The row of the key is written before the work:
       of two at the same time, at two instances too, the second waits for the first, and finds its row. Until the work
       is over its answer is 500: work that commits by itself lays that open, and is undone, for nobody knows whether
       it was done to its end.
    2. An undo of a key that is unknown is answered 2xx, and leaves a row.
    3. After its undo a key is refused for ever: that row answers 410 to a do that comes late.

`doing` and `undoing` are generators: they yield a statement with its values and get its result, or yield WORK and get
the program's answer. An answer that may be another one at the next attempt (5xx, 409, ..., to a do 404 too) is raised
as AnswerNotKept, so that the transaction ends without a trace of it. What the saga takes for undone (2xx, 404, 410) is
kept like 2xx: it does not ask again, so what the work has changed has to stay.
"""

import re
from collections.abc import Generator
from datetime import timedelta
from enum import Enum
from time import time
from typing import Any, Final, NamedTuple

from gossipreg.client.checks import can_be_stored
from gossipreg.client.outbox.program_block import DO_WORK, ended
from gossipreg.client.outbox.tables import SQLITE, Dialect, TableName
from gossipreg.client.sagas.participant_answer import GONE, NO_CONTENT, UNDONE_TOO, ParticipantAnswer, kept_answer
from gossipreg.errors import BadParams, Unavailable

PARTICIPANT_TABLE = "gossipreg_participant"
KEPT = timedelta(days=90)
LEAST_KEPT = timedelta(days=31)
"""A saga may run for 30 days, and until it is decided its undo may come."""
FORGET_ROWS = 4
"""Rows that are too old and go with each new key: so the table has no more than came within the time."""
FORGET_AT_ONCE = 10_000
"""Rows that one call of `forget` deletes: more would hold locks for long."""
MAX_KEY = 512
LOOKS = 8
"""How often a row is looked for that vanishes between two statements, since it is forgotten right now."""
DONE, REFUSED, UNDONE = "done", "refused", "undone"
UNFINISHED = ParticipantAnswer(500, {"error": {"code": "unfinished", "message": str(ended(DO_WORK))}})
"""Of a row whose work is not over: nobody sees it, but where the work has committed it."""
_UNDO_KEY = re.compile(r"([0-9a-f]+\.[^/]+/[^/]+)/undo")


class ProgramWork(Enum):
    """What is done with the program's work. The savepoint around it is a `ProgramBlock`."""

    BEGIN = "begin the savepoint"
    WORK = "do the work"
    DROP = "take back what it changed"
    KEEP = "end the savepoint"


BEGIN_WORK: Final = ProgramWork.BEGIN
WORK: Final = ProgramWork.WORK
DROP_WORK: Final = ProgramWork.DROP
KEEP_WORK: Final = ProgramWork.KEEP


class StatementResult(NamedTuple):
    """What a statement has done."""

    rowcount: int
    row: tuple[Any, ...] | None


Statement = tuple[str, tuple[object, ...]]
Rules = Generator[Statement | ProgramWork, Any, ParticipantAnswer]


class AnswerNotKept(Exception):
    """Inside: this is the answer, and nothing of it may stay. It never reaches the program."""

    def __init__(self, answer: ParticipantAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class ParticipantRules:
    def __init__(self, table: TableName, dialect: Dialect, keep: timedelta) -> None:
        """Raises BadParams."""
        if not isinstance(keep, timedelta) or keep < LEAST_KEPT:
            raise BadParams(f"keep is {keep!r}: give a timedelta of at least {LEAST_KEPT.days} days")
        self._table = table.sql()
        self._is_sqlite = dialect is SQLITE
        self._keep_s = keep.total_seconds()

    def doing(self, key: str) -> Rules:
        row = yield from self._claimed(key, DONE, UNFINISHED, for_update=False)
        if row is not None:
            state, status, content_type, body = row
            if state == UNDONE:
                gone = {"error": {"code": "undone", "message": "this key was undone, so it is done no more"}}
                return ParticipantAnswer(GONE, gone).repeated()
            return kept_answer(status, content_type, body)
        yield BEGIN_WORK
        answer: ParticipantAnswer = yield WORK
        if answer.is_refusal:
            yield DROP_WORK
        elif not answer.is_done:
            raise AnswerNotKept(answer)
        yield KEEP_WORK
        yield self._keep(key, DONE if answer.is_done else REFUSED, answer)
        yield self._forget()
        return answer

    def undoing(self, key: str) -> Rules:
        row = yield from self._claimed(key, UNDONE, ParticipantAnswer(NO_CONTENT), for_update=True)
        if row is None:
            yield self._forget()
            return ParticipantAnswer(NO_CONTENT)
        state, status, content_type, body = row
        if state == UNDONE:
            return kept_answer(status, content_type, body)
        answer = ParticipantAnswer(NO_CONTENT)
        if state == DONE:
            yield BEGIN_WORK
            answer = yield WORK
            if not answer.is_done and answer.status not in UNDONE_TOO:
                raise AnswerNotKept(answer)
            yield KEEP_WORK
        yield self._keep(key, UNDONE, answer)
        return answer

    def _claimed(
        self, key: str, state: str, answer: ParticipantAnswer, *, for_update: bool
    ) -> Generator[Statement, StatementResult, tuple[str, int, str, bytes] | None]:
        """Write the row of this key, with this answer, and return None; or return what it had (state, status, content
        type, body)."""
        insert = (
            f"INSERT INTO {self._table} (key, state, status, content_type, body, noted_at) "
            f"VALUES (?, ?, ?, ?, ?, {self._now}) ON CONFLICT DO NOTHING"
        )
        lock = " FOR UPDATE" if for_update and not self._is_sqlite else ""
        select = f"SELECT state, status, content_type, body FROM {self._table} WHERE key = ?{lock}"
        for _ in range(LOOKS):
            row_of_key = (key, state, answer.status, answer.content_type, answer.body, *self._times)
            if (yield insert, row_of_key).rowcount == 1:
                return None
            if (row := (yield select, (key,)).row) is not None:
                texts = [text.decode() if isinstance(text, bytes) else text for text in row[:3]]
                return texts[0], int(texts[1]), texts[2], bytes(row[3])
        raise Unavailable(f"the row of {key!r} in {self._table} comes and goes: try again")

    def _keep(self, key: str, state: str, answer: ParticipantAnswer) -> Statement:
        statement = (
            f"UPDATE {self._table} SET state = ?, status = ?, content_type = ?, body = ?, noted_at = {self._now} "
            "WHERE key = ?"
        )
        return statement, (state, answer.status, answer.content_type, answer.body, *self._times, key)

    def _forget(self) -> Statement:
        """Delete a few rows that are too old; not those that another transaction has locked. In PostgreSQL at
        REPEATABLE READ or above it would fail as soon as another one has deleted them, or written beside them, and the
        key of the program with it: there the program calls `forget`."""
        if self._is_sqlite:
            return self.forget(FORGET_ROWS)
        levels = "'read committed', 'read uncommitted'"  # PostgreSQL takes the second for the first
        return self.forget(FORGET_ROWS, f"current_setting('transaction_isolation') IN ({levels}) AND ")

    def forget(self, rows: int, where: str = "") -> Statement:
        """Delete up to so many rows that are too old."""
        if self._is_sqlite:
            found = f"SELECT rowid FROM {self._table} WHERE noted_at < ? LIMIT {rows}"
            return f"DELETE FROM {self._table} WHERE rowid IN ({found})", (time() - self._keep_s,)
        old = f"{where}noted_at < now() - make_interval(secs => ?)"
        found = f"SELECT ctid FROM {self._table} WHERE {old} LIMIT {rows} FOR UPDATE SKIP LOCKED"
        return f"DELETE FROM {self._table} WHERE ctid = ANY (ARRAY({found}))", (self._keep_s,)

    @property
    def _now(self) -> str:
        return "?" if self._is_sqlite else "now()"

    @property
    def _times(self) -> tuple[float, ...]:
        return (time(),) if self._is_sqlite else ()


def participant_tables(table: TableName, dialect: Dialect) -> tuple[str, ...]:
    """The statements that make the table, each harmless where it is there already."""
    blob, noted = ("BLOB", "REAL") if dialect is SQLITE else ("bytea", "timestamptz")
    return (
        f"CREATE TABLE IF NOT EXISTS {table.sql()} (key TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL, "
        f"status INTEGER NOT NULL, content_type TEXT NOT NULL, body {blob} NOT NULL, noted_at {noted} NOT NULL)",
        f'CREATE INDEX IF NOT EXISTS "{table.name}_noted" ON {table.sql()} (noted_at)',
    )


def checked_do_key(key: object) -> str:
    """Raises BadParams."""
    text = _checked_key(key, "Idempotency-Key")
    if _UNDO_KEY.fullmatch(text):
        raise BadParams(f"key {text!r} is that of an undo: call undo with the header Gossipreg-Undoes")
    return text


def checked_undo_key(key: object) -> str:
    """The key of what is undone; that of the undo itself stands for it. Raises BadParams."""
    text = _checked_key(key, "Gossipreg-Undoes")
    found = _UNDO_KEY.fullmatch(text)
    return text if found is None else found[1]


def _checked_key(key: object, header: str) -> str:
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY or not can_be_stored(key):
        raise BadParams(
            f"key is {repr(key)[:80]}: give what the request has in its header {header}, 1 to {MAX_KEY} letters"
        )
    return key
