"""The database filters as `fits` does, keeps its bounds, and never stands in the way of a start."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings

from gossipreg.daemon.history.history_database import (
    HISTORY_FILE,
    LOG_BYTES,
    HistoryDatabase,
    UnusableHistory,
)
from gossipreg.daemon.start import HISTORY_SPACE_MIN_BYTES as SPACE_MIN_BYTES
from gossipreg.history.history_line import HistoryLine, LineField, NamedMember
from gossipreg.history.history_query import HistoryQuery, fits
from tests.history.line_strategies import QUERIES, lines_of

EVERYTHING = HistoryQuery(after=0, limit=5000)


@contextmanager
def opened(folder: Path, space_bytes: int = 64 << 20) -> Iterator[HistoryDatabase]:
    database = HistoryDatabase(folder, space_bytes=space_bytes, boot_id="this boot")
    yield database
    database.close()


def line(seq: int, at: float = 0.0, message: str = "something happened") -> HistoryLine:
    more: dict[str, LineField] = {"by": "api-1", "left_out": 3, "share": 0.5, "sure": True}
    return HistoryLine(
        seq, at, 1.0, "member_dead", "info", message, NamedMember("ab12", "web-1"), "web", "web-80", more
    )


@settings(max_examples=30)
@given(lines_of(30), QUERIES)
def test_sql_filters_as_the_rule_for_lines_does(lines: list[HistoryLine], query: HistoryQuery) -> None:
    with TemporaryDirectory() as folder, opened(Path(folder)) as database:
        database.write(lines, None)
        found, more = database.read(query)
    wanted = [one for one in lines if fits(one, query)]
    part = wanted[-query.limit :] if query.newest else wanted[: query.limit]
    assert [replace(one, boot_id="") for one in found] == part
    assert more == (len(wanted) > query.limit)


def test_a_line_comes_back_as_it_was_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        database.write([line(7)], None)
    with opened(tmp_path) as database:
        assert (database.newest_seq, database.newest_kind) == (7, "member_dead")
        assert database.read(EVERYTHING) == ([replace(line(7), boot_id="this boot")], False)
        assert database.first_at() == 0.0


def test_lines_older_than_is_kept_are_thrown_away(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        database.write([line(1, 10.0), line(2, 30.0), line(3, 20.0)], None)
        database.write([line(4, 40.0)], 20.0)
        assert [one.seq for one in database.read(EVERYTHING)[0]] == [2, 3, 4]


def test_the_file_keeps_its_space_and_the_newest_lines(tmp_path: Path) -> None:
    thrown = 0
    with opened(tmp_path, SPACE_MIN_BYTES) as database:
        for first in range(0, 60_000, 1000):
            thrown += database.write([line(first + one, float(first)) for one in range(1, 1001)], None)
            size_bytes = sum(path.stat().st_size for path in tmp_path.iterdir())
            assert size_bytes <= SPACE_MIN_BYTES + 2 * LOG_BYTES
        found, _ = database.read(HistoryQuery(limit=5000))
        assert [one.seq for one in found] == list(range(55_001, 60_001))
    assert thrown > 20_000


def test_a_smaller_space_is_kept_from_the_next_start_on(tmp_path: Path) -> None:
    with opened(tmp_path, 4 * SPACE_MIN_BYTES) as database:
        for first in range(0, 60_000, 1000):
            database.write([line(first + one) for one in range(1, 1001)], None)
    with opened(tmp_path, SPACE_MIN_BYTES) as database:
        database.write([line(60_001)], None)
        assert database.read(HistoryQuery(limit=1))[0][0].seq == 60_001
    assert (tmp_path / HISTORY_FILE).stat().st_size <= SPACE_MIN_BYTES


def spoil_head(path: Path) -> None:
    path.write_bytes(b"no database" + path.read_bytes()[11:])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:4500])


def make_another(path: Path) -> None:
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE lines (a)")
    database.execute("PRAGMA user_version = 1")
    database.close()


def make_newer(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()


@pytest.mark.parametrize("spoil", [spoil_head, truncate, make_another, make_newer])
def test_a_damaged_file_is_set_aside_and_a_new_one_begins(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    with opened(tmp_path) as database:
        database.write([line(seq) for seq in range(1, 500)], None)
    spoil(tmp_path / HISTORY_FILE)
    with pytest.raises(UnusableHistory, match=r"set aside as history\.db\.damaged-"), opened(tmp_path) as database:
        database.read(EVERYTHING)
    with opened(tmp_path) as database:
        database.write([line(1)], None)
        assert len(database.read(EVERYTHING)[0]) == 1
    assert len(list(tmp_path.glob("history.db.damaged-*"))) == 1


def test_damage_that_is_met_while_it_is_used_sets_the_file_aside(tmp_path: Path) -> None:
    with opened(tmp_path) as database:
        database.write([line(seq) for seq in range(1, 2000)], None)
    path = tmp_path / HISTORY_FILE
    data = bytearray(path.read_bytes())
    data[5 * 4096 : 40 * 4096] = bytes([0xAA]) * (35 * 4096)
    path.write_bytes(data)
    with pytest.raises(UnusableHistory, match="set aside"), opened(tmp_path) as database:
        database.read(EVERYTHING)


@pytest.mark.parametrize("begins_again", [False, True])
def test_a_file_that_was_deleted_is_noticed_at_the_next_write(tmp_path: Path, begins_again: bool) -> None:
    with opened(tmp_path) as database:
        database.write([line(1)], None)
        (tmp_path / HISTORY_FILE).unlink()
        if begins_again:
            (tmp_path / HISTORY_FILE).touch()
        with pytest.raises(UnusableHistory, match="removed or replaced"):
            database.write([line(2)], None)


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    with opened(tmp_path):
        assert (tmp_path / HISTORY_FILE).stat().st_mode & 0o777 == 0o600
