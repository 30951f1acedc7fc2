"""The data directory notes that its process has met another member: others may hold its generation from then on."""

import io
import threading
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gossipreg.daemon.data_directory import DataDirectory
from gossipreg.daemon.keeping import PEERS_S, Keeping
from gossipreg.daemon.kept import Statement
from gossipreg.daemon.logs import Log

WALL_MS = 1_795_000_000_000


async def a_run(folder: Path, *, meets: bool) -> tuple[int, int]:
    """(the generation before, that in use) of a run of some seconds"""
    data = DataDirectory(str(folder))
    data.identity()
    generation = data.next_generation(WALL_MS)
    reports: Any = SimpleNamespace(not_kept=pytest.fail, kept_again=lambda: None)
    keeping = Keeping(data, generation, "test", Log(stream=io.StringIO()), reports)
    view: Any = SimpleNamespace(has_met=False, worth_remembering=dict)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeping.store.run)
        nursery.start_soon(keeping._keep_known_peers, view)
        await trio.sleep(1.0)
        view.has_met = meets
        await trio.sleep(2 * PEERS_S)
        await keeping.store.flushed()
        nursery.cancel_scope.cancel()
    data.close()
    return data.generation_before, generation


async def test_a_run_that_met_a_member_is_the_one_before_the_next(autojump_clock: MockClock, tmp_path: Path) -> None:
    del autojump_clock
    _, met = await a_run(tmp_path, meets=True)
    before, _ = await a_run(tmp_path, meets=False)
    assert before == met
    assert (await a_run(tmp_path, meets=True))[0] == met


async def test_a_raised_generation_waits_for_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fsync held up the answers of the sidecar. All that were raised are kept, in the order of their choice."""
    data = DataDirectory(str(tmp_path))
    data.identity()
    first = data.next_generation(WALL_MS)
    reports: Any = SimpleNamespace(not_kept=pytest.fail, kept_again=lambda: None)
    keeping = Keeping(data, first, "test", Log(stream=io.StringIO()), reports)
    writers: list[threading.Thread] = []
    write = DataDirectory.write

    def noted(self: DataDirectory, statements: Iterable[Statement]) -> None:
        writers.append(threading.current_thread())
        write(self, statements)

    monkeypatch.setattr(DataDirectory, "write", noted)
    raised = [first + (number << 21) for number in (1, 2)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeping.store.run)
        for each in raised:
            keeping.keep_generation(each)
        assert writers == []
        await keeping.store.flushed()
        nursery.cancel_scope.cancel()
    assert writers
    assert threading.main_thread() not in writers
    data.close()
    again = DataDirectory(str(tmp_path))
    again.identity()
    assert again.next_generation(WALL_MS) > raised[1]
    assert again.own_generations == {first, *raised}
    again.close()
