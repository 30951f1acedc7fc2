"""Replicas that must not take part any more: of a restored backup, of a copied data directory, and by hand."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from gossipreg.daemon import start
from gossipreg.daemon.clock import wall_ms
from gossipreg.daemon.journals_file import FORGET, JOURNALS, note_forgetting
from tests.daemon.journals.sidecars import a_sidecar, alone, cluster, until


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
        await one.commit(await one.open_journal(), b"x", 1)
    async with alone(tmp_path, "a", forget_journals=True) as again:
        await until(lambda: again.orchestration.runtime and again.runtime.begun.is_set())
        assert "1 of them had no other copy that is known here: what they held is gone" in again.shown_troubles()


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
        await one.commit(await one.open_journal(), b"x", 1)
    if damage:
        (tmp_path / "a" / JOURNALS).write_bytes(damage * 1000)
    else:
        (tmp_path / "a" / JOURNALS).unlink()
    async with alone(tmp_path, "a") as again:
        await again.open_journal()
        troubles = again.shown_troubles()
        assert "lost 1 copies of journals, as it is not in the database any more" in troubles
        assert place in troubles


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
