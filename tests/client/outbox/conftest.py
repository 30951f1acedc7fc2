import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gossipreg import Inbox, Outbox
from gossipreg.client.outbox.relays import RELAYS
from scripts.tools.wait import wait_for
from tests.client.outbox.databases import Database, sqlite_database
from tests.client.outbox.postgres import postgres_server, server_programs

MakeDatabase = Callable[[], Database]


@pytest.fixture(scope="session")
def postgres() -> Iterator[MakeDatabase]:
    """Makes empty databases in a real PostgreSQL server: each is a schema of its own."""
    psycopg: Any = pytest.importorskip("psycopg")
    programs = server_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL server: apt-get install postgresql")
    made = 0

    def answers(address: str) -> bool:
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            return False
        return True

    with postgres_server(programs) as address:
        wait_for(lambda: answers(address), what="PostgreSQL answers")

        def make() -> Database:
            nonlocal made
            made += 1
            schema = f"of_test_{made}"
            with psycopg.connect(address) as connection:
                connection.execute(f"CREATE SCHEMA {schema}")
            own = f"{address} options='-c search_path={schema}'"
            return Database("postgres", lambda: psycopg.connect(own), own)

        yield make


@pytest.fixture
def postgres_database(postgres: MakeDatabase) -> Database:
    return with_tables(postgres())


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.wide)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty database of each kind, with the tables of outbox, inbox and a program."""
    if request.param == "postgres":
        return with_tables(request.getfixturevalue("postgres")())
    return with_tables(sqlite_database(str(tmp_path / "shop.db")))


def with_tables(database: Database) -> Database:
    connection = database.connect()
    Outbox(connection).create_table()
    Inbox(connection).create_table()
    connection.execute("CREATE TABLE orders (id integer)")
    connection.commit()
    connection.close()
    return database


@pytest.fixture(autouse=True)
def no_relay_is_left() -> Iterator[None]:
    """A test closes its relays, and their threads end."""
    yield
    assert RELAYS.started == 0
    assert "gossipreg relay" not in {thread.name for thread in threading.enumerate()}
