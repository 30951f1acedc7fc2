"""Participant: what takes part in sagas does each key once, undoes what it did, and refuses what comes too late.

    answer = gossipreg.Participant(connection).do(key, reserve)
    answer = gossipreg.Participant(connection).undo(key, release)

Owns: the transaction around the program's work. Never knows: which statement follows which (`participant_rules.py`).
"""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

from gossipreg.client.checks import check_callable, refuse_coroutine
from gossipreg.client.outbox.program_block import DO_WORK, UNDO_WORK, BlockWords, ProgramBlock, Steps
from gossipreg.client.outbox.tables import (
    async_dialect,
    create_tables,
    create_tables_async,
    in_one_script,
    sync_dialect,
    table_name,
)
from gossipreg.client.outbox.transactions import (
    joined_transaction,
    joined_transaction_async,
    own_transaction,
    own_transaction_async,
)
from gossipreg.client.sagas.participant_answer import ParticipantAnswer
from gossipreg.client.sagas.participant_rules import (
    FORGET_AT_ONCE,
    KEPT,
    PARTICIPANT_TABLE,
    AnswerNotKept,
    ParticipantRules,
    ProgramWork,
    Rules,
    StatementResult,
    checked_do_key,
    checked_undo_key,
    participant_tables,
)


class Participant:
    """The keys in the database of this connection of sqlite3 or psycopg. Making one costs nothing and asks nothing."""

    def __init__(self, connection: Any, *, table: str = PARTICIPANT_TABLE, keep: timedelta = KEPT) -> None:
        """`keep`: how long a key is known, 90 days, and at least 31. After that it is new."""
        self._connection = connection
        self._dialect = sync_dialect(connection)
        self._table = table_name(table, self._dialect)
        self._rules = ParticipantRules(self._table, self._dialect, keep)

    @property
    def sql(self) -> str:
        """The statements of `create_table`, for programs that keep their migrations themselves."""
        return in_one_script(participant_tables(self._table, self._dialect))

    def create_table(self) -> None:
        """Make the table unless it is there, in the program's transaction if one is open."""
        create_tables(self._connection, self._dialect, participant_tables(self._table, self._dialect))

    def forget(self) -> int:
        """Delete keys that are older than `keep`, at most 10,000 at a time, and return how many were deleted. It is
        part of the program's transaction, which should do nothing else. Each new key takes a few older ones out, but in
        PostgreSQL at REPEATABLE READ or above: a program whose work runs there calls this now and then."""
        statement, values = self._rules.forget(FORGET_AT_ONCE)
        return int(self._dialect.execute(self._connection, statement, *values).rowcount)

    def do(self, key: str, work: Callable[[], object], *, commit: bool = True) -> ParticipantAnswer:
        """Do `work` once for this key (header Idempotency-Key), and return the answer for the request; a repeat gets
        the first one, also at another instance. After an undo of the key it is 410.

        `work` changes the database over this connection and returns a ParticipantAnswer; None is 204, anything else 200
        with it as JSON. Work and note are one transaction, which begins here and is committed before this returns. An
        answer that refuses (422, say) is kept, without the changes of the work. One after which the step is tried again
        (5xx, 404, 409, ...), or an exception, leaves nothing. With `commit=False` it is part of the program's
        transaction, and the program commits before it answers.

        Raises BadParams for a key that is none, Refused as `Inbox.once`, and the errors of the database.
        """
        return self._run(self._rules.doing(checked_do_key(key)), work, commit, DO_WORK)

    def undo(self, key: str, work: Callable[[], object], *, commit: bool = True) -> ParticipantAnswer:
        """Undo what was done for this key (header Gossipreg-Undoes) by `work`, once, and refuse it from now on. Where
        nothing was done, it answers 204 without work. 404 and 410 of the work are kept with its changes, as 2xx are:
        the saga takes them for undone. After any other answer it is tried again, and nothing is kept. As `do`
        otherwise."""
        return self._run(self._rules.undoing(checked_undo_key(key)), work, commit, UNDO_WORK)

    def _run(
        self, rules: Rules, work: Callable[[], object], commit: bool, words: BlockWords
    ) -> ParticipantAnswer:  # fmt: skip
        check_callable("work", work, "a function that changes the database and returns the answer")
        given = self._connection, self._dialect, words
        transaction = own_transaction if commit else joined_transaction
        try:
            with transaction(*given), nullcontext() if commit else ProgramBlock(*given).around():
                return self._follow(rules, work, ProgramBlock(*given, "gossipreg_work"))
        except AnswerNotKept as error:
            return error.answer

    def _follow(self, rules: Rules, work: Callable[[], object], block: ProgramBlock) -> ParticipantAnswer:
        given: Any = None
        while True:
            try:
                asked = rules.send(given)
            except StopIteration as over:
                answer: ParticipantAnswer = over.value
                return answer
            if asked is ProgramWork.WORK:
                result = work()
                refuse_coroutine("work", work, result)
                given = ParticipantAnswer.of(result)
            elif isinstance(asked, ProgramWork):
                block.run(_steps(block, asked))
            else:
                cursor = self._dialect.execute(self._connection, asked[0], *asked[1])
                given = StatementResult(cursor.rowcount, cursor.fetchone() if cursor.description else None)


class AsyncParticipant:
    """As `Participant`, for a psycopg.AsyncConnection, with work that is awaited."""

    def __init__(self, connection: Any, *, table: str = PARTICIPANT_TABLE, keep: timedelta = KEPT) -> None:
        self._connection = connection
        self._dialect = async_dialect(connection)
        self._table = table_name(table, self._dialect)
        self._rules = ParticipantRules(self._table, self._dialect, keep)

    @property
    def sql(self) -> str:
        """As `Participant.sql`."""
        return in_one_script(participant_tables(self._table, self._dialect))

    async def create_table(self) -> None:
        """As `Participant.create_table`."""
        await create_tables_async(self._connection, participant_tables(self._table, self._dialect))

    async def forget(self) -> int:
        """As `Participant.forget`."""
        statement, values = self._rules.forget(FORGET_AT_ONCE)
        cursor = await self._dialect.cursor(self._connection).execute(self._dialect.text(statement), values)
        return int(cursor.rowcount)

    async def do(self, key: str, work: Callable[[], Awaitable[object]], *, commit: bool = True) -> ParticipantAnswer:
        """As `Participant.do`."""
        return await self._run(self._rules.doing(checked_do_key(key)), work, commit, DO_WORK)

    async def undo(self, key: str, work: Callable[[], Awaitable[object]], *, commit: bool = True) -> ParticipantAnswer:
        """As `Participant.undo`."""
        return await self._run(self._rules.undoing(checked_undo_key(key)), work, commit, UNDO_WORK)

    async def _run(
        self, rules: Rules, work: Callable[[], Awaitable[object]], commit: bool, words: BlockWords
    ) -> ParticipantAnswer:
        check_callable("work", work, "an async function that changes the database and returns the answer")
        given = self._connection, self._dialect, words
        transaction = own_transaction_async if commit else joined_transaction_async
        try:
            async with transaction(*given), nullcontext() if commit else ProgramBlock(*given).around_async():
                return await self._follow(rules, work, ProgramBlock(*given, "gossipreg_work"))
        except AnswerNotKept as error:
            return error.answer

    async def _follow(
        self, rules: Rules, work: Callable[[], Awaitable[object]], block: ProgramBlock
    ) -> ParticipantAnswer:
        given: Any = None
        while True:
            try:
                asked = rules.send(given)
            except StopIteration as over:
                answer: ParticipantAnswer = over.value
                return answer
            if asked is ProgramWork.WORK:
                given = ParticipantAnswer.of(await work())
            elif isinstance(asked, ProgramWork):
                await block.run_async(_steps(block, asked))
            else:
                cursor = await self._dialect.cursor(self._connection).execute(self._dialect.text(asked[0]), asked[1])
                given = StatementResult(cursor.rowcount, await cursor.fetchone() if cursor.description else None)


def _steps(block: ProgramBlock, asked: ProgramWork) -> Steps:
    return {ProgramWork.BEGIN: block.begin, ProgramWork.DROP: block.drop, ProgramWork.KEEP: block.keep}[asked]()
