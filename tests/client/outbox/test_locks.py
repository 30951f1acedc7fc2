"""A relay whose row is locked by another transaction says so, and sends it no second time."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gossipreg import Outbox, Relay, relay_once
from gossipreg.client.outbox import locks
from gossipreg.client.outbox.locks import OutboxLocked
from gossipreg.client.outbox.tables import POSTGRES
from scripts.tools.wait import wait_for
from tests.client.outbox.databases import Database, Event, NotingPublisher, failure, write

LOCK = "SELECT * FROM gossipreg_outbox FOR UPDATE"


@pytest.fixture(autouse=True)
def short_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LOCK_S", 0.02)


def test_a_row_that_is_locked_is_told_and_sent_once(
    postgres_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    write(postgres_database, "first", "second")
    publisher = NotingPublisher()
    with closing(postgres_database.connect()) as other:
        other.execute(LOCK)
        with caplog.at_level(logging.WARNING, "gossipreg"), Relay(postgres_database.connect, publisher) as relay:
            wait_for(lambda: relay.stats()["failures"] >= 2)
            assert publisher.types == ["first"]
            assert relay.stats()["sent"] == 0
            other.rollback()
            wait_for(lambda: relay.stats()["sent"] == 2)
            wait_for(lambda: relay.stats()["fault"] == "")
    assert publisher.types == ["first", "second"]
    assert postgres_database.waiting == 0
    told, well = [record.getMessage() for record in caplog.records]
    assert "locked: row 1 (first " in told
    assert "was sent, and cannot be taken out: another transaction holds a lock" in told
    assert "works again" in well


def test_a_row_to_be_set_aside_waits_for_the_lock_too(postgres_database: Database) -> None:
    asked: list[str] = []

    def refuse(event: Event) -> None:
        asked.append(event["type"])
        raise failure("conflict")

    write(postgres_database, "first")
    with closing(postgres_database.connect()) as other:
        other.execute(LOCK)
        with Relay(postgres_database.connect, NotingPublisher(refuse)) as relay:
            wait_for(lambda: "was refused, and cannot be set aside" in relay.stats()["fault"])
            other.rollback()
            wait_for(lambda: relay.stats()["refused"] == 1)
    assert asked == ["first"]


def test_a_locked_table_is_told(postgres_database: Database) -> None:
    write(postgres_database, "first")
    publisher = NotingPublisher()
    with closing(postgres_database.connect()) as other:
        other.execute("LOCK TABLE gossipreg_outbox")
        with Relay(postgres_database.connect, publisher) as relay:
            wait_for(lambda: relay.stats()["fault"].startswith("locked: another transaction holds a lock"))
            assert publisher.types == []
            other.rollback()
            wait_for(lambda: relay.stats()["sent"] == 1)


def test_relay_once_raises_for_a_locked_row(postgres_database: Database) -> None:
    write(postgres_database, "first")
    with closing(postgres_database.connect()) as other:
        other.execute(LOCK)
        with pytest.raises(OutboxLocked, match=r"^row 1 \(first .*pg_stat_activity shows it\)$"):
            relay_once(postgres_database.connect, NotingPublisher())


def test_the_programs_own_bound_of_locks_stays(postgres_database: Database) -> None:
    kept = []

    def connect() -> Any:
        connection = postgres_database.connect()
        connection.execute("SET lock_timeout = '77ms'")
        connection.commit()
        return connection

    for opened in (connect, postgres_database.connect):
        connection = opened()
        connection.autocommit = True
        locks.bound_locks(connection, POSTGRES)
        kept += connection.execute("SHOW lock_timeout").fetchone()
        connection.close()
    assert kept == ["77ms", "20ms"]


def test_a_writer_of_sqlite_that_does_not_end_is_told(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        Outbox(connection).create_table()
        Outbox(connection).publish("first")
        connection.commit()

        def answer(_event: Event) -> None:
            if not connection.in_transaction:
                connection.execute("BEGIN IMMEDIATE")

        publisher = NotingPublisher(answer)
        with pytest.raises(OutboxLocked, match=r"row 1 .* was sent, and cannot be taken out: another transaction has"):
            relay_once(lambda: sqlite3.connect(path, timeout=0.01), publisher)
        connection.rollback()
    assert publisher.types == ["first"]


def test_a_relay_ends_though_its_row_is_locked(postgres_database: Database) -> None:
    """The row is sent again by the next one, under its id."""
    write(postgres_database, "first")
    ids: list[str] = []
    with closing(postgres_database.connect()) as other:
        other.execute(LOCK)
        with Relay(postgres_database.connect, NotingPublisher(lambda event: ids.append(event["id"]))) as relay:
            wait_for(lambda: relay.stats()["failures"] == 1)
        assert not relay.stats()["running"]
    assert relay_once(postgres_database.connect, NotingPublisher(lambda event: ids.append(event["id"]))).sent == 1
    assert len(ids) == 2
    assert len(set(ids)) == 1
