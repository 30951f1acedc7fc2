"""A journal's database holds what was reported as written, whenever the process ends, and nothing that was not asked
for. The meaning of a write is that of `tests/journal/stored.py`."""

import random
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gossipreg.daemon.journals import database as database_module
from gossipreg.daemon.journals.database import JournalDatabase
from gossipreg.daemon.journals.forms import ReplicaSummary
from gossipreg.daemon.journals.noted import NoteFile
from gossipreg.daemon.journals.opening import open_journals
from gossipreg.journal.effects import ReadLog, ReadRecords
from gossipreg.journal.log import entry_bytes
from gossipreg.journal.model import JournalId
from tests.daemon.journals.images import by_journal, copy_files, cut_wal, look_into, memory_folder, wal_bytes
from tests.daemon.journals.writes import JOURNALS, KEYS, RandomWrites
from tests.examples import examples
from tests.journal.stored import Disk

Replicas = Mapping[int, ReplicaSummary]
CHECKPOINT_BYTES = 100_000
"""So that a short run has some."""


class StoredJournals(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.stack.enter_context(patch.object(database_module, "CHECKPOINT_BYTES", CHECKPOINT_BYTES))
        self.root = self.stack.enter_context(memory_folder())
        self.folder = self.root / "0"
        self.folder.mkdir()
        self.copies = 0
        self.old: list[JournalDatabase] = []
        self.database, found = open_journals(self.folder)
        assert (found.replicas, found.lost) == ((), ())

    @initialize(seed=st.integers(0, 1 << 32))
    def begin(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.writes = RandomWrites(self.rng)

    def _copy(self) -> Path:
        self.copies += 1
        return copy_files(self.folder, self.root / str(self.copies))

    def _holds(self, folder: Path, *states: Disk) -> None:
        found = look_into(folder)
        assert (found.lost, found.set_aside, found.fault) == ((), "", "")
        assert by_journal(found) in [state.opened() for state in states]

    # -- what is done ------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 30), tidy=st.booleans())
    def write(self, count: int, tidy: bool) -> None:
        self.database.write([self.writes.next() for _ in range(count)])
        if tidy:
            self.database.tidy()

    @rule(count=st.integers(1, 30), part=st.floats(0, 1), garbage=st.binary(max_size=64))
    def write_and_look_at_crashes(self, count: int, part: float, garbage: bytes) -> None:
        """The process, or the power, ends before the commit, or after it and before that is noted."""
        before, size = Disk(self.writes.disk), wal_bytes(self.folder)
        asked = [self.writes.next() for _ in range(count)]
        images: dict[str, Path] = {}
        prepare, note = NoteFile.prepare, NoteFile.note

        def preparing(file: NoteFile, new: Replicas, gone: Replicas) -> None:
            images["unprepared"] = self._copy()
            prepare(file, new, gone)
            images["uncommitted"] = self._copy()

        def noting(file: NoteFile, changed: Replicas, gone: Collection[int]) -> None:
            images["committed"] = self._copy()
            note(file, changed, gone)

        with patch.object(NoteFile, "prepare", preparing), patch.object(NoteFile, "note", noting):
            self.database.write(asked)
        grown = wal_bytes(images["committed"])
        if grown > size:  # what was not synchronised may be missing from anywhere on
            torn = copy_files(images["committed"], self.root / f"torn-{self.copies}")
            cut_wal(torn, size + int(part * (grown - size)), garbage)
            self._holds(torn, before, self.writes.disk)
        self._holds(images["unprepared"], before)
        self._holds(images["uncommitted"], before)
        self._holds(images["committed"], self.writes.disk)

    @rule()
    def crash(self) -> None:
        """Go on with what is on the disk now."""
        self.old.append(self.database)
        self.folder = self._copy()
        self.database, found = open_journals(self.folder)
        assert by_journal(found) == self.writes.disk.opened()
        self.writes.disk.stages.clear()
        assert (found.lost, found.set_aside, found.fault) == ((), "", "")

    @rule()
    def close_and_open(self) -> None:
        self.database.close()
        self.database, found = open_journals(self.folder)
        assert by_journal(found) == self.writes.disk.opened()
        self.writes.disk.stages.clear()
        assert (found.lost, found.set_aside, found.fault) == ((), "", "")

    @rule(journal=st.sampled_from(JOURNALS), first=st.integers(-2, 30), limit=st.sampled_from([0, 1_000, 20_000]))
    def read(self, journal: bytes, first: int, limit: int) -> None:
        stored = self.writes.disk.get(journal)  # type: ignore[call-overload]
        first += stored.base.position.index if stored is not None else 0
        found = self.database.read(ReadLog(journal, first, limit))  # type: ignore[arg-type]
        kept = () if stored is None else stored.entries
        expected = [entry for entry in kept if entry.index >= first]
        if not expected or expected[0].index != first:
            assert found == ()
        else:
            assert found == tuple(expected[: len(found)])
            assert len(found) == 1 or sum(map(entry_bytes, found)) <= limit
            more = expected[len(found) : len(found) + 1]
            assert not more or sum(map(entry_bytes, [*found, *more])) > limit

    @rule(journal=st.sampled_from(JOURNALS), keys=st.lists(st.sampled_from([*KEYS, b"unknown"]), max_size=200))
    def read_records(self, journal: JournalId, keys: list[bytes]) -> None:
        asked = ReadRecords(journal, 1, tuple(keys))
        assert self.database.read_records(asked) == self.writes.disk.read(asked)

    # -- what holds --------------------------------------------------------------------------------------------------

    @invariant()
    def space_counts_what_is_there(self) -> None:
        if hasattr(self, "writes"):
            assert self.database.space.keys() == self.writes.disk.keys()
            for journal, size in self.database.space.items():
                stored = self.writes.disk[journal]
                content = sum(len(entry.data) for entry in stored.entries)
                content += sum(len(key) + len(value) for key, value in stored.records.items())
                assert content <= size <= content + 1_000 + 120 * (len(stored.entries) + len(stored.records))

    def teardown(self) -> None:
        for database in [*self.old, self.database]:
            database.close()
        self.stack.close()


def test_the_database_holds_what_was_written_whenever_it_ends() -> None:
    run_state_machine_as_test(
        StoredJournals, settings=settings(max_examples=examples(25), stateful_step_count=15, deadline=None)
    )


def test_what_a_crash_leaves_needs_nothing_of_the_write_before() -> None:
    """Many commits, and an image of each."""
    with memory_folder() as root, patch.object(database_module, "CHECKPOINT_BYTES", CHECKPOINT_BYTES):
        folder = root / "live"
        folder.mkdir()
        writes = RandomWrites(random.Random(7))
        database, _ = open_journals(folder)
        for number in range(150):
            database.write([writes.next()])
            database.tidy()
            found = look_into(copy_files(folder, root / str(number)))
            assert by_journal(found) == writes.disk.opened()
            assert found.lost == ()
        database.close()
