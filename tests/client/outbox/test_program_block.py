"""What a block may do to its transaction, and that its event is never lost: in SQLite and PostgreSQL alike."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gossipreg import Inbox, Refused
from tests.client.outbox.conftest import with_tables
from tests.client.outbox.databases import Database, sqlite_database


@dataclass(frozen=True)
class Came:
    id: str = "1"
    source: str = "shop"


class Broken(Exception):
    pass


def run(
    database: Database, act: Callable[[Any], object] = lambda _connection: None, *, commit: bool = True,
    autocommit: bool = False, event: Any = Came(),
) -> bool:  # fmt: skip
    """Handle the event in a connection of its own. `act` is done after the effect."""
    with closing(database.connect()) as connection:
        if autocommit:
            set_autocommit(connection)
            if not commit:
                connection.execute("BEGIN")
        with Inbox(connection).once(event, "bill", commit=commit) as first:
            if first:
                connection.execute("INSERT INTO orders VALUES (1)")
            act(connection)
        if not commit:
            connection.execute("COMMIT")
        return first


def set_autocommit(connection: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.isolation_level = None
    else:
        connection.autocommit = True


def kept(database: Database) -> tuple[int, int]:
    """How many effects and notes there are."""
    orders, notes = (f"SELECT count(*) FROM {table}" for table in ("orders", "gossipreg_inbox"))
    return int(database.query(orders)[0][0]), int(database.query(notes)[0][0])


def end_with(statement: str, *, insert: bool) -> Callable[[Any], None]:
    def act(connection: Any) -> None:
        connection.execute(statement)
        if insert:
            connection.execute("INSERT INTO orders VALUES (2)")

    return act


def fails_and_goes_on(connection: Any) -> None:
    with suppress(Exception):
        connection.execute("SELECT * FROM no_such_table")


def terminate(database: Database) -> Callable[[Any], None]:
    def act(connection: Any) -> None:
        database.query(f"SELECT pg_terminate_backend({connection.info.backend_pid}, 10000)")
        fails_and_goes_on(connection)

    return act


@pytest.mark.parametrize("autocommit", [False, True])
@pytest.mark.parametrize("commit", [True, False])
def test_an_error_that_was_caught_does_not_lose_the_event(
    postgres_database: Database, commit: bool, autocommit: bool
) -> None:
    """PostgreSQL answers such a COMMIT with ROLLBACK, and psycopg raises nothing."""
    with pytest.raises(Refused, match="has failed and its error was caught"):
        run(postgres_database, fails_and_goes_on, commit=commit, autocommit=autocommit)
    assert kept(postgres_database) == (0, 0)
    assert run(postgres_database, commit=commit, autocommit=autocommit)
    with pytest.raises(Refused, match="was caught"):
        run(postgres_database, fails_and_goes_on, commit=commit, autocommit=autocommit)
    assert kept(postgres_database) == (1, 1)


def test_a_caught_error_of_sqlite_costs_nothing(tmp_path: Path) -> None:
    database = with_tables(sqlite_database(str(tmp_path / "shop.db")))
    assert run(database, fails_and_goes_on)
    assert kept(database) == (1, 1)


@pytest.mark.parametrize("insert", [False, True])
def test_an_error_of_sqlite_that_rolls_back_is_refused(tmp_path: Path, insert: bool) -> None:
    """Some errors end the transaction, and the next statement begins another one by itself."""
    database = with_tables(sqlite_database(str(tmp_path / "shop.db")))

    def act(connection: Any) -> None:
        with suppress(sqlite3.IntegrityError):
            connection.execute("INSERT OR ROLLBACK INTO gossipreg_inbox VALUES ('shop', '1', 'bill', 0)")
        if insert:
            connection.execute("INSERT INTO orders VALUES (2)")

    with pytest.raises(Refused, match="has ended the transaction"):
        run(database, act)
    assert kept(database) == (0, 0)


def test_an_error_in_a_savepoint_of_its_own_is_fine(postgres_database: Database) -> None:
    def act(connection: Any) -> None:
        with suppress(Exception), connection.transaction():
            connection.execute("SELECT * FROM no_such_table")

    assert run(postgres_database, act)
    assert kept(postgres_database) == (1, 1)


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("insert", [False, True])
@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK"])
@pytest.mark.parametrize("commit", [True, False])
def test_a_block_that_ends_its_transaction_loses_no_event(
    database: Database, statement: str, insert: bool, raises: bool, commit: bool
) -> None:
    """A note that the block has committed stays only if nothing came after it."""
    ends = end_with(statement, insert=insert)

    def act(connection: Any) -> None:
        ends(connection)
        if raises:
            raise Broken

    with pytest.raises(Broken if raises else Refused, match=None if raises else "must neither commit nor roll back"):
        run(database, act, commit=commit)
    over = statement == "COMMIT" and not insert and not raises
    assert kept(database) == (int(statement == "COMMIT"), int(over))
    assert run(database, commit=commit) is not over
    assert not run(database, commit=commit)


@pytest.mark.parametrize("act", ["commit", "rollback"])
@pytest.mark.parametrize("raises", [False, True])
def test_the_connections_own_methods_end_it_just_as_well(database: Database, act: str, raises: bool) -> None:
    """With commit=True psycopg allows neither."""

    def ends(connection: Any) -> None:
        getattr(connection, act)()
        if raises:
            raise Broken

    with pytest.raises(Broken if raises else Refused):
        run(database, ends, commit=False)
    assert run(database) is (raises or act == "rollback")


@pytest.mark.parametrize("raises", [False, True])
def test_a_repeat_that_ends_its_transaction_keeps_its_note(database: Database, raises: bool) -> None:
    assert run(database)

    def act(connection: Any) -> None:
        connection.execute("COMMIT")
        connection.execute("INSERT INTO orders VALUES (2)")
        if raises:
            raise Broken

    with pytest.raises(Broken if raises else Refused):
        run(database, act)
    assert kept(database) == (1, 1)


def test_only_the_blocks_own_note_is_taken_back(database: Database) -> None:
    """Another instance may have handled the event since."""
    later = "noted_at + 1" if database.name == "sqlite" else "noted_at + interval '1 s'"

    def act(connection: Any) -> None:
        connection.execute("COMMIT")
        database.execute(f"UPDATE gossipreg_inbox SET noted_at = {later}")
        raise Broken

    with pytest.raises(Broken):
        run(database, act)
    assert kept(database) == (1, 1)


def test_a_note_that_cannot_be_taken_back_is_logged(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    def act(connection: Any) -> None:
        connection.execute("COMMIT")
        connection.execute("ALTER TABLE gossipreg_inbox RENAME TO other")
        if database.name == "postgres":
            connection.execute("COMMIT")
        raise Broken

    with caplog.at_level(logging.WARNING, "gossipreg"), pytest.raises(Broken):
        run(database, act)
    (text,) = [record.getMessage() for record in caplog.records]
    assert text.startswith("the note of event 1 of shop for 'bill' in \"gossipreg_inbox\" stays")
    assert "\n" not in text


@pytest.mark.parametrize("commit", [True, False])
def test_a_block_that_loses_its_connection_is_refused(postgres_database: Database, commit: bool) -> None:
    """psycopg ends its transaction() without an error there."""
    for act in (terminate(postgres_database), lambda connection: connection.close()):
        with pytest.raises(Refused, match="closed or lost") as error:
            run(postgres_database, act, commit=commit)
        assert "the event is delivered again: open another connection" in str(error.value)
    assert kept(postgres_database) == (0, 0)


@pytest.mark.parametrize("commit", [True, False])
def test_a_connection_that_was_lost_before_is_named(database: Database, commit: bool) -> None:
    with closing(database.connect()) as connection:
        inbox = Inbox(connection)
        if database.name == "sqlite":
            connection.close()
        else:
            terminate(database)(connection)
        with pytest.raises(Refused, match="closed or lost"), inbox.once(Came(), "bill", commit=commit):
            pytest.fail("it is not entered")


@pytest.mark.parametrize("commit", [True, False])
def test_a_transaction_that_has_failed_before_is_named(postgres_database: Database, commit: bool) -> None:
    with closing(postgres_database.connect()) as connection:
        fails_and_goes_on(connection)
        with pytest.raises(Refused, match="roll it back before"), Inbox(connection).once(Came(), "b", commit=commit):
            pytest.fail("it is not entered")
        connection.rollback()
        with Inbox(connection).once(Came(), "bill", commit=commit) as first:
            assert first


@pytest.mark.parametrize("commit", [True, False])
def test_a_pipeline_is_refused_since_no_answer_comes_at_once(postgres_database: Database, commit: bool) -> None:
    """Each event would be taken for a repeat."""
    with closing(postgres_database.connect()) as connection, connection.pipeline():
        once = Inbox(connection).once(Came(), "bill", commit=commit)
        with pytest.raises(Refused, match="pipeline mode"):
            once.__enter__()


def test_a_pipeline_inside_the_block_is_fine(postgres_database: Database) -> None:
    def act(connection: Any) -> None:
        with connection.pipeline():
            connection.execute("INSERT INTO orders VALUES (2)")

    assert run(postgres_database, act)
    assert kept(postgres_database) == (2, 1)


def test_a_pipeline_that_the_block_has_not_left_is_refused(postgres_database: Database) -> None:
    entered = []

    def act(connection: Any) -> None:
        entered.append(connection.pipeline())  # unlike a `with`, so that the block does not leave it
        entered[0].__enter__()

    with pytest.raises(Refused, match="pipeline mode"):
        run(postgres_database, act)
    assert kept(postgres_database) == (0, 0)


def test_a_copy_that_has_not_ended_is_named(postgres_database: Database) -> None:
    with closing(postgres_database.connect()) as connection, connection.cursor().copy("COPY orders FROM STDIN"):
        once = Inbox(connection).once(Came(), "bill")
        with pytest.raises(Refused, match="COPY"):
            once.__enter__()


def test_a_note_may_be_part_of_a_transaction_block_of_psycopg(postgres_database: Database) -> None:
    """Of three events in one transaction, the one that fails leaves the others alone."""
    with closing(postgres_database.connect()) as connection:
        connection.autocommit = True
        inbox, given = Inbox(connection), []
        with connection.transaction():
            for id in ("1", "2", "3"):
                with suppress(Broken), inbox.once(Came(id), "bill", commit=False) as first:
                    given.append(first)
                    connection.execute("INSERT INTO orders VALUES (1)")
                    if id == "2":
                        raise Broken
        for id in ("1", "2", "3"):
            with inbox.once(Came(id), "bill") as first:
                given.append(first)
    assert given == [True, True, True, False, True, False]
    assert kept(postgres_database) == (2, 3)
