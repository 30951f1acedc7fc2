"""Inbox: the effect of an event and the note that it happened are one transaction. See `docs/outbox.md`.

Owns: the notes, and the transaction around a handler. Never knows: how events arrive.

An event is delivered at least once, so a handler may get it again, as after a crash between its commit and the
acknowledgement. The note has the key (source, id, handler). Two handlers that get one event at the same time write the
same key: PostgreSQL makes the second wait until the first has ended, SQLite has one writer at a time. So the second
finds a note only if the first was committed.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from time import time
from typing import Any

from gossipreg.client.outbox.publisher import ReceivedEvent
from gossipreg.client.outbox.tables import (
    INBOX_TABLE,
    SQLITE,
    Dialect,
    TableName,
    async_dialect,
    create_tables,
    create_tables_async,
    in_one_script,
    inbox_tables,
    sync_dialect,
    table_name,
)
from gossipreg.client.outbox.transactions import async_transaction, own_transaction, part_of_transaction
from gossipreg.errors import BadParams

LEAST_KEPT = timedelta(days=7)
"""As long as a dead letter is kept, and may be retried by hand."""
KEPT = timedelta(days=14)
FORGET_ROWS = 10_000
"""Notes that one call of `forget` deletes: more would hold locks for long."""
MAX_HANDLER = 256


class Inbox:
    """The inbox in the database of this connection of sqlite3 or psycopg. Making one costs nothing and asks nothing."""

    def __init__(self, connection: Any, *, table: str = INBOX_TABLE) -> None:
        self._connection = connection
        self._dialect = sync_dialect(connection)
        self._table = table_name(table, self._dialect)

    @property
    def sql(self) -> str:
        """The statements of `create_table`, for programs that keep their migrations themselves."""
        return in_one_script(inbox_tables(self._table, self._dialect))

    def create_table(self) -> None:
        """Make the table unless it is there, in the program's transaction if one is open."""
        create_tables(self._connection, self._dialect, inbox_tables(self._table, self._dialect))

    @contextmanager
    def once(self, event: ReceivedEvent, handler: str, *, commit: bool = True) -> Iterator[bool]:
        """Give True if this handler has not handled this event yet: then do its effect, on this connection.

        The block is one transaction: it begins here, is committed at the end of the block, and rolled back if that
        raises. With `commit=False` it is part of the program's transaction, and the program commits it, before the
        event is acknowledged. `handler` names what is done: two handlers of one event have two names.

        Raises Refused if a transaction is open (with `commit=False`: if none is and the connection begins none), and
        the errors of the database; an event whose handler raises is delivered again.
        """
        note = _Note(self._table, self._dialect, event, handler)
        transaction = own_transaction if commit else part_of_transaction
        failed = False
        try:
            with transaction(self._connection, self._dialect):
                is_new = note.is_new(self._dialect.execute(self._connection, note.statement, *note.values).rowcount)
                try:
                    yield is_new
                except BaseException:
                    failed = is_new and commit
                    raise
        except BaseException:
            if failed:
                self._take_back(note)
            raise

    def _take_back(self, note: "_Note") -> None:
        """The block has raised: a note that it has committed by itself would keep the event from being handled. psycopg
        allows no such commit."""
        if self._dialect is SQLITE:
            with suppress(Exception):  # the block's own error is what is told
                self._dialect.execute(self._connection, note.back, *note.values)
                self._connection.commit()

    def forget(self, older_than: timedelta = KEPT) -> int:
        """Delete notes that are older than this, at most 10,000 at a time, and return how many were deleted. It is part
        of the program's transaction. Raises BadParams below 7 days: an event may come again until then."""
        statement, value = _forget(self._table, self._dialect, older_than)
        return int(self._dialect.execute(self._connection, statement, value).rowcount)


class AsyncInbox:
    """As `Inbox`, for a psycopg.AsyncConnection."""

    def __init__(self, connection: Any, *, table: str = INBOX_TABLE) -> None:
        self._connection = connection
        self._dialect = async_dialect(connection)
        self._table = table_name(table, self._dialect)

    @property
    def sql(self) -> str:
        """As `Inbox.sql`."""
        return in_one_script(inbox_tables(self._table, self._dialect))

    async def create_table(self) -> None:
        """As `Inbox.create_table`."""
        await create_tables_async(self._connection, inbox_tables(self._table, self._dialect))

    @asynccontextmanager
    async def once(self, event: ReceivedEvent, handler: str, *, commit: bool = True) -> AsyncIterator[bool]:
        """As `Inbox.once`."""
        note = _Note(self._table, self._dialect, event, handler)
        async with async_transaction(self._connection, commit=commit):
            yield note.is_new((await self._execute(note.statement, *note.values)).rowcount)

    async def forget(self, older_than: timedelta = KEPT) -> int:
        """As `Inbox.forget`."""
        statement, value = _forget(self._table, self._dialect, older_than)
        return int((await self._execute(statement, value)).rowcount)

    async def _execute(self, statement: str, *values: object) -> Any:
        return await self._dialect.cursor(self._connection).execute(self._dialect.text(statement), values)


class _Note:
    """That this handler has handled this event: the statement that writes it."""

    def __init__(self, table: TableName, dialect: Dialect, event: ReceivedEvent, handler: str) -> None:
        if not isinstance(handler, str) or not 1 <= len(handler) <= MAX_HANDLER or "\0" in handler:
            raise BadParams(f"handler is {handler!r}: name what is done with the event, in 1 to {MAX_HANDLER} letters")
        source, id = getattr(event, "source", None), getattr(event, "id", None)
        if not isinstance(source, str) or not isinstance(id, str):
            raise BadParams(f"event is {event!r}: give the event that the handler got, which has a source and an id")
        self.values: tuple[object, ...] = (source, id, handler)
        columns = "source, id, handler"
        if dialect is SQLITE:
            self.values, columns = (*self.values, time()), f"{columns}, noted_at"
        marks = ", ".join("?" * len(self.values))
        self.back = f"DELETE FROM {table.sql()} WHERE " + " AND ".join(f"{name} = ?" for name in columns.split(", "))
        """Deletes this note, and not one that another instance has written since."""
        self.statement = f"INSERT INTO {table.sql()} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING"

    def is_new(self, rowcount: int) -> bool:
        return rowcount == 1


def _forget(table: TableName, dialect: Dialect, older_than: timedelta) -> tuple[str, float]:
    if not isinstance(older_than, timedelta) or older_than < LEAST_KEPT:
        raise BadParams(f"older_than is {older_than!r}: give a timedelta of at least {LEAST_KEPT.days} days")
    seconds = older_than.total_seconds()
    if dialect is SQLITE:
        row, old, value = "rowid", "noted_at < ?", time() - seconds
    else:
        row, old, value = "ctid", "noted_at < now() - make_interval(secs => ?)", seconds
    found = f"SELECT {row} FROM {table.sql()} WHERE {old} LIMIT {FORGET_ROWS}"
    return f"DELETE FROM {table.sql()} WHERE {row} IN ({found})", value
