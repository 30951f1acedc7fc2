"""The judges of `scripts/check --client` find what is wrong, and nothing else."""

import math
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import pytest

from scripts.checks.client.holdings import ZOMBIE_LOOKS, Looks, MayGrow, is_zombie, unix_inodes
from scripts.checks.client.judge import HANGS_S, TOLD_MAX, Judge, table
from scripts.checks.client.others import OtherPrograms
from scripts.checks.client.records import Recorder, RecordReader, error_text
from scripts.checks.client.stacks import ask_stacks
from scripts.tools.wait import wait_for

REGISTERED = {"billing": {"billing-1", "billing-2"}, "stock": {"stock-1"}}


def faults(tmp_path: Path, *notes: tuple[str, str, str]) -> list[str]:
    """The faults of requests of (kind, asked, answer)."""
    recorder, reader = Recorder(tmp_path / "records"), RecordReader(tmp_path / "records")
    for kind, asked, answer in notes:
        recorder.note("worker", kind, 0.01, asked, answer)
    judge = Judge(REGISTERED, may_fail={"pick"})
    judge.take(reader.read())
    recorder.close()
    reader.close()
    return [*judge.faults()]


@pytest.mark.parametrize(
    ("asked", "answer", "fault"),
    [
        ("billing", "billing billing-1", ""),
        ("billing", "billing billing-1,billing billing-2", ""),
        ("billing,stock", "billing billing-2,stock stock-1", ""),
        ("billing", "stock stock-1", "of another service"),
        ("billing", "billing billing-1,stock stock-1", "of another service"),
        ("billing", "billing billing-3", "never registered"),
        ("billing", "", "no instance"),
        ("billing", "billing", "never registered"),
        ("billing,stock", "stock stock-1,billing billing-2", "of another service"),
        ("billing,stock", "billing billing-2", "of 2 services"),
    ],
)
def test_each_kind_of_wrong_answer_is_found(tmp_path: Path, asked: str, answer: str, fault: str) -> None:
    found = faults(tmp_path, ("call", asked, answer))
    assert [fault in one for one in found] == ([True] if fault else []), found


def test_a_failed_call_is_a_fault_and_a_failed_pick_is_none(tmp_path: Path) -> None:
    failed = error_text(ConnectionResetError("a\tb\nc"))
    assert faults(tmp_path, ("pick", "billing", failed)) == []
    found = faults(tmp_path, ("call", "billing", failed))
    assert found == ["call failed: worker asked billing: ConnectionResetError: a b c"]


def test_many_failures_are_counted_and_few_are_told(tmp_path: Path) -> None:
    found = faults(tmp_path, *[("call", "billing", "!x")] * (TOLD_MAX + 7))
    assert len(found) == TOLD_MAX + 1
    assert found[-1] == "and 7 more of call failed"


def test_a_worker_that_reports_nothing_hangs_unless_it_has_ended(tmp_path: Path) -> None:
    recorder, reader = Recorder(tmp_path / "records"), RecordReader(tmp_path / "records")
    recorder.note("a", "call", 0.0, "billing", "billing billing-1")
    recorder.note("b", "call", 0.0, "billing", "billing billing-1")
    judge = Judge(REGISTERED)
    records = reader.read()
    judge.take(record._replace(at=monotonic() - HANGS_S - 1) for record in records)
    assert judge.hanging() == ["a", "b"]
    judge.forget("a")
    judge.take([records[1]])
    assert judge.hanging() == []
    assert "| call | 3 | 0 |" in table(judge.records)
    recorder.close()
    reader.close()


def looks(early: int, late: int, may_grow: MayGrow, kind: str = "registry") -> list[str]:
    """The faults of this process if it has so many more descriptors early, and then late."""
    found = Looks("this", os.getpid(), may_grow)
    for number, is_early in ((early, True), (late, False)):
        with ExitStack() as stack:
            for _ in range(number):
                descriptor = os.eventfd(0) if kind == "registry" else os.open("/dev/null", os.O_RDONLY)
                stack.callback(os.close, descriptor)
            found.look(unix_inodes(), early=is_early)
    return [*found.faults()]


def test_a_descriptor_more_late_than_early_is_a_leak() -> None:
    assert looks(2, 2, MayGrow()) == []
    assert looks(3, 1, MayGrow()) == []
    (fault,) = looks(1, 2, MayGrow(others=5))
    assert f"process {os.getpid()} leaks descriptors (registry)" in fault


def test_connections_of_a_pool_may_grow_and_no_further() -> None:
    assert looks(0, 3, MayGrow(others=3), "others") == []
    assert len(looks(0, 4, MayGrow(others=3), "others")) == 1


def test_a_child_that_nobody_waits_for_is_found() -> None:
    found = Looks("this", os.getpid(), MayGrow())
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        wait_for(lambda: is_zombie(child.pid))
        for _ in range(ZOMBIE_LOOKS - 1):
            found.look(unix_inodes(), early=True)
        assert found.forever_zombies == set()
        found.look(unix_inodes(), early=True)
        assert found.forever_zombies == {child.pid}


def test_a_process_that_hangs_tells_where_it_stands(tmp_path: Path) -> None:
    program = (
        "import sys, threading\nfrom scripts.checks.client.stacks import tell_stacks\ntell_stacks(sys.argv[1])\n"
        "def stands_here(): print('ready', flush=True); threading.Event().wait()\nstands_here()\n"
    )
    path = tmp_path / "stacks"
    command = [sys.executable, "-c", program, str(path)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        told = ask_stacks([os.getpid(), child.pid], path)
        child.kill()
    assert f"process {child.pid}:" in told
    assert "in stands_here" in told
    assert f"process {os.getpid()}" not in told, "it does not take the signal, so it is not sent"


def test_what_others_take_is_no_more_than_the_machine_has() -> None:
    with OtherPrograms() as others:
        wait_for(lambda: len(others.cores(0.0, math.inf)) > 1)
    cores = os.cpu_count() or 1
    for taken in others.cores(0.0, math.inf):
        assert 0.0 <= taken.others <= 1.5 * cores, "ticks of 10 ms are rounded"
        assert 0.0 <= taken.idle <= 1.5 * cores
    assert others.cores(0.0, 0.0) == []
