"""An event is sent after the commit of the program's transaction, and never without it."""

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from gossipreg import AsyncInbox, AsyncOutbox, BadParams, Inbox, Outbox, relay_once
from tests.client.outbox.databases import Database, Event, NotingPublisher, failure, write


def test_an_event_is_sent_once_and_taken_out(database: Database) -> None:
    with closing(database.connect()) as connection:
        id = Outbox(connection).publish("order.created", {"order": 7}, key="7", source="shop", subject="o")
        connection.commit()
    publisher = NotingPublisher()
    assert relay_once(database.connect, publisher).sent == 1
    assert relay_once(database.connect, publisher).sent == 0
    (event,) = publisher.events
    assert {name: event[name] for name in ("id", "type", "data", "key", "source", "subject", "timeout")} == {
        "id": id, "type": "order.created", "data": {"order": 7}, "key": "7", "source": "shop", "subject": "o",
        "timeout": 10.0,
    }  # fmt: skip
    assert database.query("SELECT count(*) FROM gossipreg_outbox") == [(0,)]


def test_a_transaction_rolled_back_publishes_nothing(database: Database) -> None:
    with closing(database.connect()) as connection:
        connection.execute("INSERT INTO orders VALUES (1)")
        Outbox(connection).publish("order.created")
        connection.rollback()
    publisher = NotingPublisher()
    assert relay_once(database.connect, publisher).sent == 0
    assert database.query("SELECT id FROM orders") == []


def test_an_event_is_not_sent_before_its_commit(database: Database) -> None:
    publisher = NotingPublisher()
    with closing(database.connect()) as connection:
        Outbox(connection).publish("order.created")
        assert relay_once(database.connect, publisher).sent == 0
        connection.commit()
    assert relay_once(database.connect, publisher).sent == 1


def test_an_outbox_writes_nothing_into_a_failed_transaction(postgres_database: Database) -> None:
    """It would return an id, and the commit would keep nothing of it, without an error."""
    psycopg: Any = pytest.importorskip("psycopg")
    step = {"name": "ask", "service": "stock", "method": "GET", "path": "/", "harmless": True}
    saga = {"name": "ask", "step": [step]}

    async def write_async() -> None:
        async with await psycopg.AsyncConnection.connect(postgres_database.address) as connection:
            with suppress(psycopg.Error):
                await connection.execute("SELECT * FROM no_such_table")
            outbox = AsyncOutbox(connection)
            for written in (outbox.publish("first"), outbox.begin_saga(saga)):
                with pytest.raises(psycopg.errors.InFailedSqlTransaction):
                    await written

    with closing(postgres_database.connect()) as connection:
        with suppress(psycopg.Error):
            connection.execute("SELECT * FROM no_such_table")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            Outbox(connection).publish("first")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            Outbox(connection).begin_saga(saga)
        connection.commit()
    asyncio.run(write_async())
    assert postgres_database.waiting == 0


def test_an_outbox_works_in_the_pipeline_mode_of_psycopg(postgres_database: Database) -> None:
    """An error there comes at the end of the pipeline, before the commit."""
    psycopg: Any = pytest.importorskip("psycopg")
    with closing(postgres_database.connect()) as connection:
        with connection.pipeline():
            Outbox(connection).publish("first")
        connection.commit()

        def fails_before_it_writes() -> None:
            with connection.pipeline():
                connection.execute("SELECT * FROM no_such_table")
                Outbox(connection).publish("second")

        with pytest.raises(psycopg.errors.UndefinedTable):
            fails_before_it_writes()
    assert postgres_database.waiting == 1


def test_events_are_sent_in_the_order_of_their_rows(database: Database) -> None:
    types = [f"event.{number}" for number in range(100)]  # more than are read at a time
    write(database, *types)
    publisher = NotingPublisher()
    assert relay_once(database.connect, publisher).sent == 100
    assert publisher.types == types


def test_a_lower_number_that_commits_later_is_sent(postgres_database: Database) -> None:
    """A sequence gives the numbers before the commits: a relay that reads `number > last` loses the first event."""
    publisher = NotingPublisher()
    with closing(postgres_database.connect()) as slow, closing(postgres_database.connect()) as quick:
        Outbox(slow).publish("slow")
        Outbox(quick).publish("quick")
        quick.commit()
        assert relay_once(postgres_database.connect, publisher).sent == 1
        slow.commit()
    assert relay_once(postgres_database.connect, publisher).sent == 1
    assert publisher.types == ["quick", "slow"]


def test_a_row_that_commits_during_a_pass_goes_with_it(postgres_database: Database) -> None:
    with closing(postgres_database.connect()) as slow:
        Outbox(slow).publish("slow")
        write(postgres_database, "quick")
        publisher = NotingPublisher(lambda event: slow.commit() if event["type"] == "quick" else None)
        assert relay_once(postgres_database.connect, publisher).sent == 2


@pytest.mark.parametrize("code", ["too_large", "bad_params", "conflict"])
def test_an_event_that_is_refused_for_ever_is_set_aside(
    database: Database, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(event: Event) -> None:
        if event["type"] == "bad":
            raise failure(code, "no journal\0takes it" + "x" * 1000)

    write(database, "first", "bad", "last")
    publisher = NotingPublisher(answer)
    done = relay_once(database.connect, publisher)
    assert (done.sent, done.refused, publisher.types) == (2, 1, ["first", "last"])
    ((type, reason),) = database.query("SELECT type, refused FROM gossipreg_outbox")
    assert (type, reason[: len(code) + 21]) == ("bad", f"{code}: no journal?takes it")
    assert "is set aside" in caplog.text
    database.execute("UPDATE gossipreg_outbox SET refused = NULL")
    assert relay_once(database.connect, NotingPublisher()).sent == 1


@pytest.mark.parametrize(
    "code", ["unavailable", "outcome_unknown", "journal_full", "busy", "not_synced", "too_few_copies", "unreachable"]
)
def test_an_event_that_may_pass_later_blocks_those_behind_it(database: Database, code: str) -> None:
    def answer(event: Event) -> None:
        if event["type"] == "second":
            raise failure(code)

    write(database, "first", "second", "third")
    publisher = NotingPublisher(answer)
    with pytest.raises(Exception, match="as asked"):
        relay_once(database.connect, publisher)
    again = NotingPublisher()
    relay_once(database.connect, again)
    assert (publisher.types, again.types) == (["first"], ["second", "third"])


def test_an_event_whose_answer_was_lost_is_sent_with_its_id(database: Database) -> None:
    ids: list[str] = []

    def answer(event: Event) -> None:
        ids.append(event["id"])
        if len(ids) == 1:
            raise failure("outcome_unknown")

    write(database, "first")
    publisher = NotingPublisher(answer)
    with pytest.raises(Exception, match="as asked"):
        relay_once(database.connect, publisher)
    relay_once(database.connect, publisher)
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_row_factories_of_the_program_change_nothing(database: Database) -> None:
    def connect() -> Any:
        connection = database.connect()
        if database.name == "sqlite":
            connection.row_factory = lambda _cursor, row: {"row": row}
        else:
            from psycopg import RawCursor
            from psycopg.rows import dict_row

            connection.row_factory, connection.cursor_factory = dict_row, RawCursor
        return connection

    with closing(connect()) as connection:
        Outbox(connection).create_table()
        Outbox(connection).publish("first", "text")
        connection.commit()
    publisher = NotingPublisher()
    assert relay_once(connect, publisher).sent == 1
    assert publisher.events[0]["data"] == "text"


def test_the_tables_may_be_made_by_migrations(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "m.db")) as connection:
        connection.executescript(Outbox(connection, table="Mine").sql + Inbox(connection, table="seen").sql)
        Outbox(connection, table="Mine").publish("first")
        connection.commit()
    assert relay_once(lambda: sqlite3.connect(tmp_path / "m.db"), NotingPublisher(), table="Mine").sent == 1


@pytest.mark.parametrize("autocommit", [True, False])
def test_programs_that_make_a_table_at_once_all_succeed(postgres_database: Database, autocommit: bool) -> None:
    """Without a lock, two CREATE TABLE IF NOT EXISTS at once end with a unique violation in PostgreSQL's own tables."""
    together = threading.Barrier(8)

    def make(_number: int) -> None:
        with closing(postgres_database.connect()) as connection:
            connection.autocommit = autocommit
            together.wait(30)
            Outbox(connection, table="at_once").create_table()
            connection.commit()

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(make, range(8))) == [None] * 8


def test_a_table_may_have_a_schema_in_postgres(postgres_database: Database) -> None:
    with closing(postgres_database.connect()) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS other")
        Outbox(connection, table="other.Events").create_table()
        Outbox(connection, table="other.Events").publish("first")
        connection.commit()
    assert relay_once(postgres_database.connect, NotingPublisher(), table="other.Events").sent == 1


@pytest.mark.parametrize("table", ["", "a b", 'a"; DROP TABLE orders; --', "a.b", "x" * 49, "1a", None])
def test_a_name_that_is_none_for_a_table_is_refused(table: Any) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        for kind in (Outbox, Inbox):
            with pytest.raises(BadParams, match="table is"):
                kind(connection, table=table)


@pytest.mark.parametrize("kind", [Outbox, Inbox, AsyncOutbox, AsyncInbox])
def test_what_is_no_connection_is_refused(kind: Any) -> None:
    with pytest.raises(BadParams, match=r"sqlite3|AsyncConnection"):
        kind(object())
