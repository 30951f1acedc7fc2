"""A connection of sqlite3 with autocommit=True (Python 3.12): its `commit` and `rollback` do nothing."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gossipreg import Inbox, Participant, ParticipantAnswer, Refused
from tests.client.outbox.test_program_block import Broken, Came

KEY = "3f9c.order-7/reserve"


class Autocommit(sqlite3.Connection):
    """As Python 3.12 documents it, also where the tests run on an older one."""

    autocommit = True
    isolation_level = property(lambda _self: "")  # without a meaning then

    def __init__(self, path: Path) -> None:
        super().__init__(path, isolation_level=None)

    def commit(self) -> None:
        pass

    def rollback(self) -> None:
        pass


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        Inbox(connection).create_table()
        Participant(connection).create_table()
        connection.execute("CREATE TABLE orders (n INTEGER)")
        connection.commit()
    return path


@pytest.fixture
def connection(path: Path) -> Iterator[Autocommit]:
    with closing(Autocommit(path)) as connection:
        yield connection


def orders(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM orders").fetchone()[0])


def handle(connection: Autocommit, act: Callable[[], object] = lambda: None, *, commit: bool = True) -> bool:
    """Handle the event; `act` is done after the effect."""
    with Inbox(connection).once(Came(), "bill", commit=commit) as first:
        if first:
            connection.execute("INSERT INTO orders VALUES (1)")
        act()
    return first


def fail() -> None:
    raise Broken


def test_what_a_handler_did_is_committed(connection: Autocommit, path: Path) -> None:
    """The transaction stayed open: the event was acknowledged, and its effect went with the connection."""
    assert handle(connection)
    assert orders(path) == 1
    assert not handle(connection)


def test_a_handler_that_raises_leaves_nothing(connection: Autocommit, path: Path) -> None:
    with pytest.raises(Broken):
        handle(connection, fail)
    assert (connection.in_transaction, orders(path)) == (False, 0)
    assert handle(connection)


def test_a_block_that_begins_anew_is_handled_again(connection: Autocommit, path: Path) -> None:
    def begin_anew() -> None:
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")
        connection.execute("INSERT INTO orders VALUES (2)")

    with pytest.raises(Refused, match="has ended the transaction"):
        handle(connection, begin_anew)
    assert (connection.in_transaction, orders(path)) == (False, 0)
    assert handle(connection)


def test_commit_false_needs_a_transaction(connection: Autocommit, path: Path) -> None:
    """One that was begun for the program could not be committed by its `commit`."""
    with pytest.raises(Refused, match="autocommit mode: begin one before"):
        handle(connection, commit=False)
    connection.execute("BEGIN")
    assert handle(connection, commit=False)
    connection.execute("COMMIT")
    assert orders(path) == 1


def test_a_step_of_a_participant_is_committed(connection: Autocommit, path: Path) -> None:
    def work() -> ParticipantAnswer:
        connection.execute("INSERT INTO orders VALUES (1)")
        return ParticipantAnswer(201)

    participant = Participant(connection)
    assert [participant.do(KEY, work).status for _ in range(2)] == [201, 201]
    assert orders(path) == 1


def test_a_handler_that_closes_its_connection_is_told_so(path: Path) -> None:
    """Of any mode: the error of the rollback that follows hid this one."""
    refused = pytest.raises(Refused, match="closed or lost")
    with closing(sqlite3.connect(path)) as connection, refused, Inbox(connection).once(Came(), "bill"):
        connection.close()
