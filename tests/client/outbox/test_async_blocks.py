"""What a block may do to its transaction under asyncio, and that its event is never lost."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from gossipreg import AsyncInbox, Refused
from tests.client.outbox.databases import Database
from tests.client.outbox.test_program_block import Broken, Came, kept

psycopg: Any = pytest.importorskip("psycopg")


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("statement", ["SELECT pg_sleep(600)", "SELECT 1"])
def test_an_async_block_that_is_cancelled_leaves_no_note(
    postgres_database: Database, statement: str, commit: bool
) -> None:
    async def all_of_it() -> None:
        connection = await psycopg.AsyncConnection.connect(postgres_database.address)
        inbox, begun = AsyncInbox(connection), asyncio.Event()

        async def handle() -> None:
            async with inbox.once(Came(), "bill", commit=commit):
                await connection.execute("INSERT INTO orders VALUES (1)")
                begun.set()
                await connection.execute(statement)
                await asyncio.Event().wait()

        task = asyncio.create_task(handle())
        await begun.wait()
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if connection.closed:  # psycopg closes it where a busy server does not end the statement in time
            connection = await psycopg.AsyncConnection.connect(postgres_database.address)
        await connection.commit()
        assert kept(postgres_database) == (0, 0)
        async with AsyncInbox(connection).once(Came(), "bill") as first:
            assert first
        await connection.close()

    asyncio.run(all_of_it())


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("autocommit", [False, True])
def test_an_async_block_loses_no_event_either(postgres_database: Database, commit: bool, autocommit: bool) -> None:
    async def fails(connection: Any) -> None:
        with suppress(psycopg.Error):
            await connection.execute("SELECT * FROM no_such_table")

    async def ends(connection: Any) -> None:
        await connection.execute("COMMIT")
        await connection.execute("BEGIN")

    async def ends_and_raises(connection: Any) -> None:
        await connection.execute("COMMIT")
        raise Broken

    async def loses(connection: Any) -> None:
        await asyncio.to_thread(
            postgres_database.query, f"SELECT pg_terminate_backend({connection.info.backend_pid}, 10000)"
        )
        await fails(connection)

    async def closes(connection: Any) -> None:
        await connection.close()

    async def handle(act: Callable[[Any], Any] | None = None) -> bool:
        connection = await psycopg.AsyncConnection.connect(postgres_database.address)
        try:
            await connection.set_autocommit(autocommit)
            if autocommit and not commit:
                await connection.execute("BEGIN")
            async with AsyncInbox(connection).once(Came(), "bill", commit=commit) as first:
                if act is not None:
                    await act(connection)
            if not commit:
                await connection.execute("COMMIT")
            return bool(first)
        finally:
            await connection.close()

    async def all_of_it() -> None:
        for act, error, text in (
            (fails, Refused, "was caught"), (ends, Refused, "nor roll back"), (ends_and_raises, Broken, None),
            (loses, Refused, "closed or lost"), (closes, Refused, "closed or lost"),
        ):  # fmt: skip
            with pytest.raises(error, match=text):
                await handle(act)
            assert kept(postgres_database)[1] == 0, act
        assert await handle()
        assert not await handle()

    asyncio.run(all_of_it())


def test_an_async_connection_that_cannot_be_used_is_named(postgres_database: Database) -> None:
    async def refused(connection: Any, text: str) -> None:
        for commit in (True, False):
            with pytest.raises(Refused, match=text):
                async with AsyncInbox(connection).once(Came(), "bill", commit=commit):
                    pytest.fail("it is not entered")

    async def all_of_it() -> None:
        connection = await psycopg.AsyncConnection.connect(postgres_database.address)
        async with connection.pipeline():
            await refused(connection, "pipeline mode")
        with suppress(psycopg.Error):
            await connection.execute("SELECT * FROM no_such_table")
        await refused(connection, "roll it back before")
        await connection.close()
        await refused(connection, "closed or lost")

    asyncio.run(all_of_it())
