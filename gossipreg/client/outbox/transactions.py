"""A transaction around something that the program hands in: of its own, or the program's.

Owns: where it begins and ends. Never knows: what happens in it.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from gossipreg.client.outbox.program_block import (
    IN_PIPELINE,
    ROLLBACK,
    BlockWords,
    ConnectionState,
    connection_state,
    lost,
)
from gossipreg.client.outbox.tables import SQLITE, Dialect
from gossipreg.errors import Refused


@contextmanager
def own_transaction(connection: Any, dialect: Dialect, words: BlockWords) -> Iterator[None]:
    """A transaction of its own, committed at the end. In SQLite by statements: the methods of a connection with
    autocommit=True (Python 3.12) do nothing."""
    _check_idle(connection, dialect, words)
    if dialect is not SQLITE:
        with connection.transaction():
            yield
        return
    dialect.execute(connection, "BEGIN IMMEDIATE")  # another one waits here, and not with half its work
    try:
        yield
        dialect.execute(connection, "COMMIT")
    except BaseException:
        if connection_state(connection, dialect) is ConnectionState.OPEN:
            dialect.execute(connection, ROLLBACK)
        raise


@asynccontextmanager
async def own_transaction_async(connection: Any, dialect: Dialect, words: BlockWords) -> AsyncIterator[None]:
    """As `own_transaction`, for a psycopg.AsyncConnection."""
    _check_idle(connection, dialect, words)
    async with connection.transaction():
        yield


@contextmanager
def joined_transaction(connection: Any, dialect: Dialect, words: BlockWords) -> Iterator[None]:
    """The program's transaction, which it commits. It is begun here where its connection would do so by itself."""
    if _check_joined(connection, dialect, words) is ConnectionState.IDLE and dialect is SQLITE:
        dialect.execute(connection, "BEGIN IMMEDIATE")
    yield


@asynccontextmanager
async def joined_transaction_async(connection: Any, dialect: Dialect, words: BlockWords) -> AsyncIterator[None]:
    """As `joined_transaction`, for a psycopg.AsyncConnection."""
    _check_joined(connection, dialect, words)
    yield


def _check_idle(connection: Any, dialect: Dialect, words: BlockWords) -> None:
    state = _usable(connection, dialect, words)
    if state is ConnectionState.OPEN:
        if dialect is SQLITE and getattr(connection, "autocommit", None) is False:
            raise Refused(
                "this connection of sqlite3 was made with autocommit=False, so a transaction is always open on it: "
                f"give commit=False and commit {words.before}, or connect without autocommit"
            )
        raise Refused(
            f"a transaction is open on this connection, so {words.block} would be committed only with it: commit it "
            f"before, or give commit=False and commit {words.before}"
        )


def _check_joined(connection: Any, dialect: Dialect, words: BlockWords) -> ConnectionState:
    state = _usable(connection, dialect, words)
    if state is ConnectionState.IDLE:
        is_by_hand = getattr(connection, "autocommit", None) is True  # sqlite3 has it from Python 3.12 on
        if is_by_hand or (dialect is SQLITE and connection.isolation_level is None):
            raise Refused("no transaction is open on this connection, which is in autocommit mode: begin one before")
    return state


def _usable(connection: Any, dialect: Dialect, words: BlockWords) -> ConnectionState:
    state = connection_state(connection, dialect)
    if state is ConnectionState.LOST:
        raise lost(words)
    if state is ConnectionState.PIPELINE:
        raise Refused(IN_PIPELINE)
    if state is ConnectionState.RUNNING:
        raise Refused("a statement or a COPY still runs on this connection: let it end before")
    if state is ConnectionState.FAILED:
        raise Refused(
            "a statement has failed in the transaction that is open on this connection, so PostgreSQL keeps nothing of "
            "it: roll it back before"
        )
    return state
