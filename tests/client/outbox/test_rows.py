"""An event as a row: what comes out is what was put in, and what no journal takes is refused before the commit."""

import math
import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg import BadParams, Outbox, TooLarge, relay_once
from gossipreg.client.outbox.rows import OutboxRow, make_row
from tests.client.outbox.databases import NotingPublisher, sqlite_database

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=10
)
NOTHING: dict[str, Any] = dict.fromkeys(("id", "source", "key", "subject", "datacontenttype", "time", "extensions"))


def is_encodable(value: object) -> bool:
    try:
        repr(value).encode()
    except UnicodeEncodeError:
        return False
    return "\\ud" not in repr(value)


@given(JSON.filter(is_encodable) | st.binary())
def test_data_comes_out_of_a_row_as_it_was(data: object) -> None:
    row = make_row("order.created", data, **NOTHING)
    call = OutboxRow.read(row.values).call()
    assert (call["type"], call["data"]) == ("order.created", data)
    assert type(call["data"]) is type(data)


@given(
    st.dictionaries(st.text("abc019", min_size=1, max_size=8), st.text("xyzö €", max_size=20), max_size=4),
    st.text("k-ö", max_size=8) | st.none(), st.text("s/", min_size=1, max_size=8) | st.none(),
)  # fmt: skip
def test_attributes_come_out_of_a_row_as_they_were(
    extensions: dict[str, str], key: str | None, source: str | None
) -> None:
    given: dict[str, Any] = {
        "id": "7", "source": source, "key": key, "subject": "one", "datacontenttype": "text/plain",
        "time": "2026-05-31T12:00:00Z", "extensions": extensions,
    }  # fmt: skip
    call = make_row("order.created", "paid", **given).call()
    assert call == {"type": "order.created", "data": "paid", **given, "extensions": extensions or None}


def test_text_that_comes_as_bytes_is_read_as_text() -> None:
    """psycopg gives text as bytes where the database has the encoding SQL_ASCII, as after `initdb` with LC_ALL=C."""
    row = make_row("a", b"data", **{**NOTHING, "subject": "größer"})
    given = tuple(value.encode() if isinstance(value, str) else value for value in row.values)
    assert OutboxRow.read(given) == row


def test_a_row_fixes_id_and_time() -> None:
    first, second = make_row("a", None, **NOTHING), make_row("a", None, **NOTHING)
    assert first.id != second.id
    assert first.call() == first.call()
    assert first.time.endswith("Z")


@pytest.mark.parametrize(
    ("named", "at_fault"),
    [
        ({"type": "no spaces"}, "type"),
        ({"type": 7}, "type is 7"),
        ({"data": object()}, "data"),
        ({"data": math.nan}, "data"),
        ({"data": {1: {2}}}, "data"),
        ({"data": "\ud800"}, "data"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id 7"),
        ({"source": ""}, "source"),
        ({"key": b"k"}, "key"),
        ({"key": "a\nb"}, "partitionkey"),
        ({"subject": "x" * 2000}, "subject"),
        ({"time": "yesterday"}, "time"),
        ({"extensions": {"Trace": "1"}}, "Trace"),
        ({"extensions": {"trace": 1}}, "trace"),
        ({"extensions": ["trace"]}, "trace"),
        ({"key": "a", "extensions": {"partitionkey": "b"}}, "partitionkey"),
    ],
)
def test_an_event_that_no_journal_takes_is_refused_at_once(named: dict[str, Any], at_fault: str) -> None:
    connection = sqlite3.connect(":memory:")
    outbox = Outbox(connection)
    outbox.create_table()
    with pytest.raises(BadParams, match=at_fault):
        outbox.publish(**{"type": "order.created", **named})
    assert connection.execute("SELECT count(*) FROM gossipreg_outbox").fetchone() == (0,)
    connection.close()


def test_data_beyond_an_event_is_refused_at_once() -> None:
    with pytest.raises(TooLarge, match="196608"):
        make_row("a", bytes(192 * 1024), **NOTHING)


@pytest.mark.parametrize("damage", ["form = 'cbor'", "data = NULL", "data = x'ff'", "extensions = '{'"])
def test_a_damaged_row_is_set_aside_and_the_others_go_on(tmp_path: Any, damage: str) -> None:
    database = sqlite_database(str(tmp_path / "d.db"))
    connection = database.connect()
    outbox = Outbox(connection)
    outbox.create_table()
    outbox.publish("first", {"a": 1})
    outbox.publish("second")
    connection.execute(f"UPDATE gossipreg_outbox SET {damage} WHERE type = 'first'")
    connection.commit()
    connection.close()
    publisher = NotingPublisher()
    done = relay_once(database.connect, publisher)
    assert (done.sent, done.refused, publisher.types) == (1, 1, ["second"])
    assert database.query("SELECT substr(refused, 1, 8) FROM gossipreg_outbox") == [("bad_row:",)]
