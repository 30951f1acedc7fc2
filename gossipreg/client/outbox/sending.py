"""Send the rows that wait: one pass over an outbox, on a connection of the relay's own.

Owns: the order of read, publish and take out; the right to send. Never knows: threads, the time between two passes.

A pass reads the rows that are there, lowest number first, and never remembers how far it came: in PostgreSQL a row with
a lower number may be committed after one with a higher number. Each row is taken out after its own durable answer. If
the relay ends between the two, the row is sent again with the same id, which the journal takes for the same event. Rows
are deleted and not marked, so that the table stays as small as what waits; what was sent is in the journal.

A row that the journal will never take is set aside with the reason, and the others go on. Any other failure ends the
pass: what comes later must not overtake. If another transaction has locked the row that was sent, the next pass begins
with taking it out, and sends it no second time.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

from gossipreg.client.checks import refuse_coroutine
from gossipreg.client.log import log_warning
from gossipreg.client.outbox.leases import RelayLease
from gossipreg.client.outbox.locks import OutboxLocked, bound_locks, is_locked, locked
from gossipreg.client.outbox.publisher import Publisher, SagaStarter
from gossipreg.client.outbox.rows import COLUMNS, SAGA, OutboxRow
from gossipreg.client.outbox.saga_sending import SagaSending
from gossipreg.client.outbox.tables import SQLITE, Dialect, TableName, sync_dialect, table_name
from gossipreg.errors import GossipregError, Refused

READ_ROWS = 32
"""Rows in memory at a time: of the largest events that is 6 MiB."""
PUBLISH_S = 10.0
"""How long an attempt may take. `leases.py` counts on it."""
REFUSED_CODES = frozenset(("too_large", "bad_params", "conflict"))
"""The same event will be refused again, whenever it is sent."""
MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class RelayPass:
    """What a pass over the outbox did."""

    sent: int
    refused: int
    """Rows that were set aside."""
    held: bool
    """False: rows wait, and another relay sends them."""
    fault: Exception | None = None
    """Why it ended early: the event at the head of the table could not be published."""


class AnsweredRow(NamedTuple):
    """A row whose event is durable, or refused for ever."""

    number: int
    row: OutboxRow
    reason: str
    """Why it will never be taken; empty: it was."""


class PassEnded(Exception):
    """Inside: a row could not be sent. It never reaches the program."""

    def __init__(self, fault: Exception) -> None:
        super().__init__(str(fault))
        self.fault = fault


class SendingRight(Protocol):
    def hold(self) -> bool:
        """Whether this connection may send now; takes the right if it is free."""
        ...

    def release(self) -> None: ...


class AdvisoryLock:
    """The right to send, in PostgreSQL: an advisory lock of the session, which ends with its connection."""

    def __init__(self, connection: Any, dialect: Dialect, table: TableName) -> None:
        self._connection = connection
        self._dialect = dialect
        self._table = table.sql()
        self._held = False

    def hold(self) -> bool:
        if not self._held:
            self._held = self._call("pg_try_advisory_lock")
        return self._held

    def release(self) -> None:
        if self._held:
            self._held = False
            self._call("pg_advisory_unlock")

    def _call(self, function: str) -> bool:
        """The lock's number is the table's own: two tables of one name in two schemas have two locks."""
        statement = f"SELECT {function}('pg_class'::regclass::oid::int, ?::regclass::oid::int)"
        return bool(self._dialect.execute(self._connection, statement, self._table).fetchone()[0])


class OutboxSender:
    def __init__(self, connection: Any, publisher: Publisher, table: str) -> None:
        """`connection` is the relay's alone, and is set to autocommit. Raises what it raises."""
        self._connection = connection
        self._publisher = publisher
        self._dialect = sync_dialect(connection)
        name = table_name(table, self._dialect)
        self._table = name.sql()
        _set_autocommit(connection, self._dialect)
        bound_locks(connection, self._dialect)
        self._answered: AnsweredRow | None = None
        """Stays while its row is locked by another transaction."""
        self._sagas = SagaSending(self._execute, self._table)
        self._right: SendingRight = (
            RelayLease(connection, name) if self._dialect is SQLITE else AdvisoryLock(connection, self._dialect, name)
        )

    def send_waiting(
        self, go_on: Callable[[], bool], progress: Callable[[bool], object] = lambda _refused: None
    ) -> RelayPass:  # fmt: skip
        """Send until nothing waits, until `go_on` says no, or until an event cannot be sent. `progress` is called after
        each row, with whether it was set aside. Raises the errors of the database; whoever gets one opens another
        connection."""
        ends: list[bool] = []

        def count(is_refused: bool) -> None:
            ends.append(is_refused)
            progress(is_refused)

        held, fault = True, None
        try:
            self._end_answered(count)
            held = self._send_rows(go_on, count)
        except PassEnded as error:
            fault = error.fault
        except OutboxLocked as error:
            fault = error
        return RelayPass(ends.count(False), ends.count(True), held, fault)

    def _send_rows(self, go_on: Callable[[], bool], count: Callable[[bool], object]) -> bool:
        """Returns whether this relay has the right to send. Raises PassEnded."""
        if not self._execute(f"SELECT 1 FROM {self._table} WHERE refused IS NULL LIMIT 1").fetchall():
            return True
        while go_on():
            if not self._right.hold():
                return False
            rows = self._read()
            if not rows:
                break
            for number, row in rows:
                if not go_on() or not self._right.hold():
                    break
                try:
                    self._answered = AnsweredRow(number, row, self._publish(number, row))
                except Exception as fault:
                    raise PassEnded(fault) from fault
                self._end_answered(count)
        return True

    def _end_answered(self, count: Callable[[bool], object]) -> None:
        """Take out, or set aside, the row that was answered, if there is one. Raises OutboxLocked."""
        if self._answered is None:
            return
        number, row, reason = self._answered
        try:
            if reason:
                self._set_aside(number, row, reason)
            else:
                self._execute(f"DELETE FROM {self._table} WHERE number = ?", number)
        except OutboxLocked as error:
            done = "was refused, and cannot be set aside" if reason else "was sent, and cannot be taken out"
            raise OutboxLocked(f"row {number} ({row.type} {row.id}) {done}: {error}") from error
        self._answered = None
        count(bool(reason))

    def close(self) -> None:
        """Give the right to send to whoever waits for it, and close the connection."""
        with suppress(Exception):  # the connection is broken: then the right ends by itself
            self._right.release()
        with suppress(Exception):
            self._connection.close()

    def _read(self) -> list[tuple[int, OutboxRow]]:
        columns = ", ".join(("number", *COLUMNS))
        statement = f"SELECT {columns} FROM {self._table} WHERE refused IS NULL ORDER BY number LIMIT {READ_ROWS}"
        return [(values[0], OutboxRow.read(values[1:])) for values in self._execute(statement).fetchall()]

    def _publish(self, number: int, row: OutboxRow) -> str:
        """Publish the event, or begin the saga, and wait until it is durable. Returns why it will never be taken;
        empty: it was."""
        try:
            send = self._saga(number, row) if row.form == SAGA else partial(self._publisher.publish, **row.call())
        except ValueError as error:
            return f"bad_row: {error}"
        try:
            answer = send(timeout=PUBLISH_S)
        except GossipregError as error:
            if error.code not in REFUSED_CODES:
                raise
            return f"{error.code}: {error}"
        refuse_coroutine("publisher", self._publisher, answer)  # nothing was sent, so the row must stay
        return ""

    def _saga(self, number: int, row: OutboxRow) -> Callable[..., object]:
        from gossipreg.client.outbox.saga_rows import saga_call

        if not isinstance(self._publisher, SagaStarter):
            raise Refused(f"row {row.id} is a saga, and {self._publisher!r} begins none: give the relay a registry")
        return partial(self._sagas.begin, self._publisher, number, row.source, saga_call(row))

    def _set_aside(self, number: int, row: OutboxRow, reason: str) -> None:
        reason = reason[:MAX_REASON].replace("\0", "?")
        self._execute(f"UPDATE {self._table} SET refused = ? WHERE number = ?", reason, number)
        what = "saga" if row.form == SAGA else "event"
        log_warning(
            f"{what} {row.id} ({row.type}) is set aside in {self._table}, row {number}: {reason}; mend it and set "
            "refused to NULL, or delete the row"
        )

    def _execute(self, statement: str, *values: object) -> Any:
        try:
            return self._dialect.execute(self._connection, statement, *values)
        except Exception as error:
            if not is_locked(error):
                raise
            raise locked(self._table, self._dialect) from error


def _set_autocommit(connection: Any, dialect: Dialect) -> None:
    if dialect is not SQLITE or getattr(connection, "autocommit", -1) != -1:  # sqlite3 has it from Python 3.12 on
        connection.autocommit = True
    else:
        connection.isolation_level = None
