"""The file of the journals' database: whose it is, which version wrote it, how it is written, and how large it gets."""

import sqlite3
from pathlib import Path

import pytest

from gossipreg.daemon.journals.opening import open_journals
from gossipreg.daemon.journals.tables import connect
from gossipreg.daemon.journals_file import JOURNALS, NOTED
from gossipreg.errors import CannotStart, CannotStartYet
from gossipreg.journal.effects import RemoveJournal
from tests.daemon.journals.images import WAL, look_into, memory_folder, opened
from tests.daemon.journals.test_journals_that_went_back import A, B, R, S, begun, entry, fill, lost


def changed_by(folder: Path, *statements: str) -> bytes:
    """The database's bytes after somebody else ran these."""
    database = sqlite3.connect(folder / JOURNALS, isolation_level=None)
    for statement in statements:
        database.execute(statement)
    database.close()
    return (folder / JOURNALS).read_bytes()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    fill(tmp_path)
    content = changed_by(tmp_path, "UPDATE store SET layout = 99", "PRAGMA user_version = 99")
    with pytest.raises(CannotStart, match=r"journals\.db was written by a newer version \(format 99\): run that one"):
        open_journals(tmp_path)
    assert (tmp_path / JOURNALS).read_bytes() == content
    assert {path.name for path in tmp_path.iterdir()} == {JOURNALS, NOTED}


def test_a_damaged_version_is_not_taken_for_a_newer_one(tmp_path: Path) -> None:
    fill(tmp_path)
    changed_by(tmp_path, "PRAGMA user_version = 99")
    found = look_into(tmp_path)
    assert found.fault == "its format is 99"
    assert lost(found).keys() == {A, B}


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    content = changed_by(tmp_path, "CREATE TABLE recipes (name TEXT)")
    with pytest.raises(CannotStart, match="is the database of another program: choose another --data-dir"):
        open_journals(tmp_path)
    assert (tmp_path / JOURNALS).read_bytes() == content


def test_two_processes_cannot_use_it_at_the_same_time(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(CannotStartYet, match="database is locked"):
        open_journals(tmp_path)


def test_its_files_are_for_their_user_alone(tmp_path: Path) -> None:
    with opened(tmp_path):
        assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == dict.fromkeys(
            (JOURNALS, WAL, NOTED), 0o600
        )


def test_space_that_is_free_goes_back_to_the_file_system() -> None:
    with memory_folder() as folder, opened(folder) as (database, _):
        database.write([begun(A, R), begun(B, S)])
        for index in range(1, 201):
            database.write([entry(A, R, index, bytes(200_000))])
            database.tidy()
        database.write([RemoveJournal(A, R)])
        before = (folder / JOURNALS).stat().st_size
        for index in range(1, 300):
            database.write([entry(B, S, index, bytes(50_000))])
            database.tidy()
        assert before > 40_000_000
        assert (folder / JOURNALS).stat().st_size < before - 4_000_000
        assert (folder / WAL).stat().st_size < 10_000_000


def test_a_commit_is_synchronised_and_the_cache_is_small(tmp_path: Path) -> None:
    database = connect(tmp_path / JOURNALS)
    found = {
        setting: database.execute(f"PRAGMA {setting}").fetchone()[0]
        for setting in ("journal_mode", "synchronous", "locking_mode", "cache_size", "auto_vacuum")
    }
    database.close()
    full, incremental = 2, 2
    assert found == {
        "journal_mode": "wal", "synchronous": full, "locking_mode": "exclusive", "cache_size": -256,
        "auto_vacuum": incremental,
    }  # fmt: skip
