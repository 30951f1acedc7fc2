"""A replica that forgot what it acknowledged takes no part any more, however the files came to be older."""

import os
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest

from gossipreg.daemon.journals.forms import ReplicaSummary
from gossipreg.daemon.journals.noted import SLOT_BYTES, NoteFile
from gossipreg.daemon.journals.opening import open_journals
from gossipreg.daemon.journals.results import StoreOpened
from gossipreg.daemon.journals.writing import JournalWriter
from gossipreg.daemon.journals_file import JOURNALS, NOTED
from gossipreg.journal.effects import LogBase, RemoveJournal, WriteJournal
from gossipreg.journal.model import START, Ballot, Configuration, JournalId, LogEntry, ReplicaId
from gossipreg.model import NodeId
from tests.daemon.journals.images import WAL, copy_files, look_into, opened

A, B = (JournalId(letter * 16) for letter in (b"a", b"b"))
R, S = (ReplicaId(letter * 16) for letter in (b"r", b"s"))
BASE = LogBase(START, 0, Configuration(()))


def begun(journal: JournalId, replica: ReplicaId) -> WriteJournal:
    return WriteJournal(1, journal, replica, NodeId(b"o" * 16), reset=BASE)


def entry(journal: JournalId, replica: ReplicaId, index: int, data: bytes = b"d") -> WriteJournal:
    added = LogEntry(index, Ballot(1, replica), 0, 2, data)
    return WriteJournal(1, journal, replica, NodeId(b"o" * 16), entries=(added,))


def fill(folder: Path) -> None:
    """Journal A has two entries, journal B one."""
    with opened(folder) as (database, _):
        database.write([begun(A, R), begun(B, S)])
        database.write([entry(A, R, 1)])
        database.write([entry(B, S, 1), entry(A, R, 2)])


def lost(found: StoreOpened) -> dict[JournalId, str]:
    return {one.journal: one.reason for one in found.lost}


def sound(found: StoreOpened) -> dict[JournalId, int]:
    return {one.journal: len(one.entries) for one in found.replicas}


def test_an_old_copy_of_the_database_is_not_believed(tmp_path: Path) -> None:
    fill(tmp_path)
    old = copy_files(tmp_path, tmp_path / "old")
    with opened(tmp_path) as (database, _):
        database.write([entry(A, R, 3)])
    shutil.copy2(old / JOURNALS, tmp_path)
    found = look_into(tmp_path)
    assert sound(found) == {B: 1}
    assert lost(found)[A].endswith("its log ends at 2, and 3 was acknowledged")
    assert (tmp_path / found.set_aside).exists()
    assert sound(look_into(tmp_path)) == {B: 1}


def test_a_log_of_writes_that_is_missing_loses_those_that_it_had(tmp_path: Path) -> None:
    fill(tmp_path)
    database, _ = open_journals(tmp_path)
    database.write([entry(A, R, 3)])
    image = copy_files(tmp_path, tmp_path / "image")
    database.close()
    (image / WAL).unlink()
    found = look_into(image)
    assert (sound(found), set(lost(found))) == ({B: 1}, {A})


def test_a_database_that_is_gone_loses_all(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / JOURNALS).unlink()
    found = look_into(tmp_path)
    assert (found.replicas, found.set_aside) == ((), "")
    assert lost(found) == dict.fromkeys((A, B), "it is not in the database any more")
    assert look_into(tmp_path) == StoreOpened(())


def test_another_database_in_its_place_is_not_believed(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        fill(folder)
    shutil.copy2(there / JOURNALS, here)
    found = look_into(here)
    assert found.replicas == ()
    assert "another was put in its place" in lost(found)[A]


def test_a_removed_replica_does_not_come_back_with_an_old_copy(tmp_path: Path) -> None:
    fill(tmp_path)
    old = copy_files(tmp_path, tmp_path / "old")
    with opened(tmp_path) as (database, _):
        database.write([RemoveJournal(A, R)])
    shutil.copy2(old / JOURNALS, tmp_path)
    found = look_into(tmp_path)
    assert sound(found) == {B: 1}
    assert lost(found) == {A: "the database went back to before it was removed"}


@pytest.mark.parametrize("end", ["missing", "damaged", "a slot is damaged"])
def test_without_the_file_of_acknowledged_writes_the_rest_is_believed(end: str, tmp_path: Path) -> None:
    fill(tmp_path)
    if end == "missing":
        (tmp_path / NOTED).unlink()
    elif end == "damaged":
        (tmp_path / NOTED).write_bytes(os.urandom(500))
    else:
        with open(tmp_path / NOTED, "r+b") as file:
            file.seek(SLOT_BYTES)
            file.write(os.urandom(SLOT_BYTES))
    found = look_into(tmp_path)
    assert (sound(found), found.lost) == ({A: 2, B: 1}, ())


def test_a_file_that_sqlite_cannot_read_is_set_aside(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / JOURNALS).write_bytes(b"no database" * 1000)
    found = look_into(tmp_path)
    assert found.replicas == ()
    assert lost(found).keys() == {A, B}
    assert found.fault == "file is not a database"
    assert (tmp_path / found.set_aside).read_bytes().startswith(b"no database")
    fill(tmp_path)
    assert sound(look_into(tmp_path)) == {A: 2, B: 1}


@pytest.mark.parametrize("step", ["before", "between"])
def test_a_replacement_that_was_interrupted_is_completed(step: str, tmp_path: Path) -> None:
    """The process ends before the damaged file is renamed, or before the new one has its name."""
    fill(tmp_path)
    new = tmp_path / f"{JOURNALS}.new"
    if step == "before":
        new.write_bytes(b"half of a file")
        new.with_name(f"{new.name}-wal").write_bytes(b"and its log")
    else:
        (tmp_path / JOURNALS).rename(new)
    found = look_into(tmp_path)
    assert (sound(found), found.lost) == ({A: 2, B: 1}, ())
    assert {path.name for path in tmp_path.iterdir()} == {JOURNALS, NOTED}


def test_a_new_replica_is_noted_on_the_disk_before_it_begins(tmp_path: Path) -> None:
    done: list[str] = []
    sync, commit = NoteFile.sync, JournalWriter.commit

    def synced(file: NoteFile) -> None:
        done.append("sync")
        sync(file)

    def committed(writer: JournalWriter) -> dict[int, ReplicaSummary]:
        done.append("commit")
        return commit(writer)

    with (
        opened(tmp_path) as (database, _),
        patch.object(NoteFile, "sync", synced),
        patch.object(JournalWriter, "commit", committed),
    ):
        for write in (begun(A, R), entry(A, R, 1), begun(B, S)):
            database.write([write])
    assert done == ["sync", "commit", "commit", "sync", "commit"]
