"""Real processes that are killed while they write journals, and that find no room on their disk."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemon.journals.images import by_journal, look_into
from tests.daemon.journals.writes import place_of, states
from tests.daemon.journals.writing_child import ASKED_AHEAD, MORE

ROOT = Path(__file__).parent.parent.parent.parent
CHILD = [sys.executable, "-m", "tests.daemon.journals.writing_child"]
BOUND_S = 120
SEED = 11
WRITES = 3_000
"""More than a process does before it is killed, or its disk is full."""


def killed_while_writing(folder: Path, first: int, lines: int) -> int:
    """Kill a process when it has printed so many lines. Returns how many writes were reported as done by then."""
    command = [*CHILD, str(folder), str(SEED), str(first), str(WRITES)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            printed = [process.stdout.readline() for _ in range(lines)]
        finally:
            process.kill()
        printed += process.stdout.readlines()  # it went on meanwhile
    return int([line for line in printed if line.endswith("\n")][-1])


def test_kills_at_any_moment_lose_nothing_that_was_reported(tmp_path: Path) -> None:
    """One database through many kills; after each, the next process goes on from what was found."""
    expected = states(SEED, WRITES)
    rng = random.Random(SEED)
    done = 0
    for _ in range(8):
        reported = killed_while_writing(tmp_path, done, rng.randrange(1, 12))
        found = look_into(tmp_path)
        assert (found.lost, found.set_aside) == ((), "")
        done = place_of(by_journal(found), expected, reported)
        assert done <= reported + ASKED_AHEAD


def check(output: list[str], folder: Path, fault: str) -> None:
    """The store failed and said why, opened its files with all that it had reported, and went on."""
    *reported, failed, opened = output[: next(at for at, line in enumerate(output) if line.startswith("opened")) + 1]
    assert failed.startswith(f"failed {fault} cannot keep journals in {folder / 'journals.db'}: ")
    done = int(opened.removeprefix("opened "))
    before = int(reported[-1])
    assert before <= done <= before + ASKED_AHEAD
    assert output[-1] == str(done + MORE)


def test_a_file_that_may_not_grow_loses_nothing_that_was_reported(tmp_path: Path) -> None:
    """EFBIG where a write would pass the process's limit."""
    command = [*CHILD, str(tmp_path), str(SEED), "0", str(WRITES), "limit"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=BOUND_S)
    assert ended.returncode == 0, ended.stderr
    check(ended.stdout.splitlines(), tmp_path, "disk")
    expected = states(SEED, WRITES, removals=False)
    assert place_of(by_journal(look_into(tmp_path)), expected) == int(ended.stdout.splitlines()[-1])


def can_mount() -> bool:
    command = ["unshare", "-m", "true"]
    return os.getuid() == 0 and bool(shutil.which("unshare")) and not subprocess.run(command, timeout=60).returncode


@pytest.mark.skipif(not can_mount(), reason="only root may mount a small file system")
def test_a_full_disk_loses_nothing_that_was_reported(tmp_path: Path) -> None:
    """A file system of 500 KB, in a namespace of its own."""
    script = 'mount -t tmpfs -o size=500k none "$0" && "$@"'
    child = [*CHILD, str(tmp_path), str(SEED), "0", str(WRITES), "small"]
    ended = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "bash", "-c", script, str(tmp_path), *child],
        cwd=ROOT, capture_output=True, text=True, timeout=BOUND_S,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    check(ended.stdout.splitlines(), tmp_path, "full")
