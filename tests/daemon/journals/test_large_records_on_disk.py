"""Large records on the disk: they are not loaded, they are read when asked for, and a stage ends with its process."""

import sqlite3
import tracemalloc
from pathlib import Path

import trio

from gossipreg.daemon.journals.opening import open_journals
from gossipreg.daemon.journals.results import RecordsDone, WriteDone
from gossipreg.daemon.journals.store import JournalStore
from gossipreg.journal.effects import LogBase, ReadRecords, WriteJournal
from gossipreg.journal.model import START, Ballot, Configuration, JournalId, Position, ReplicaId
from gossipreg.journal.state import LARGE
from gossipreg.model import NodeId
from tests.daemon.journals.images import copy_files, look_into, memory_folder, opened
from tests.daemon.journals.test_journal_store import BOUND_S

KIB = 1024
JOURNAL, REPLICA, OWNER = JournalId(b"j" * 16), ReplicaId(b"r" * 16), NodeId(b"o" * 16)
BASE = LogBase(START, 0, Configuration(()))


def key(number: int) -> bytes:
    return LARGE + number.to_bytes(4)


def value(number: int, size: int = 100 * KIB) -> bytes:
    return number.to_bytes(4) * (size // 4)


def write(number: int, records: dict[bytes, bytes | None], *, reset: LogBase | None = None) -> WriteJournal:
    return WriteJournal(number, JOURNAL, REPLICA, OWNER, reset=reset, records=tuple(records.items()))


def rows(folder: Path) -> int:
    database = sqlite3.connect(folder / "journals.db")
    count: int = database.execute("SELECT count(*) FROM records").fetchone()[0]
    database.close()
    return count


def test_a_replica_with_large_records_takes_little_memory() -> None:
    """200 MiB of payloads on the disk."""
    with memory_folder() as folder:
        with opened(folder) as (database, _):
            for first in range(0, 2_000, 100):
                part = {key(number): value(number) for number in range(first, first + 100)}
                database.write([write(first + 1, {b"small": b"1", **part}, reset=None if first else BASE)])
                database.tidy()
        tracemalloc.start()
        try:
            database, found = open_journals(folder)
            now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        (replica,) = found.replicas
        assert len(replica.large) == 2_000
        assert {*replica.large.values()} == {100 * KIB}
        assert replica.records == {b"small": b"1"}
        assert now < 2 * KIB * KIB
        assert peak < 10 * KIB * KIB
        values = database.read_records(ReadRecords(JOURNAL, 1, (key(7), key(1_999), key(2_000), b"small")))
        assert values == (value(7), value(1_999), None, b"1")
        database.close()


def test_a_stage_ends_with_its_process(tmp_path: Path) -> None:
    folder = tmp_path / "live"
    folder.mkdir()
    with opened(folder) as (database, _):
        database.write([write(1, {key(0): value(0)}, reset=BASE)])
        staged = tuple((1, key(number), value(number)) for number in range(10))
        database.write([WriteJournal(2, JOURNAL, REPLICA, OWNER, staged=staged)])
        image = copy_files(folder, tmp_path / "image")
    assert rows(folder) == 11
    for where in (folder, image):
        (replica,) = look_into(where).replicas
        assert dict(replica.large) == {key(0): 100 * KIB}
        assert rows(where) == 1


def test_a_stage_becomes_the_state_without_another_write_of_its_records(tmp_path: Path) -> None:
    base = LogBase(Position(Ballot(1, REPLICA), 50), 0, Configuration(()))
    with opened(tmp_path) as (database, _):
        database.write([write(1, {key(0): value(0), b"old": b"1"}, reset=BASE)])
        staged = tuple((1, key(number), value(number)) for number in range(1, 11))
        database.write([WriteJournal(2, JOURNAL, REPLICA, OWNER, staged=staged)])
        before = (tmp_path / "journals.db-wal").stat().st_size
        last = WriteJournal(
            3, JOURNAL, REPLICA, OWNER, reset=base, records=((b"new", b"2"),), applied=50, reset_stage=1, oldest_stage=2
        )  # fmt: skip
        database.write([last])
        assert (tmp_path / "journals.db-wal").stat().st_size - before < 500 * KIB
        values = database.read_records(ReadRecords(JOURNAL, 1, (key(0), key(1), b"old", b"new")))
        assert values == (None, value(1), None, b"2")
    (replica,) = look_into(tmp_path).replicas
    assert replica.records == {b"new": b"2"}
    assert dict(replica.large) == {key(number): 100 * KIB for number in range(1, 11)}
    assert (replica.applied, replica.base) == (50, base)
    assert rows(tmp_path) == 11


async def test_records_are_read_in_order_with_the_writes(tmp_path: Path) -> None:
    with trio.fail_after(BOUND_S):
        async with JournalStore(tmp_path) as store:
            await store.open()
            store.submit(write(1, {key(0): b"one"}, reset=BASE))
            store.submit(ReadRecords(JOURNAL, 1, (key(0), key(1))))
            results = [*await store.results()]
            while len(results) < 2:
                results += await store.results()
            assert results == [WriteDone(1, JOURNAL), RecordsDone(1, JOURNAL, (b"one", None))]
            store.submit(write(2, {key(0): None}))
            store.submit(ReadRecords(JOURNAL, 2, (key(0),)))
            store.submit(ReadRecords(JournalId(b"k" * 16), 3, (key(0),)))
            results = []
            while len(results) < 3:
                results += await store.results()
            assert results[1:] == [RecordsDone(2, JOURNAL, (None,)), RecordsDone(3, JournalId(b"k" * 16), (None,))]
            assert store.statistics().waiting == 0
