"""A transaction around something that the program hands in: of its own, or a part of the program's.

Owns: where it begins and ends. Never knows: what happens in it.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from gossipreg.client.outbox.tables import SQLITE, Dialect
from gossipreg.errors import Refused

IDLE = 0
"""psycopg.pq.TransactionStatus.IDLE: no transaction is open."""


@contextmanager
def own_transaction(connection: Any, dialect: Dialect) -> Iterator[None]:
    """A transaction of its own, committed at the end."""
    if dialect is not SQLITE:
        _check_idle(connection)
        with connection.transaction():
            yield
        return
    if connection.in_transaction:
        raise Refused(_ALWAYS_OPEN if getattr(connection, "autocommit", None) is False else _OPEN)
    dialect.execute(connection, "BEGIN IMMEDIATE")  # another one waits here, and not with half its work
    try:
        yield
        if not connection.in_transaction:
            raise Refused("the block has ended its transaction itself: leave that to gossipreg")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


_OPEN = (
    "a transaction is open on this connection, so the note would be committed only with it: commit it before, or give "
    "commit=False and commit before you answer, or the event is acknowledged"
)
_ALWAYS_OPEN = (
    "this connection of sqlite3 was made with autocommit=False, so a transaction is always open on it: give "
    "commit=False and commit before you answer, or the event is acknowledged; or connect without autocommit"
)
_NONE_OPEN = "no transaction is open on this connection, which is in autocommit mode: begin one before"


def _check_idle(connection: Any) -> None:
    if connection.info.transaction_status != IDLE:
        raise Refused(_OPEN)


@contextmanager
def part_of_transaction(connection: Any, dialect: Dialect) -> Iterator[None]:
    """A part of the program's transaction. If the block raises, its note goes too, even if the program commits."""
    _begin(connection, dialect)
    dialect.execute(connection, "SAVEPOINT gossipreg_part")
    try:
        yield
        dialect.execute(connection, "RELEASE SAVEPOINT gossipreg_part")
    except BaseException:
        with suppress(Exception):  # the block has ended the transaction, or the connection is broken
            dialect.execute(connection, "ROLLBACK TO SAVEPOINT gossipreg_part")
            dialect.execute(connection, "RELEASE SAVEPOINT gossipreg_part")
        raise


def _begin(connection: Any, dialect: Dialect) -> None:
    """Begin the program's transaction where its connection would do so by itself."""
    if dialect is SQLITE:
        if connection.in_transaction:
            return
        if connection.isolation_level is not None:
            dialect.execute(connection, "BEGIN IMMEDIATE")
            return
    elif connection.info.transaction_status != IDLE or not connection.autocommit:
        return
    raise Refused(_NONE_OPEN)


@asynccontextmanager
async def async_transaction(connection: Any, *, commit: bool) -> AsyncIterator[None]:
    """As the others, for a psycopg.AsyncConnection."""
    if commit:
        _check_idle(connection)
    elif connection.info.transaction_status == IDLE:
        if connection.autocommit:
            raise Refused(_NONE_OPEN)
        await connection.execute("SELECT 1")  # begins the transaction, so that the next line is a savepoint
    async with connection.transaction():
        yield
