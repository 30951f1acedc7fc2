"""Participant: what takes part in sagas does each key once, undoes what it did, and refuses what comes too late.

    answer = gossipreg.Participant(connection).do(key, reserve)
    answer = gossipreg.Participant(connection).undo(key, release)

Owns: the transaction around the program's work. Never knows: which statement follows which (`participant_rules.py`).
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from gossipreg.client.checks import check_callable, refuse_coroutine
from gossipreg.client.outbox.tables import (
    async_dialect,
    create_tables,
    create_tables_async,
    in_one_script,
    sync_dialect,
    table_name,
)
from gossipreg.client.outbox.transactions import async_transaction, own_transaction, part_of_transaction
from gossipreg.client.sagas.participant_answer import ParticipantAnswer
from gossipreg.client.sagas.participant_rules import (
    DROP_WORK,
    KEEP_WORK,
    KEPT,
    PARTICIPANT_TABLE,
    WORK,
    WORK_ENDED,
    AnswerNotKept,
    ParticipantRules,
    Rules,
    Statement,
    StatementResult,
    checked_do_key,
    checked_undo_key,
    participant_tables,
)
from gossipreg.errors import Refused


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
        return self._run(self._rules.doing(checked_do_key(key)), work, commit)

    def undo(self, key: str, work: Callable[[], object], *, commit: bool = True) -> ParticipantAnswer:
        """Undo what was done for this key (header Gossipreg-Undoes) by `work`, once, and refuse it from now on. Where
        nothing was done, it answers 204 without work. 404 and 410 of the work are kept with its changes, as 2xx are:
        the saga takes them for undone. After any other answer it is tried again, and nothing is kept. As `do`
        otherwise."""
        return self._run(self._rules.undoing(checked_undo_key(key)), work, commit)

    def _run(self, rules: Rules, work: Callable[[], object], commit: bool) -> ParticipantAnswer:
        check_callable("work", work, "a function that changes the database and returns the answer")
        transaction = own_transaction if commit else part_of_transaction
        try:
            with transaction(self._connection, self._dialect):
                return self._follow(rules, work)
        except AnswerNotKept as error:
            return error.answer

    def _follow(self, rules: Rules, work: Callable[[], object]) -> ParticipantAnswer:
        given: Any = None
        while True:
            try:
                asked = rules.send(given)
            except StopIteration as over:
                answer: ParticipantAnswer = over.value
                return answer
            if asked is WORK:
                result = work()
                refuse_coroutine("work", work, result)
                given = ParticipantAnswer.of(result)
            else:
                try:
                    cursor = self._dialect.execute(self._connection, asked[0], *asked[1])
                except Exception as error:
                    _refuse_ended(asked, error)
                    raise
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

    async def do(self, key: str, work: Callable[[], Awaitable[object]], *, commit: bool = True) -> ParticipantAnswer:
        """As `Participant.do`."""
        return await self._run(self._rules.doing(checked_do_key(key)), work, commit)

    async def undo(self, key: str, work: Callable[[], Awaitable[object]], *, commit: bool = True) -> ParticipantAnswer:
        """As `Participant.undo`."""
        return await self._run(self._rules.undoing(checked_undo_key(key)), work, commit)

    async def _run(self, rules: Rules, work: Callable[[], Awaitable[object]], commit: bool) -> ParticipantAnswer:
        check_callable("work", work, "an async function that changes the database and returns the answer")
        try:
            async with async_transaction(self._connection, commit=commit):
                return await self._follow(rules, work)
        except AnswerNotKept as error:
            return error.answer

    async def _follow(self, rules: Rules, work: Callable[[], Awaitable[object]]) -> ParticipantAnswer:
        given: Any = None
        while True:
            try:
                asked = rules.send(given)
            except StopIteration as over:
                answer: ParticipantAnswer = over.value
                return answer
            if asked is WORK:
                given = ParticipantAnswer.of(await work())
            else:
                statement = self._dialect.text(asked[0])
                try:
                    cursor = await self._dialect.cursor(self._connection).execute(statement, asked[1])
                except Exception as error:
                    _refuse_ended(asked, error)
                    raise
                given = StatementResult(cursor.rowcount, await cursor.fetchone() if cursor.description else None)


def _refuse_ended(statement: Statement, error: Exception) -> None:
    """Raises Refused where the savepoint around the work is gone, since the work has ended the transaction."""
    if statement in (KEEP_WORK, DROP_WORK):
        raise Refused(f"{WORK_ENDED} ({error})") from error
