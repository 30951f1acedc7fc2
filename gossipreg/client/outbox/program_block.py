"""What a program does in a transaction, with a savepoint around it that shows what became of the transaction.

Owns: the savepoint, the state of a connection, the words for what goes wrong. Never knows: what the program does.

A block may end its transaction itself, catch the error of a statement, or lose its connection, and then come to its end
as if all was well. PostgreSQL answers the COMMIT of a failed transaction with ROLLBACK and no error, psycopg commits
nothing on a connection that is lost and raises nothing, and after a COMMIT of the block's own both libraries begin
another transaction by themselves. A savepoint is released only in a sound transaction that is still the same one.

What is done with it are generators: each yields a statement, and gets the error of it, or None.
"""

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import Enum
from typing import Any, NamedTuple

from gossipreg.client.outbox.tables import SQLITE, Dialect
from gossipreg.errors import Refused

Steps = Generator[str, Exception | None, None]
ROLLBACK = "ROLLBACK"


class ConnectionState(Enum):
    IDLE = "no transaction is open"
    OPEN = "a transaction is open"
    FAILED = "a statement of the open transaction has failed, so PostgreSQL keeps nothing of it"
    RUNNING = "a statement or a COPY has not ended"
    PIPELINE = "psycopg's pipeline mode"
    LOST = "closed, or lost"


_STATES = (ConnectionState.IDLE, ConnectionState.RUNNING, ConnectionState.OPEN, ConnectionState.FAILED)
"""By psycopg.pq.TransactionStatus. Another one has a connection that is lost."""


def connection_state(connection: Any, dialect: Dialect) -> ConnectionState:
    """Asks the library, not the server: that a connection is lost shows only after a statement on it."""
    if dialect is SQLITE:
        try:
            return ConnectionState.OPEN if connection.in_transaction else ConnectionState.IDLE
        except Exception:  # sqlite3.ProgrammingError: it is closed
            return ConnectionState.LOST
    status = connection.info.transaction_status
    if status >= len(_STATES):
        return ConnectionState.LOST
    return ConnectionState.PIPELINE if connection.info.pipeline_status else _STATES[status]


class BlockWords(NamedTuple):
    """How to speak of a block of the program."""

    block: str
    before: str
    """When the program must have committed a transaction of its own."""
    again: str
    ended: str
    """What becomes of what it has committed itself."""


HANDLER_BLOCK = BlockWords(
    "the block", "before the handler returns", "the event is delivered again",
    "what it has committed stays, and the event is delivered again",
)  # fmt: skip
DO_WORK = BlockWords(
    "the work", "before you answer", "the step is sent again", "what it has committed stays until the step is undone"
)
UNDO_WORK = BlockWords(
    "the work", "before you answer", "the undo is sent again",
    "what it has committed stays, and the undo is sent again",
)  # fmt: skip


IN_PIPELINE = (
    "this connection is in pipeline mode, where no statement has its result at once: leave the pipeline before"
)


def lost(words: BlockWords) -> Refused:
    return Refused(
        f"the connection to the database is closed or lost, so nothing of {words.block} is kept, and {words.again}: "
        "open another connection for it"
    )


def ended(words: BlockWords) -> Refused:
    return Refused(
        f"{words.block} has ended the transaction that it is part of: it must neither commit nor roll back, and "
        f"{words.ended}"
    )


def failed(words: BlockWords) -> Refused:
    return Refused(
        f"a statement of {words.block} has failed and its error was caught, but PostgreSQL keeps nothing of such a "
        f"transaction, so {words.again}: let the error out, or put a connection.transaction() around the statement"
    )


class ProgramBlock:
    """A block of the program inside a transaction on this connection."""

    def __init__(self, connection: Any, dialect: Dialect, words: BlockWords, name: str = "gossipreg_part") -> None:
        self._connection = connection
        self._dialect = dialect
        self._words = words
        self._name = name
        self.is_half_kept = False
        """The block has committed a part of its work itself, or rolled it back, and the rest is lost."""

    @contextmanager
    def around(self) -> Iterator[None]:
        """The savepoint around the block. If that raises, nothing of it stays in the transaction. Raises Refused if it
        comes to its end and the transaction keeps nothing of it."""
        self.run(self.begin())
        try:
            yield
        except BaseException:
            self.run(self._after_error())
            raise
        self.run(self.keep())

    @asynccontextmanager
    async def around_async(self) -> AsyncIterator[None]:
        """As `around`."""
        await self.run_async(self.begin())
        try:
            yield
        except BaseException:
            await self.run_async(self._after_error())
            raise
        await self.run_async(self.keep())

    def begin(self) -> Steps:
        yield from self._must(f"SAVEPOINT {self._name}")

    def keep(self) -> Steps:
        """End the block. Raises Refused if the transaction is lost, failed, or another one than at its beginning."""
        state, error = self._state, None
        if state is ConnectionState.PIPELINE:
            raise Refused(IN_PIPELINE)
        if state in (ConnectionState.OPEN, ConnectionState.RUNNING):
            error = yield f"RELEASE SAVEPOINT {self._name}"
            if error is None:
                return
        was_there = yield from self._went_back()
        now = self._state
        if now is ConnectionState.LOST:
            raise lost(self._words) from error
        if was_there or now is ConnectionState.RUNNING:
            raise failed(self._words) if error is None else error
        # a block that has ended its transaction and begun no other one has lost nothing
        self.is_half_kept = state is not ConnectionState.IDLE
        yield from self._roll_back()
        raise ended(self._words) from error

    def drop(self) -> Steps:
        """Take back what the block did, and stay in it. Raises Refused if the transaction is lost or another one."""
        if (error := (yield f"ROLLBACK TO SAVEPOINT {self._name}")) is not None:
            raise (lost if self._state is ConnectionState.LOST else ended)(self._words) from error

    def run(self, steps: Steps) -> None:
        error: Exception | None = None
        while True:
            try:
                statement = steps.send(error)
            except StopIteration:
                return
            try:
                if statement == ROLLBACK and self._dialect is SQLITE and self._is_always_open:
                    self._connection.rollback()  # which begins the next one
                else:
                    self._dialect.execute(self._connection, statement)
                error = None
            except Exception as raised:
                error = raised

    async def run_async(self, steps: Steps) -> None:
        error: Exception | None = None
        while True:
            try:
                statement = steps.send(error)
            except StopIteration:
                return
            try:
                await self._dialect.cursor(self._connection).execute(statement)
                error = None
            except Exception as raised:
                error = raised

    @property
    def _state(self) -> ConnectionState:
        return connection_state(self._connection, self._dialect)

    @property
    def _is_always_open(self) -> bool:
        """Whether sqlite3 has a transaction open at all times: it does with autocommit=False (Python 3.12)."""
        return getattr(self._connection, "autocommit", None) is False

    def _must(self, statement: str) -> Steps:
        if (error := (yield statement)) is not None:
            raise error

    def _after_error(self) -> Steps:
        if (yield from self._went_back()):
            return
        if self._state in (ConnectionState.IDLE, ConnectionState.OPEN, ConnectionState.FAILED):
            self.is_half_kept = True
            yield from self._roll_back()

    def _went_back(self) -> Generator[str, Exception | None, bool]:
        """Roll back to the savepoint, and take it away. Returns whether it was there."""
        if self._state in (ConnectionState.LOST, ConnectionState.IDLE):
            return False
        if (yield f"ROLLBACK TO SAVEPOINT {self._name}") is not None:
            return False
        yield f"RELEASE SAVEPOINT {self._name}"
        return True

    def _roll_back(self) -> Steps:
        """What is open now was begun in the block."""
        if self._state is not ConnectionState.IDLE:
            yield ROLLBACK
