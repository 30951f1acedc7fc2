"""Outbox: an event is written in the transaction of the data that it speaks of. See `docs/outbox.md`.

Owns: the insert. Never knows: when the program commits, or who sends the row. Nothing here commits or rolls back.

    with connection:
        connection.execute("INSERT INTO orders (id) VALUES (?)", (7,))
        Outbox(connection).publish("order.created", {"order": 7}, key="order-7")
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gossipreg.client.outbox.relays import RELAYS
from gossipreg.client.outbox.rows import COLUMNS, OutboxRow, make_row
from gossipreg.client.outbox.tables import (
    OUTBOX_TABLE,
    TableName,
    async_dialect,
    create_tables,
    create_tables_async,
    in_one_script,
    outbox_tables,
    sync_dialect,
    table_name,
)

if TYPE_CHECKING:
    from gossipreg.client.outbox.saga_rows import Definition


class Outbox:
    """The outbox in the database of this connection of sqlite3 or psycopg. Making one costs nothing and asks nothing,
    so make one wherever there is a connection."""

    def __init__(self, connection: Any, *, table: str = OUTBOX_TABLE) -> None:
        self._connection = connection
        self._dialect = sync_dialect(connection)
        self._table = table_name(table, self._dialect)
        self._insert = _insert(self._table)

    @property
    def sql(self) -> str:
        """The statements of `create_table`, for programs that keep their migrations themselves."""
        return in_one_script(outbox_tables(self._table, self._dialect))

    def create_table(self) -> None:
        """Make the table unless it is there, in the program's transaction if one is open."""
        create_tables(self._connection, self._dialect, outbox_tables(self._table, self._dialect))

    def publish(
        self, type: str, data: object = None, *, id: str | None = None, source: str | None = None,
        key: str | None = None, subject: str | None = None, datacontenttype: str | None = None,
        time: str | None = None, extensions: Mapping[str, str] | None = None,
    ) -> str:  # fmt: skip
        """Write the event into the transaction that is open, and return its id. It is published after the commit, and
        never without it.

        Parameters as of `Registry.publish`; `id` is drawn if it is left out, and `time` is now. Raises BadParams or
        TooLarge for what no journal would take, and the errors of the database. In autocommit mode, outside a
        transaction, the event is committed at once: then it is no more than a queue.
        """
        row = make_row(
            type, data, id=id, source=source, key=key, subject=subject, datacontenttype=datacontenttype, time=time,
            extensions=extensions,
        )  # fmt: skip
        self._dialect.execute(self._connection, self._insert, *row.values)
        return row.id

    def begin_saga(
        self, definition: "Definition", input: object = None, *, id: str | None = None
    ) -> str:  # fmt: skip
        """Write a declared saga into the transaction that is open, and return its id. It is begun after the commit, and
        never without it.

        `definition` is a map, or TOML or JSON as text (`gossipreg docs sagas`); `input` is what JSON can hold. Raises
        BadParams or TooLarge for what no journal would take, and the errors of the database.
        """
        from gossipreg.client.outbox.saga_rows import make_saga_row

        row = make_saga_row(definition, input, id)
        self._dialect.execute(self._connection, self._insert, *row.values)
        return row.id

    def wake(self) -> None:
        """Have the relays of this process that send this table look at once. Call it after the commit; without it they
        look every second."""
        RELAYS.wake(self._table)


class AsyncOutbox:
    """As `Outbox`, for a psycopg.AsyncConnection."""

    def __init__(self, connection: Any, *, table: str = OUTBOX_TABLE) -> None:
        self._connection = connection
        self._dialect = async_dialect(connection)
        self._table = table_name(table, self._dialect)
        self._insert = self._dialect.text(_insert(self._table))

    @property
    def sql(self) -> str:
        """As `Outbox.sql`."""
        return in_one_script(outbox_tables(self._table, self._dialect))

    async def create_table(self) -> None:
        """As `Outbox.create_table`."""
        await create_tables_async(self._connection, outbox_tables(self._table, self._dialect))

    async def publish(
        self, type: str, data: object = None, *, id: str | None = None, source: str | None = None,
        key: str | None = None, subject: str | None = None, datacontenttype: str | None = None,
        time: str | None = None, extensions: Mapping[str, str] | None = None,
    ) -> str:  # fmt: skip
        """As `Outbox.publish`."""
        row: OutboxRow = make_row(
            type, data, id=id, source=source, key=key, subject=subject, datacontenttype=datacontenttype, time=time,
            extensions=extensions,
        )  # fmt: skip
        await self._dialect.cursor(self._connection).execute(self._insert, row.values)
        return row.id

    async def begin_saga(
        self, definition: "Definition", input: object = None, *, id: str | None = None
    ) -> str:  # fmt: skip
        """As `Outbox.begin_saga`."""
        from gossipreg.client.outbox.saga_rows import make_saga_row

        row = make_saga_row(definition, input, id)
        await self._dialect.cursor(self._connection).execute(self._insert, row.values)
        return row.id

    def wake(self) -> None:
        """As `Outbox.wake`."""
        RELAYS.wake(self._table)


def _insert(table: TableName) -> str:
    return f"INSERT INTO {table.sql()} ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
