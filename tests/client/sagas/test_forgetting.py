"""Keys of a participant that are too old are forgotten, and no request fails for that, at whatever isolation level."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gossipreg import AsyncParticipant, Participant
from tests.client.outbox.conftest import MakeDatabase, postgres  # noqa: F401  # a fixture
from tests.client.outbox.databases import Database, sqlite_database
from tests.client.sagas.test_participant import with_table

LEVELS = {"read uncommitted": 1, "read committed": 2, "repeatable read": 3, "serializable": 4}
OLD = 10


@pytest.fixture
def old_keys(postgres: MakeDatabase) -> Database:  # noqa: F811
    """A participant with keys that are too old."""
    found = with_table(postgres())
    with closing(found.connect()) as connection:
        for number in range(OLD):
            Participant(connection).do(f"aa.s{number}/pay", lambda: None)
    found.execute("UPDATE gossipreg_participant SET noted_at = now() - interval '100 days'")
    return found


def at(level: str, database: Database) -> Callable[[], Any]:
    def connect() -> Any:
        connection = database.connect()
        connection.isolation_level = LEVELS[level]
        return connection

    return connect


def kept(database: Database) -> int:
    return int(database.query("SELECT count(*) FROM gossipreg_participant")[0][0])


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("level", ["read uncommitted", "read committed", "repeatable read"])
def test_two_keys_at_the_same_time_do_not_fail(old_keys: Database, level: str, commit: bool) -> None:
    """The second ends in the middle of the work of the first, whose snapshot still shows what the second forgot.
    At SERIALIZABLE one of two fails in a small table also where nothing is old."""
    connect = at(level, old_keys)

    def also() -> None:
        Participant(two).do("aa.y/pay", lambda: None, commit=commit)
        two.commit()

    with closing(connect()) as one, closing(connect()) as two:
        Participant(one).do("aa.x/pay", also, commit=commit)
        one.commit()
    assert kept(old_keys) == 2 + (OLD if level == "repeatable read" else OLD - 8)


@pytest.mark.parametrize("level", LEVELS)
def test_a_program_forgets_at_whatever_level(old_keys: Database, level: str) -> None:
    with closing(at(level, old_keys)()) as connection:
        assert Participant(connection, keep=timedelta(days=101)).forget() == 0
        assert Participant(connection).forget() == OLD
        connection.rollback()
        assert Participant(connection).forget() == OLD
        connection.commit()
        assert Participant(connection).forget() == 0
    assert kept(old_keys) == 0


def test_two_that_forget_at_the_same_time_do_not_wait(old_keys: Database) -> None:
    with closing(old_keys.connect()) as one, closing(old_keys.connect()) as two:
        assert Participant(one).forget() == OLD
        two.execute("SET lock_timeout = '1ms'")
        assert Participant(two).forget() == 0


def test_a_program_in_a_loop_forgets(old_keys: Database) -> None:
    psycopg: Any = pytest.importorskip("psycopg")

    async def forget() -> int:
        async with await psycopg.AsyncConnection.connect(old_keys.address) as connection:
            return await AsyncParticipant(connection).forget()

    assert asyncio.run(forget()) == OLD


def test_a_program_forgets_in_sqlite(tmp_path: Path) -> None:
    database = with_table(sqlite_database(str(tmp_path / "stock.db")))
    with closing(database.connect()) as connection:
        for number in range(3):
            Participant(connection).do(f"aa.s{number}/pay", lambda: None)
        connection.execute("UPDATE gossipreg_participant SET noted_at = noted_at - 8640000 WHERE key <> 'aa.s1/pay'")
        connection.commit()
        assert (Participant(connection).forget(), Participant(connection).forget()) == (2, 0)
        connection.commit()
    assert kept(database) == 1
