"""Inbox: the effect of an event and the note that it happened are one transaction. See `docs/outbox.md`.

Owns: the notes, and the transaction around a handler. Never knows: how events arrive.

An event is delivered at least once, so a handler may get it again, as after a crash between its commit and the
acknowledgement. The note has the key (source, id, handler). Two handlers that get one event at the same time write the
same key: PostgreSQL makes the second wait until the first has ended, SQLite has one writer at a time. So the second
finds a note only if the first was committed.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from time import time
from typing import Any

from gossipreg.client.checks import can_be_stored
from gossipreg.client.log import log_warning
from gossipreg.client.outbox.program_block import HANDLER_BLOCK, ConnectionState, ProgramBlock, connection_state
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
from gossipreg.client.outbox.transactions import (
    joined_transaction,
    joined_transaction_async,
    own_transaction,
    own_transaction_async,
)
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

        Raises Refused if a transaction is open (with `commit=False`: if none is and the connection begins none), if the
        connection is lost, and if the block comes to its end though nothing of it is kept, or though it has ended its
        transaction itself; BadParams, and the errors of the database. An event whose handler raises is delivered again.
        """
        note = _Note(self._table, self._dialect, event, handler)
        transaction = own_transaction if commit else joined_transaction
        block = ProgramBlock(self._connection, self._dialect, HANDLER_BLOCK)
        try:
            with transaction(self._connection, self._dialect, HANDLER_BLOCK), block.around():
                cursor = self._dialect.execute(self._connection, note.statement, *note.values)
                yield note.was_written(cursor, cursor.fetchone() if cursor.description else None)
        except BaseException:
            if block.is_half_kept and note.was_new:
                self._take_back(note)
            raise

    def _take_back(self, note: "_Note") -> None:
        """The block has committed its note by itself, and the rest of it is lost."""
        try:
            self._dialect.execute(self._connection, note.back, *note.values_back)
            if self._dialect is SQLITE:
                self._connection.commit()
            elif connection_state(self._connection, self._dialect) is not ConnectionState.IDLE:
                self._dialect.execute(self._connection, "COMMIT")
        except Exception as error:  # that of the block is raised
            note.tell_that_it_stays(error)

    def forget(self, older_than: timedelta = KEPT) -> int:
        """Delete notes that are older than this, at most 10,000 at a time, and return how many were deleted. It is part
        of the program's transaction, which should do nothing else: in PostgreSQL at REPEATABLE READ or above it fails
        where another one forgets at the same time. Raises BadParams below 7 days: an event may come again until then.
        """
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
        transaction = own_transaction_async if commit else joined_transaction_async
        block = ProgramBlock(self._connection, self._dialect, HANDLER_BLOCK)
        try:
            async with transaction(self._connection, self._dialect, HANDLER_BLOCK), block.around_async():
                cursor = await self._execute(note.statement, *note.values)
                yield note.was_written(cursor, await cursor.fetchone())
        except BaseException:
            if block.is_half_kept and note.was_new:
                await self._take_back(note)
            raise

    async def _take_back(self, note: "_Note") -> None:
        try:
            await self._execute(note.back, *note.values_back)
            if connection_state(self._connection, self._dialect) is not ConnectionState.IDLE:
                await self._execute("COMMIT")
        except Exception as error:
            note.tell_that_it_stays(error)

    async def forget(self, older_than: timedelta = KEPT) -> int:
        """As `Inbox.forget`."""
        statement, value = _forget(self._table, self._dialect, older_than)
        return int((await self._execute(statement, value)).rowcount)

    async def _execute(self, statement: str, *values: object) -> Any:
        return await self._dialect.cursor(self._connection).execute(self._dialect.text(statement), values)


class _Note:
    """That this handler has handled this event: the statement that writes it."""

    def __init__(self, table: TableName, dialect: Dialect, event: ReceivedEvent, handler: str) -> None:
        if not isinstance(handler, str) or not 1 <= len(handler) <= MAX_HANDLER or not can_be_stored(handler):
            raise BadParams(f"handler is {handler!r}: name what is done with the event, in 1 to {MAX_HANDLER} letters")
        source, id = getattr(event, "source", None), getattr(event, "id", None)
        if not isinstance(source, str) or not isinstance(id, str):
            raise BadParams(f"event is {event!r}: give the event that the handler got, which has a source and an id")
        if not can_be_stored(source) or not can_be_stored(id):
            raise BadParams(f"the event has source {source!r} and id {id!r}, which are no text that a database keeps")
        self._name = f"event {id} of {source} for {handler!r} in {table.sql()}"
        self._key = (source, id, handler)
        noted = "(extract(epoch FROM noted_at) * 1000000)::bigint"
        self.values: tuple[object, ...] = self._key
        columns, marks, returning = "source, id, handler", "?, ?, ?", f" RETURNING {noted}"
        if dialect is SQLITE:  # it can return nothing before its release 3.35
            noted = "noted_at"
            self.values, columns, marks, returning = (*self._key, time()), f"{columns}, noted_at", f"{marks}, ?", ""
        self.statement = f"INSERT INTO {table.sql()} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING{returning}"
        self.back = f"DELETE FROM {table.sql()} WHERE source = ? AND id = ? AND handler = ? AND {noted} = ?"
        """Deletes this note, and not one that another instance has written since."""
        self.values_back: tuple[object, ...] = ()
        self.was_new = False

    def was_written(self, cursor: Any, returned: tuple[Any, ...] | None) -> bool:
        """Whether the handler is to act. `returned`: by the statement, in PostgreSQL."""
        self.was_new = cursor.rowcount == 1
        self.values_back = (*self._key, *(returned or self.values[3:]))
        return self.was_new

    def tell_that_it_stays(self, error: Exception) -> None:
        log_warning(
            f"the note of {self._name} stays, though its block has failed after a commit of its own, so that the event "
            f"counts as handled ({' '.join(str(error).split())}): delete the note"
        )


def _forget(table: TableName, dialect: Dialect, older_than: timedelta) -> tuple[str, float]:
    if not isinstance(older_than, timedelta) or older_than < LEAST_KEPT:
        raise BadParams(f"older_than is {older_than!r}: give a timedelta of at least {LEAST_KEPT.days} days")
    seconds = older_than.total_seconds()
    if dialect is SQLITE:
        found = f"SELECT rowid FROM {table.sql()} WHERE noted_at < ? LIMIT {FORGET_ROWS}"
        return f"DELETE FROM {table.sql()} WHERE rowid IN ({found})", time() - seconds
    old = "noted_at < now() - make_interval(secs => ?)"  # two at the same time neither wait for each other nor fail
    found = f"SELECT ctid FROM {table.sql()} WHERE {old} LIMIT {FORGET_ROWS} FOR UPDATE SKIP LOCKED"
    return f"DELETE FROM {table.sql()} WHERE ctid = ANY (ARRAY({found}))", seconds
