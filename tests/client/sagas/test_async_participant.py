"""A participant over a psycopg.AsyncConnection, which runs under asyncio, in a real PostgreSQL."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gossipreg import AsyncOutbox, AsyncParticipant, BadParams, Participant, ParticipantAnswer, Refused
from tests.client.outbox.conftest import MakeDatabase, postgres  # noqa: F401  # a fixture
from tests.client.outbox.databases import Database
from tests.client.sagas.test_participant import KEY, with_table

psycopg: Any = pytest.importorskip("psycopg")
CASES = json.loads((Path(__file__).parent / "participant-cases.json").read_text())["cases"]


@pytest.fixture
def database(postgres: MakeDatabase) -> Database:  # noqa: F811
    return with_table(postgres())


async def act(database: Database, what: str, status: int | None, **options: Any) -> ParticipantAnswer:
    async with await psycopg.AsyncConnection.connect(database.address) as connection:

        async def work() -> object:
            await connection.execute(f"INSERT INTO done VALUES ('{what}')")
            if status is None:
                raise ZeroDivisionError
            return ParticipantAnswer(status)

        found: ParticipantAnswer = await getattr(AsyncParticipant(connection), what)(KEY, work, **options)
        if options:
            await connection.rollback()
        return found


def held(database: Database) -> list[str]:
    return [row[0] for row in database.query("SELECT what FROM done")]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_cases_hold_in_a_loop(database: Database, case: dict[str, Any]) -> None:
    async def run() -> None:
        for what, status, expected, _runs in case["acts"]:
            if expected is None:
                with pytest.raises(ZeroDivisionError):
                    await act(database, what, status)
            else:
                assert (await act(database, what, status)).status == expected

    asyncio.run(run())
    assert held(database) == case["holds"]


def test_many_tasks_at_once_do_it_once(database: Database) -> None:
    async def run() -> None:
        answers = await asyncio.gather(*(act(database, "do", 200 + number) for number in range(8)))
        assert len({answer.status for answer in answers}) == 1
        await act(database, "undo", 204, commit=False)
        assert all(answer.is_done for answer in await asyncio.gather(*(act(database, "undo", 204) for _ in range(4))))

    asyncio.run(run())
    assert held(database) == ["do", "undo"]


def test_a_transaction_that_is_open_is_refused(database: Database) -> None:
    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(database.address) as connection:
            participant = AsyncParticipant(connection, table="public.participants")
            assert "participants" in participant.sql
            await participant.create_table()
            with pytest.raises(Refused, match="commit=False"):
                await participant.do(KEY, asyncio.Event().wait)
            await connection.rollback()

    asyncio.run(run())


def test_each_kind_of_connection_has_its_class(database: Database) -> None:
    async def run() -> None:
        async with await psycopg.AsyncConnection.connect(database.address) as connection:
            with pytest.raises(BadParams, match="begins with Async"):
                Participant(connection)
            definition = {"name": "ask", "step": [
                {"name": "ask", "service": "stock", "method": "GET", "path": "/", "harmless": True},
            ]}  # fmt: skip
            outbox = AsyncOutbox(connection)
            await outbox.create_table()
            assert await outbox.begin_saga(definition, id="s1") == "s1"
            await connection.commit()

    asyncio.run(run())
    assert database.query("SELECT id, form FROM gossipreg_outbox") == [("s1", "saga")]
    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(BadParams, match="AsyncConnection"):
        AsyncParticipant(connection)
