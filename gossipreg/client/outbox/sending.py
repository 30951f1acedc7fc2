"""Send the rows that wait: one pass over an outbox, on a connection of the relay's own.

Owns: the order of read, publish and take out; the right to send. Never knows: threads, the time between two passes.

A pass reads the rows that are there, lowest number first, and never remembers how far it came: in PostgreSQL a row with
a lower number may be committed after one with a higher number. Each row is taken out after its own durable answer. If
the relay ends between the two, the row is sent again with the same id, which the journal takes for the same event. Rows
are deleted and not marked, so that the table stays as small as what waits; what was sent is in the journal.

A row that the journal will never take is set aside with the reason, and the others go on. Any other failure ends the
pass: what comes later must not overtake.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from gossipreg.client.log import log_warning
from gossipreg.client.outbox.leases import RelayLease
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
        self._sagas = SagaSending(self._execute, self._table)
        self._right: SendingRight = (
            RelayLease(connection, name) if self._dialect is SQLITE else AdvisoryLock(connection, self._dialect, name)
        )

    def send_waiting(self, go_on: Callable[[], bool]) -> RelayPass:
        """Send until nothing waits, until `go_on` says no, or until an event cannot be sent. Raises the errors of the
        database; whoever gets one opens another connection."""
        sent = refused = 0
        if not self._execute(f"SELECT 1 FROM {self._table} WHERE refused IS NULL LIMIT 1").fetchall():
            return RelayPass(0, 0, held=True)
        while go_on():
            if not self._right.hold():
                return RelayPass(sent, refused, held=False)
            rows = self._read()
            if not rows:
                break
            for number, row in rows:
                if not go_on() or not self._right.hold():
                    break
                try:
                    reason = self._publish(number, row)
                except Exception as fault:
                    return RelayPass(sent, refused, held=True, fault=fault)
                if reason:
                    self._set_aside(number, row, reason)
                    refused += 1
                else:
                    self._execute(f"DELETE FROM {self._table} WHERE number = ?", number)
                    sent += 1
        return RelayPass(sent, refused, held=True)

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
            send(timeout=PUBLISH_S)
        except GossipregError as error:
            if error.code not in REFUSED_CODES:
                raise
            return f"{error.code}: {error}"
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
        return self._dialect.execute(self._connection, statement, *values)


def _set_autocommit(connection: Any, dialect: Dialect) -> None:
    if dialect is not SQLITE or getattr(connection, "autocommit", -1) != -1:  # sqlite3 has it from Python 3.12 on
        connection.autocommit = True
    else:
        connection.isolation_level = None
