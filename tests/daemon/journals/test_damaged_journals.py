"""A damaged file never gives a wrong entry: a replica that lacks anything of what was reported as written, or has it
otherwise, is lost, and the others go on."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.daemon.journals.opening import open_journals
from gossipreg.daemon.journals.results import StoreOpened
from gossipreg.daemon.journals_file import JOURNALS
from gossipreg.journal.effects import ReadRecords, WriteJournal
from gossipreg.model import NodeId
from tests.daemon.journals.images import WAL, by_journal, copy_files, look_into, memory_folder, opened
from tests.daemon.journals.test_journals_that_went_back import A, B, R, S, begun, entry
from tests.daemon.journals.writes import RandomWrites
from tests.examples import examples
from tests.journal.stored import Disk, without_large

PAGE_BYTES = 4096


def written(folder: Path, seed: int, *parts: int) -> Disk:
    """Files as the end of the process leaves them, after this many writes that are in the database, then this many that
    are in its log, and so on in turn."""
    live = folder / "live"
    live.mkdir()
    writes = RandomWrites(random.Random(seed))
    database, _ = open_journals(live)
    for number, count in enumerate(parts):
        if number:
            database.close()
            database, _ = open_journals(live)
            writes.disk.stages.clear()
        for _ in range(count):
            database.write([writes.next()])
    copy_files(live, folder / "image")
    database.close()
    return writes.disk


def damage(path: Path, kind: str, at: float, data: bytes) -> None:
    raw = bytearray(path.read_bytes())
    place = int(at * len(raw))
    if kind == "cut":
        del raw[place:]
    elif kind == "page":
        place -= place % PAGE_BYTES
        raw[place : place + PAGE_BYTES] = bytes(len(raw[place : place + PAGE_BYTES]))
    else:
        raw[place : place + len(data)] = data[: len(raw) - place]
    path.write_bytes(raw)


def nothing_wrong(found: StoreOpened, disk: Disk) -> None:
    """What is offered is what was written; what is not is called lost."""
    sound = by_journal(found)
    for journal, one in sound.items():
        assert one == without_large(disk[journal])
    lost = {one.replica: one.reason for one in found.lost}
    assert {one.replica for journal, one in disk.items() if journal not in sound} <= lost.keys()
    assert all(reason and "\n" not in reason for reason in lost.values())


DAMAGES = st.lists(
    st.tuples(
        st.sampled_from([JOURNALS, WAL]),
        st.sampled_from(["bytes", "bytes", "page", "cut"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=40),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=examples(80), deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 40), st.integers(1, 40), DAMAGES)
def test_random_damage_never_gives_a_wrong_entry(
    seed: int, inside: int, in_log: int, damages: list[tuple[str, str, float, bytes]]
) -> None:
    with memory_folder() as folder:
        disk = written(folder, seed, inside, in_log)
        image = folder / "image"
        for name, kind, at, data in damages:
            damage(image / name, kind, at, data)
        database, found = open_journals(image)
        nothing_wrong(found, disk)
        survivors = by_journal(found)
        for journal, one in survivors.items():
            asked = ReadRecords(journal, 1, tuple(one.large))
            assert database.read_records(asked) == disk.read(asked)
        database.close()
        again = look_into(image)
        assert by_journal(again) == survivors
        assert (again.lost, again.set_aside) == ((), "")
        assert not found.set_aside or (image / found.set_aside).exists()


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 30), st.integers(1, 30), st.randoms(use_true_random=False))
def test_pages_that_were_never_written_give_no_wrong_entry(
    seed: int, before: int, after: int, rng: random.Random
) -> None:
    """The disk reported some writes of a checkpoint as done and did not do them: old versions of pages are left, each
    of them sound by itself."""
    with memory_folder() as folder:
        writes = RandomWrites(random.Random(seed))
        database, _ = open_journals(folder)
        database.write([writes.next() for _ in range(before)])
        database.close()
        old = (folder / JOURNALS).read_bytes()
        database, _ = open_journals(folder)
        writes.disk.stages.clear()
        database.write([writes.next() for _ in range(after)])
        database.close()
        raw = bytearray((folder / JOURNALS).read_bytes())
        pages = range(0, min(len(old), len(raw)), PAGE_BYTES)
        for at in rng.sample(pages, rng.randint(1, min(3, len(pages)))):
            raw[at : at + PAGE_BYTES] = old[at : at + PAGE_BYTES]
        (folder / JOURNALS).write_bytes(raw)
        found = look_into(folder)
        nothing_wrong(found, writes.disk)
        assert by_journal(look_into(folder)) == by_journal(found)


@pytest.mark.parametrize("what", ["entry", "record"])
def test_a_row_that_stayed_as_it_was_before_is_noticed(what: str, tmp_path: Path) -> None:
    """The page with a row was not written: the row is sound, and is not the last one at its place."""
    first, second = b"first" * 100, b"other" * 100
    with opened(tmp_path) as (database, _):
        database.write([begun(A, R), begun(B, S), kept(what, first)])
    old = (tmp_path / JOURNALS).read_bytes()
    with opened(tmp_path) as (database, _):
        database.write([replace(kept(what, second), truncate_after=0 if what == "entry" else None)])
    raw = bytearray((tmp_path / JOURNALS).read_bytes())
    at = raw.index(second) // PAGE_BYTES * PAGE_BYTES
    assert first in old[at : at + PAGE_BYTES]
    raw[at : at + PAGE_BYTES] = old[at : at + PAGE_BYTES]
    (tmp_path / JOURNALS).write_bytes(raw)
    found = look_into(tmp_path)
    assert [one.journal for one in found.replicas] == [B]
    assert [one.reason.split(" that was written ")[0] for one in found.lost] == [
        {"entry": "an entry", "record": "a record"}[what] + " is not the last one"
    ]


def kept(what: str, data: bytes) -> WriteJournal:
    """A write that has this data in an entry, or in a record."""
    if what == "entry":
        return entry(A, R, 1, data)
    return WriteJournal(1, A, R, NodeId(b"o" * 16), records=((b"key", data),))
