"""The programs of docs/outbox.md run as they stand there, and its SQL does what it says."""

import re
import sqlite3
import textwrap
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gossipreg import Outbox, relay_once
from gossipreg.client.outbox.inbox import KEPT, LEAST_KEPT
from gossipreg.client.outbox.leases import LEASE_S
from gossipreg.client.outbox.locks import LOCK_S
from gossipreg.client.outbox.relay import AGAIN
from gossipreg.client.outbox.sending import REFUSED_CODES
from tests.client.outbox.conftest import MakeDatabase
from tests.client.outbox.databases import Database, NotingPublisher, failure

PAGE = (Path(__file__).parents[3] / "gossipreg" / "docs" / "outbox.md").read_text()


def blocks() -> list[str]:
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE, re.MULTILINE)
    return [textwrap.dedent(block).strip() for block in found]


def program(name: str, *, put: str = "", instead_of: str = "") -> dict[str, Any]:
    """The names of the program that stands below `NAME:`, with an address of a test in place of its own."""
    (source,) = re.findall(rf"^`{name}`:\n\n((?:    .*\n|\n(?=    ))+)", PAGE, re.MULTILINE)
    assert instead_of in source
    names: dict[str, Any] = {}
    exec(compile(textwrap.dedent(source).replace(instead_of, put), name, "exec"), names)
    return names


@dataclass(frozen=True)
class Delivered:
    id: str
    source: str = "shop"
    data: dict[str, Any] = field(default_factory=lambda: {"number": 7})


def test_the_shop_publishes_its_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    publisher = NotingPublisher()
    program("shop.py")["main"](publisher)
    assert sqlite_waiting(tmp_path / "shop.db")() == 0
    assert publisher.types == ["order.created"]
    assert publisher.events[0]["data"] == {"number": 7, "item": "tea"}
    assert publisher.events[0]["key"] == "order-7"


def test_the_shop_with_postgresql_publishes_its_order(postgres: MakeDatabase) -> None:
    database = postgres()
    publisher = NotingPublisher()
    shop = program("shop_pg.py", put=repr(database.address), instead_of='"dbname=shop"')
    shop["main"](publisher)
    assert publisher.types == ["order.created"]
    assert (database.query("SELECT number, item FROM orders"), database.waiting) == ([(7, "tea")], 0)


def test_what_the_page_says_of_psycopg_holds(postgres: MakeDatabase) -> None:
    """These are its traps: who follows the example of SQLite loses the order, or the connection."""
    database = postgres()
    connection = database.connect()
    Outbox(connection).create_table()
    with connection.transaction():
        Outbox(connection).publish("lost")
    connection.rollback()
    Outbox(connection).create_table()
    connection.commit()
    with connection:
        Outbox(connection).publish("kept")
    assert connection.closed
    assert database.query("SELECT type FROM gossipreg_outbox") == [("kept",)]


def sqlite_waiting(path: Path) -> Callable[[], int]:
    def waiting() -> int:
        with closing(sqlite3.connect(path)) as connection:
            return int(connection.execute("SELECT count(*) FROM gossipreg_outbox").fetchone()[0])

    return waiting


def test_the_biller_bills_an_event_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    billing = program("billing.py")
    billing["prepare"]()
    for id in ("1", "1", "2"):
        billing["bill"](Delivered(id))
    with closing(sqlite3.connect("billing.db")) as connection:
        assert connection.execute("SELECT number FROM bills").fetchall() == [(7,), (7,)]


def test_the_sql_of_the_page_lists_retries_and_drops(database: Database) -> None:
    (sql,) = [block for block in blocks() if block.startswith("SELECT")]
    listing, retrying, dropping = [line.partition(";")[0] for line in sql.splitlines()]

    def refuse(_event: object) -> None:
        raise failure("conflict")

    with closing(database.connect()) as connection:
        for _ in range(2):
            Outbox(connection).publish("first")
        connection.commit()
    assert relay_once(database.connect, NotingPublisher(refuse)).refused == 2
    numbers = [row[0] for row in database.query(listing)]
    database.execute(retrying.replace("17", str(numbers[0])))
    database.execute(dropping.replace("17", str(numbers[1])))
    assert database.query(listing) == []
    assert database.waiting == 1


def test_the_page_has_the_figures_of_the_code() -> None:
    assert all(f"`{code}`" in PAGE for code in REFUSED_CODES)
    for text in (
        f"after {AGAIN.first_s} s, doubling to {AGAIN.longest_s:.0f} s", f"a lease of {LEASE_S:.0f} s",
        f"says so after {LOCK_S:.0f} s",
        f"older than {KEPT.days} days", f"Less than {LEAST_KEPT.days} days",
    ):  # fmt: skip
        assert text in PAGE.replace("\n", " ").replace("  ", " ")


def test_the_page_names_the_columns_of_the_tables(database: Database) -> None:
    with closing(database.connect()) as connection:
        for table in ("gossipreg_outbox", "gossipreg_inbox"):
            cursor = connection.execute(f"SELECT * FROM {table}")
            assert [column[0] for column in cursor.description if f"`{column[0]}`" not in PAGE] == []
        connection.rollback()
