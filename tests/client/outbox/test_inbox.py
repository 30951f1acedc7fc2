"""A handler's effect and the note that it happened are one transaction; a repeat finds the note."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gossipreg import BadParams, Inbox, Refused
from scripts.tools.wait import wait_for
from tests.client.outbox.databases import Database


@dataclass(frozen=True)
class Given:
    id: str = "1"
    source: str = "shop"


EVENT = Given()


class Broken(Exception):
    pass


def handle(
    connection: Any, event: Given = EVENT, handler: str = "bill", *, fails: bool = False, **options: Any
) -> bool:
    with Inbox(connection).once(event, handler, **options) as first:
        if first:
            connection.execute("INSERT INTO orders VALUES (1)")
        if fails:
            raise Broken
        return first


def orders(database: Database) -> int:
    return int(database.query("SELECT count(*) FROM orders")[0][0])


def notes(database: Database) -> int:
    return int(database.query("SELECT count(*) FROM gossipreg_inbox")[0][0])


@pytest.fixture
def connection(database: Database) -> Any:
    with closing(database.connect()) as connection:
        yield connection


def test_an_event_has_its_effect_once(database: Database, connection: Any) -> None:
    assert [handle(connection), handle(connection)] == [True, False]
    with closing(database.connect()) as other:
        assert not handle(other)
    assert orders(database) == 1


@pytest.mark.parametrize("changed", [{"id": "2"}, {"source": "other"}])
def test_another_event_has_an_effect_of_its_own(database: Database, connection: Any, changed: dict[str, str]) -> None:
    assert handle(connection)
    assert handle(connection, replace(EVENT, **changed))
    assert handle(connection, handler="mail")
    assert orders(database) == 3


def test_a_handler_that_fails_leaves_neither_note_nor_effect(database: Database, connection: Any) -> None:
    with pytest.raises(Broken):
        handle(connection, fails=True)
    assert (orders(database), notes(database)) == (0, 0)
    assert handle(connection)


@pytest.mark.parametrize("ends_well", [True, False])
def test_the_second_of_two_at_once_finds_the_note_of_a_commit(database: Database, ends_well: bool) -> None:
    """Only if the first was committed is the second a repeat."""
    begun, may_end = threading.Event(), threading.Event()

    def first() -> None:
        with closing(database.connect()) as connection, Inbox(connection).once(EVENT, "bill") as new:
            assert new
            connection.execute("INSERT INTO orders VALUES (1)")
            begun.set()
            assert may_end.wait(30)
            if not ends_well:
                raise Broken

    def second() -> bool:
        with closing(database.connect()) as connection:
            return handle(connection)

    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(first)
        assert begun.wait(30)
        waiting = threads.submit(second)
        if database.name == "postgres":
            blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            wait_for(lambda: database.query(blocked) == [(1,)], what="the second handler waits for the first")
        assert not waiting.done()
        may_end.set()
        assert isinstance(running.exception(30), type(None) if ends_well else Broken)
        assert waiting.result(30) is not ends_well
    assert (orders(database), notes(database)) == (1, 1)


def test_many_handlers_of_one_event_have_one_effect(database: Database) -> None:
    def run(_number: int) -> bool:
        with closing(database.connect()) as connection:
            return handle(connection)

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(run, range(24)))[-2:] == [False, True]
    assert orders(database) == 1


def test_with_commit_false_the_program_commits(database: Database, connection: Any) -> None:
    assert handle(connection, commit=False)
    connection.rollback()
    assert handle(connection, commit=False)
    connection.commit()
    assert not handle(connection, commit=False)
    connection.commit()
    assert orders(database) == 1


def test_with_commit_false_a_failed_block_takes_its_note_along(database: Database, connection: Any) -> None:
    connection.execute("INSERT INTO orders VALUES (5)")
    with pytest.raises(Broken):
        handle(connection, fails=True, commit=False)
    connection.commit()
    assert database.query("SELECT id FROM orders") == [(5,)]
    assert notes(database) == 0


def test_an_open_transaction_is_refused_since_nobody_would_commit(connection: Any, database: Database) -> None:
    connection.execute("INSERT INTO orders VALUES (5)")
    with pytest.raises(Refused, match="commit=False"):
        handle(connection)
    connection.rollback()
    assert handle(connection)
    assert orders(database) == 1


def test_a_block_that_ends_its_transaction_is_an_error(connection: Any) -> None:
    with pytest.raises(Exception, match=r"(?i)transaction"), Inbox(connection).once(EVENT, "bill"):
        connection.commit()


class AlwaysOpen(sqlite3.Connection):
    """What sqlite3 makes from Python 3.12 on with autocommit=False."""

    autocommit = False

    @property
    def in_transaction(self) -> bool:
        return True


@pytest.mark.parametrize("fails", [True, False])
def test_a_block_that_commits_and_then_raises_is_handled_again(tmp_path: Path, fails: bool) -> None:
    """Its note would say that the event was handled, and the rest of the effect would be lost. A block that comes to
    its end has handled it."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        Inbox(connection).create_table()
        connection.execute("CREATE TABLE orders (n INTEGER)")
        connection.commit()

        def commits() -> None:
            with Inbox(connection).once(EVENT, "bill") as first:
                assert first
                connection.execute("INSERT INTO orders VALUES (1)")
                connection.commit()
                if fails:
                    raise Broken

        with pytest.raises(Broken if fails else Refused):
            commits()
        assert [handle(connection), handle(connection)] == [fails, False]


def test_a_connection_whose_transaction_is_always_open_says_what_to_do(tmp_path: Path) -> None:
    """It was told to commit before, and was in a transaction again as soon as it had."""
    made = closing(sqlite3.connect(tmp_path / "a.db", factory=AlwaysOpen))
    with made as connection, pytest.raises(Refused, match="autocommit=False, so a transaction is always open"):
        handle(connection)


def test_autocommit_needs_a_transaction_for_commit_false(database: Database, connection: Any) -> None:
    if database.name == "sqlite":
        connection.isolation_level = None
    else:
        connection.autocommit = True
    with pytest.raises(Refused, match="begin one"):
        handle(connection, commit=False)
    assert handle(connection)
    connection.execute("BEGIN")
    assert not handle(connection, commit=False)
    connection.execute("COMMIT")


def test_old_notes_are_forgotten_and_young_ones_kept(database: Database, connection: Any) -> None:
    for number in range(3):
        handle(connection, replace(EVENT, id=str(number)))
    nine_days = "noted_at - 777600" if database.name == "sqlite" else "noted_at - interval '9 days'"
    connection.execute(f"UPDATE gossipreg_inbox SET noted_at = {nine_days} WHERE id <> '2'")
    connection.commit()
    inbox = Inbox(connection)
    assert [inbox.forget(), inbox.forget(timedelta(days=8)), inbox.forget(timedelta(days=8))] == [0, 2, 0]
    connection.commit()
    assert database.query("SELECT id FROM gossipreg_inbox") == [("2",)]


@pytest.mark.parametrize(
    ("act", "at_fault"),
    [
        (lambda inbox: inbox.forget(timedelta(days=6)), "7 days"),
        (lambda inbox: inbox.forget(14), "14"),
        (lambda inbox: inbox.once(EVENT, "").__enter__(), "handler"),
        (lambda inbox: inbox.once("no event", "bill").__enter__(), "no event"),
        (lambda inbox: inbox.once(EVENT, "bill\udc80").__enter__(), "handler"),
        (lambda inbox: inbox.once(EVENT, "bill\0").__enter__(), "handler"),
        (lambda inbox: inbox.once(Given(id="\ud800"), "bill").__enter__(), r"id '\\ud800'"),
        (lambda inbox: inbox.once(Given(source="a\0"), "bill").__enter__(), r"source 'a\\x00'"),
    ],
)
def test_wrong_values_are_refused(connection: Any, act: Callable[[Inbox], object], at_fault: str) -> None:
    with pytest.raises(BadParams, match=at_fault):
        act(Inbox(connection))
