"""What the work of a participant may do to its transaction, in SQLite and PostgreSQL alike."""

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from gossipreg import AsyncParticipant, BadParams, Participant, ParticipantAnswer, Refused
from tests.client.outbox.conftest import MakeDatabase, postgres  # noqa: F401  # a fixture
from tests.client.outbox.databases import sqlite_database
from tests.client.sagas.test_participant import KEY, Stock, with_table


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.wide)])
def stock(request: pytest.FixtureRequest, tmp_path: Path) -> Stock:
    if request.param == "postgres":
        return Stock(with_table(request.getfixturevalue("postgres")()))
    return Stock(with_table(sqlite_database(str(tmp_path / "stock.db"))))


@pytest.fixture
def postgres_stock(postgres: MakeDatabase) -> Stock:  # noqa: F811
    return Stock(with_table(postgres()))


def call(stock: Stock, what: str, act: Callable[[Any], object], **options: Any) -> ParticipantAnswer:
    """`act` is done after the effect, and returns the answer."""
    with closing(stock.database.connect()) as connection:

        def work() -> object:
            connection.execute(f"INSERT INTO done VALUES ('{what}')")
            return act(connection)

        found: ParticipantAnswer = getattr(Participant(connection), what)(KEY, work, **options)
        return found


def fails_and_goes_on(connection: Any) -> None:
    with suppress(Exception):
        connection.execute("SELECT * FROM no_such_table")


def loses(connection: Any) -> None:
    connection.close()


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("what", ["do", "undo"])
def test_work_with_a_caught_error_is_refused(postgres_stock: Stock, what: str, commit: bool) -> None:
    if what == "undo":
        postgres_stock.do()
    before = postgres_stock.done, postgres_stock.keys
    with pytest.raises(Refused, match="its error was caught"):
        call(postgres_stock, what, fails_and_goes_on, commit=commit)
    assert (postgres_stock.done, postgres_stock.keys) == before
    assert not call(postgres_stock, what, lambda _connection: None).is_repeat


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("what", ["do", "undo"])
def test_work_that_loses_its_connection_says_so(postgres_stock: Stock, what: str, commit: bool) -> None:
    if what == "undo":
        postgres_stock.do()
    before = postgres_stock.done, postgres_stock.keys
    with pytest.raises(Refused, match=r"closed or lost, so nothing of the work is kept, and the (step|undo) is sent"):
        call(postgres_stock, what, loses, commit=commit)
    assert (postgres_stock.done, postgres_stock.keys) == before


def test_work_that_refuses_after_an_error_is_kept_as_refused(stock: Stock) -> None:
    """What it has done goes anyway, so it may have failed."""

    def refuses(connection: Any) -> ParticipantAnswer:
        fails_and_goes_on(connection)
        return ParticipantAnswer(422)

    assert call(stock, "do", refuses).status == 422
    assert (stock.do().status, stock.done) == (422, [])


@pytest.mark.parametrize("insert", [False, True])
@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK"])
def test_an_undo_that_ends_its_transaction_is_no_undo(stock: Stock, statement: str, insert: bool, commit: bool) -> None:
    """After a rollback of its own it would count as undone, and nothing would be."""
    stock.do()

    def ends(connection: Any) -> None:
        connection.execute(statement)
        if insert:
            connection.execute("INSERT INTO done VALUES ('more')")

    with pytest.raises(Refused, match="must neither commit nor roll back"):
        call(stock, "undo", ends, commit=commit)
    assert "more" not in stock.done
    assert stock.do().is_repeat
    assert stock.undo().is_done
    assert stock.done[-1] == "undo"


@pytest.mark.parametrize("commit", [True, False])
def test_a_connection_that_cannot_be_used_is_named(postgres_stock: Stock, commit: bool) -> None:
    with closing(postgres_stock.database.connect()) as connection:
        participant = Participant(connection)
        with connection.pipeline(), pytest.raises(Refused, match="pipeline mode"):
            participant.do(KEY, lambda: None, commit=commit)
        fails_and_goes_on(connection)
        with pytest.raises(Refused, match="roll it back before"):
            participant.do(KEY, lambda: None, commit=commit)
        connection.close()
        with pytest.raises(Refused, match="open another connection"):
            participant.do(KEY, lambda: None, commit=commit)


@pytest.mark.parametrize("commit", [True, False])
def test_async_work_is_told_the_same(postgres_stock: Stock, commit: bool) -> None:
    psycopg: Any = pytest.importorskip("psycopg")

    async def call_async(what: str, act: Callable[[Any], Any]) -> ParticipantAnswer:
        async with await psycopg.AsyncConnection.connect(postgres_stock.database.address) as connection:

            async def work() -> None:
                await connection.execute(f"INSERT INTO done VALUES ('{what}')")
                with suppress(psycopg.errors.UndefinedTable):
                    await act(connection)

            answer: ParticipantAnswer = await getattr(AsyncParticipant(connection), what)(KEY, work, commit=commit)
            return answer

    async def refused(what: str) -> None:
        for act, text in (
            (lambda connection: connection.execute("SELECT * FROM no_such_table"), "was caught"),
            (lambda connection: connection.execute("ROLLBACK"), "nor roll back"),
            (lambda connection: connection.close(), "closed or lost"),
        ):
            with pytest.raises(Refused, match=text):
                await call_async(what, act)

    async def all_of_it() -> None:
        await refused("do")
        assert not (await call_async("do", lambda _connection: asyncio.sleep(0))).is_repeat
        await refused("undo")
        assert not (await call_async("undo", lambda _connection: asyncio.sleep(0))).is_repeat

    asyncio.run(all_of_it())
    assert postgres_stock.done == ["do", "undo"]


@pytest.mark.parametrize("key", ["a\ud800", "\udfffa"])
def test_a_key_that_no_database_keeps_is_refused(stock: Stock, key: str) -> None:
    for act in (stock.do, stock.undo):
        with pytest.raises(BadParams, match="key is"):
            act(key)
