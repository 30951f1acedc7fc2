"""Replicas that must not take part any more: of a restored backup, of a copied data directory, and by hand."""

import errno
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gossipreg.core.node import Node
from gossipreg.daemon import start
from gossipreg.daemon.clock import wall_ms
from gossipreg.daemon.journals import disk_thread, journal_disk, own_journal
from gossipreg.daemon.journals.led_journals import JournalsOfRuntime
from gossipreg.daemon.journals_file import FORGET, JOURNALS, end_forgetting, note_forgetting
from gossipreg.retry import Retry
from tests.daemon.journals.sidecars import LiveSidecar, Notes, a_sidecar, alone, cluster, until
from tests.daemon.journals.test_journal_store import held


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only copies are gone here: none is waited for."""
    monkeypatch.setattr(own_journal, "NOBODY_S", 0.0)


def day_before() -> int:
    return wall_ms() - 86_400_000


@pytest.mark.parametrize("clock_is_right", [False, True])
async def test_a_restored_backup_gives_up_its_replicas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock_is_right: bool
) -> None:
    """Where its clock is behind its generation is below that which the others know. Where it is right, they hold one
    that its data directory has forgotten."""
    folder = tmp_path / "b"
    monkeypatch.setattr(start, "wall_ms", day_before)
    async with alone(tmp_path, "b") as one:
        journal = await one.open_journal()
    shutil.copytree(folder, tmp_path / "backup")
    monkeypatch.undo()
    async with cluster(tmp_path, "a", "b") as (nursery, (a, later)):
        assert later.opened.identity.id == one.opened.identity.id
        await later.stop()
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "backup", folder)
        if not clock_is_right:
            monkeypatch.setattr(start, "wall_ms", day_before)
        with a_sidecar(tmp_path, "b", socket=str(tmp_path / "restored.sock")) as restored:
            nursery.start_soon(restored.run, (a.address,))
            await until(lambda: "journals_retired" in restored.log.getvalue())
            assert restored.runtime.journals is not None
            assert restored.runtime.journals.replicas == {}
            assert journal not in restored.follows.leads
            await until(lambda: not (folder / FORGET).exists())
            await restored.stop()


async def test_forgetting_by_hand_outlives_the_process(tmp_path: Path) -> None:
    async with alone(tmp_path, "a") as one:
        journal = await one.open_journal()
        await one.commit(journal, b"x", 1)
    assert note_forgetting(tmp_path / "a")
    async with alone(tmp_path, "a") as again:
        await until(lambda: again.orchestration.runtime and again.runtime.begun.is_set())
        assert again.runtime.journals is not None
        assert again.runtime.journals.replicas == {}
        assert "gave up 1 copies of journals" in again.shown_troubles()
        await until(lambda: not (tmp_path / "a" / FORGET).exists())
        assert await again.open_journal() != journal
    async with alone(tmp_path, "a") as third:
        await until(lambda: third.orchestration.runtime and third.runtime.begun.is_set())
        assert third.runtime.journals is not None
        assert len(third.runtime.journals.replicas) == 1


async def test_what_is_gone_with_the_only_copy_of_a_journal_is_told(tmp_path: Path) -> None:
    """The manual said that there was nothing to do."""
    async with alone(tmp_path, "a") as one:
        journal = await one.open_journal()
        await one.commit(journal, b"x", 1)
    async with alone(tmp_path, "a", forget_journals=True) as again:
        await until(lambda: again.orchestration.runtime and again.runtime.begun.is_set())
        assert "1 of them had no other copy that is known here: what they held is gone" in again.shown_troubles()
        assert list(again.runtime.leaderless.lost) == [journal]


async def test_without_journals_there_is_nothing_to_forget(tmp_path: Path) -> None:
    async with alone(tmp_path, "a", forget_journals=True):
        assert not (tmp_path / "a" / FORGET).exists()


async def test_a_flag_forgets_the_journals(tmp_path: Path) -> None:
    async with alone(tmp_path, "a") as one:
        await one.open_journal()
    async with alone(tmp_path, "a", forget_journals=True) as again:
        await until(lambda: again.orchestration.runtime and again.runtime.begun.is_set())
        assert again.runtime.journals is not None
        assert again.runtime.journals.own is None


async def test_journals_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    async with alone(tmp_path, "a") as one:
        await one.open_journal()
    database = sqlite3.connect(tmp_path / "a" / JOURNALS)
    database.execute("PRAGMA user_version = 99")
    database.execute("UPDATE store SET layout = 99")
    database.commit()
    database.close()
    async with alone(tmp_path, "a") as again:
        await until(again.shown_troubles)
        assert again.shown_troubles().startswith("journals that cannot be opened: ")
        assert "newer version" in again.shown_troubles()
        assert again.runtime.journals is None


@pytest.mark.parametrize(("damage", "place"), [(b"no database at all", "in journals.db.damaged-"), (b"", "gone")])
async def test_loss_of_the_only_copy_is_a_trouble(tmp_path: Path, damage: bytes, place: str) -> None:
    """What was acknowledged is not there any more, though publishing works again at once."""
    async with alone(tmp_path, "a") as one:
        journal = await one.open_journal()
        await one.commit(journal, b"x", 1)
    if damage:
        (tmp_path / "a" / JOURNALS).write_bytes(damage * 1000)
    else:
        (tmp_path / "a" / JOURNALS).unlink()
    async with alone(tmp_path, "a") as again:
        await again.open_journal()
        troubles = again.shown_troubles()
        assert "lost 1 copies of journals, as it is not in the database any more" in troubles
        assert place in troubles
        assert journal in JournalsOfRuntime(again.runtime, Notes).kept()
        await until(lambda: again.runtime.membership.leaderless_at(journal))
        assert again.orchestration.counts()["journals_leaderless"] == 0


async def test_loss_of_the_whole_directory_is_a_trouble(tmp_path: Path) -> None:
    """The file that notes what has to be there is gone with the rest; the process knows what it had."""
    folder = tmp_path / "a"
    async with alone(tmp_path, "a") as one:
        journal = await one.open_journal()
        await one.commit(journal, b"x", 1)
        shutil.rmtree(folder)
        folder.mkdir()
        one.propose(journal, b"y", 2)
        await until(lambda: "lost 1 copies of journals, as the data directory was replaced" in one.shown_troubles())


async def test_removed_database_is_missed_before_anybody_needs_it(tmp_path: Path) -> None:
    async with alone(tmp_path, "a") as one:
        await one.commit(await one.open_journal(), b"x", 1)
    (tmp_path / "a" / JOURNALS).unlink()
    async with alone(tmp_path, "a") as again:
        await until(lambda: "lost 1 copies of journals" in again.shown_troubles())


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, str]]:
    """Each note about forgetting: whether it says so, and the thread that wrote it."""
    written: list[tuple[bool, str]] = []

    def noted(forgetting: bool, write: Callable[[Path], object]) -> Callable[[Path], None]:
        def wrapped(folder: Path) -> None:
            written.append((forgetting, threading.current_thread().name))
            write(folder)

        return wrapped

    monkeypatch.setattr(disk_thread, "note_forgetting", noted(True, note_forgetting))
    monkeypatch.setattr(disk_thread, "end_forgetting", noted(False, end_forgetting))
    return written


async def test_a_slow_disk_holds_up_no_loop_that_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[tuple[bool, str]]
) -> None:
    """The note is written before the replicas are removed, and is gone after them, all by the thread of the disk."""
    async with alone(tmp_path, "a") as one:
        await one.open_journal()
        with held() as disk:
            another_was_here(one, monkeypatch)
            await disk.entered()
            assert (tmp_path / "a" / FORGET).exists(), "before the removal"
            assert one.runtime.journals is not None
            assert one.runtime.journals.replicas == {}, "none takes part, though nothing is on the disk yet"
            assert notes == [(True, "journals")]
            disk.gate.set()
        await until(lambda: notes == [(True, "journals"), (False, "journals")])
        assert not (tmp_path / "a" / FORGET).exists()


async def test_nothing_is_noted_where_there_is_nothing_to_forget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[tuple[bool, str]]
) -> None:
    """A note that stays would have the next start give up copies that were made after it."""
    async with alone(tmp_path, "a") as one:
        await one.open_journal()
        another_was_here(one, monkeypatch)
        await until(lambda: len(notes) == 2)
        another_was_here(one, monkeypatch)
        await one.open_journal()
        assert len(notes) == 2
    async with alone(tmp_path, "a") as again:
        await until(lambda: again.orchestration.runtime and again.runtime.begun.is_set())
        assert again.runtime.journals is not None
        assert len(again.runtime.journals.replicas) == 1


async def test_a_note_that_a_full_disk_refuses_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal_disk, "REOPEN", Retry(0.05, 0.2))
    async with alone(tmp_path, "a") as one:
        await one.open_journal()
        with monkeypatch.context() as refused:
            refused.setattr(disk_thread, "note_forgetting", full)
            another_was_here(one, monkeypatch)
            await until(lambda: "the disk is full" in one.shown_troubles())
            assert one.runtime.journals is not None
            assert one.runtime.journals.replicas == {}
        await until(lambda: "the disk is full" not in one.shown_troubles())
        await until(lambda: not (tmp_path / "a" / FORGET).exists())
    async with alone(tmp_path, "a") as again:
        await until(lambda: again.orchestration.runtime and again.runtime.begun.is_set())
        assert again.runtime.journals is not None
        assert again.runtime.journals.replicas == {}


def another_was_here(sidecar: LiveSidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member holds a generation of this sidecar's row that its data directory does not know."""
    found = sidecar.node.foreign_generation + sidecar.node.table.generation
    monkeypatch.setattr(Node, "foreign_generation", property(lambda node: found if node is sidecar.node else 0))
    sidecar.runtime.order(lambda journals, now: journals.members_changed(now))
