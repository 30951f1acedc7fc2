"""The tables of outbox and inbox in SQLite and PostgreSQL, and which of the two a connection is.

Owns: the statements that make the tables, and how a statement is executed. Never knows: when a transaction ends.

A statement is written once, with `?` for each value; `Dialect.text` makes PostgreSQL's form of it. A cursor of our own
gives plain tuples, whatever row or cursor factory the program has set for its connection.
"""

import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from gossipreg.errors import BadParams

OUTBOX_TABLE = "gossipreg_outbox"
INBOX_TABLE = "gossipreg_inbox"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")
"""PostgreSQL cuts names after 63 bytes; the longest of ours is the table's name and 7 letters."""


@dataclass(frozen=True, slots=True)
class Dialect:
    name: str
    placeholder: str
    cursor: Callable[[Any], Any]

    def text(self, statement: str) -> str:
        return statement.replace("?", self.placeholder)

    def execute(self, connection: Any, statement: str, *values: object) -> Any:
        """The cursor after this statement."""
        cursor = self.cursor(connection)
        cursor.execute(self.text(statement), values)
        return cursor


def _sqlite_cursor(connection: Any) -> Any:
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor


def _postgres_cursor(connection: Any) -> Any:
    import psycopg
    from psycopg.rows import tuple_row

    return psycopg.Cursor(connection, row_factory=tuple_row)


def _async_cursor(connection: Any) -> Any:
    import psycopg
    from psycopg.rows import tuple_row

    return psycopg.AsyncCursor(connection, row_factory=tuple_row)


SQLITE = Dialect("SQLite", "?", _sqlite_cursor)
POSTGRES = Dialect("PostgreSQL", "%s", _postgres_cursor)
ASYNC_POSTGRES = Dialect("PostgreSQL", "%s", _async_cursor)
_CONNECTIONS = {
    ("sqlite3", "Connection"): SQLITE,
    ("psycopg", "Connection"): POSTGRES,
    ("psycopg", "AsyncConnection"): ASYNC_POSTGRES,
}


def dialect_of(connection: object) -> Dialect:
    """Raises BadParams for anything but a connection of sqlite3 or psycopg."""
    for base in type(connection).__mro__:
        dialect = _CONNECTIONS.get((base.__module__.partition(".")[0], base.__name__))
        if dialect is not None:
            return dialect
    raise BadParams(
        f"connection is {connection!r}: give one of sqlite3 or of psycopg 3; a pool or a library above them has it "
        "inside (SQLAlchemy: connection.connection.driver_connection)"
    )


def sync_dialect(connection: object) -> Dialect:
    """As `dialect_of`, for threads."""
    dialect = dialect_of(connection)
    if dialect is ASYNC_POSTGRES:
        raise BadParams(
            "connection is a psycopg.AsyncConnection: use the class of the same name that begins with Async"
        )
    return dialect


def async_dialect(connection: object) -> Dialect:
    """As `dialect_of`, for asyncio."""
    if dialect_of(connection) is not ASYNC_POSTGRES:
        raise BadParams(f"connection is {connection!r}: give a psycopg.AsyncConnection, or use the class without Async")
    return ASYNC_POSTGRES


@dataclass(frozen=True, slots=True)
class TableName:
    schema: str
    """Empty: where the connection finds it."""
    name: str

    def sql(self, suffix: str = "") -> str:
        quoted = f'"{self.name}{suffix}"'
        return f'"{self.schema}".{quoted}' if self.schema else quoted


def table_name(text: str, dialect: Dialect) -> TableName:
    """Raises BadParams unless it is NAME, or SCHEMA.NAME in PostgreSQL."""
    parts = text.split(".") if isinstance(text, str) else []
    if not 1 <= len(parts) <= (1 if dialect is SQLITE else 2) or not all(_NAME.fullmatch(part) for part in parts):
        raise BadParams(f"table is {text!r}: choose 1 to 48 letters, digits and _ (in PostgreSQL SCHEMA.TABLE as well)")
    return TableName("" if len(parts) == 1 else parts[0], parts[-1])


def outbox_tables(table: TableName, dialect: Dialect) -> tuple[str, ...]:
    """The statements that make an outbox, each harmless where it is there already."""
    sqlite = dialect is SQLITE
    number = "INTEGER PRIMARY KEY AUTOINCREMENT" if sqlite else "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    made = (
        f"CREATE TABLE IF NOT EXISTS {table.sql()} (number {number}, id TEXT NOT NULL, type TEXT NOT NULL, "
        "source TEXT, subject TEXT, key TEXT, datacontenttype TEXT, time TEXT NOT NULL, extensions TEXT, "
        f"form TEXT NOT NULL, data {'BLOB' if sqlite else 'bytea'}, refused TEXT)",
        f'CREATE INDEX IF NOT EXISTS "{table.name}_unsent" ON {table.sql()} (number) WHERE refused IS NULL',
    )
    lease = (
        f"CREATE TABLE IF NOT EXISTS {table.sql('_relay')} "
        "(one INTEGER PRIMARY KEY CHECK (one = 1), holder TEXT NOT NULL, until REAL NOT NULL)"
    )
    return (*made, lease) if sqlite else made


def inbox_tables(table: TableName, dialect: Dialect) -> tuple[str, ...]:
    """The statements that make an inbox."""
    noted = "REAL NOT NULL" if dialect is SQLITE else "timestamptz NOT NULL DEFAULT now()"
    return (
        f"CREATE TABLE IF NOT EXISTS {table.sql()} (source TEXT NOT NULL, id TEXT NOT NULL, handler TEXT NOT NULL, "
        f"noted_at {noted}, PRIMARY KEY (source, id, handler))",
        f'CREATE INDEX IF NOT EXISTS "{table.name}_noted" ON {table.sql()} (noted_at)',
    )


CREATING = "SELECT pg_advisory_xact_lock(hashtext('gossipreg.create_table'))"
"""Two programs that make the same table of PostgreSQL at once fail in spite of IF NOT EXISTS, so one waits. The lock
lasts as long as its transaction: in autocommit mode the statements get one of their own."""


def in_one_script(statements: tuple[str, ...]) -> str:
    return "".join(f"{statement};\n" for statement in statements)


def create_tables(connection: Any, dialect: Dialect, statements: tuple[str, ...]) -> None:
    if dialect is POSTGRES:
        statements = (CREATING, *statements)
    with connection.transaction() if dialect is POSTGRES and connection.autocommit else nullcontext():
        for statement in statements:
            dialect.execute(connection, statement)


async def create_tables_async(connection: Any, statements: tuple[str, ...]) -> None:
    async with connection.transaction() if connection.autocommit else nullcontext():
        for statement in (CREATING, *statements):
            await _async_cursor(connection).execute(statement)
