"""`cmd` checks: a shell command as the sidecar's user, in a session of its own.

Owns the rule that nothing of a command stays: when it has ended or its time is up, every process that it started is
killed. Never knows the time: the schedule cancels a run that takes too long.

A second shell, the keeper, stands between the sidecar and the command, as the reaper of its orphans
(PR_SET_CHILD_SUBREAPER, Linux 3.4). So a process that makes a session of its own, cleans its environment and lets its
parent die is still found below the keeper. The keeper reports the exit code and then waits to be killed, as the last
process. It also holds a pipe of the sidecar: when that ends, the sidecar is gone, and the keeper kills its process
group.
"""

import ctypes
import os
import signal
import subprocess
import time
from contextlib import suppress
from functools import cache
from typing import Any

import trio

from gossipreg.daemon.checks.spec import OUTPUT_MAX, CheckOutcome, CheckSpec, Progress, shortened
from gossipreg.model import Health

KEPT_BYTES = 4 * OUTPUT_MAX
READ_BYTES = 64 * 1024
PAUSE_S = 0.01
"""The pause between reads of output that is thrown away, so that a command that writes for ever costs little."""
LAST_OUTPUT_S = 0.1
"""The time for output that is still in the pipe when the command has ended. Only a process that it left behind can
still hold the pipe after that."""
KILL_ROUNDS, ROUND_S = 100, 0.001
"""Looks for children: one may be forked during a look, so it is repeated until there is none."""
HIDDEN = ("GOSSIPREG_KEY", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
"""Variables that no command gets: the cluster's keys, and headers for a collector, such as a token."""

KEEPER = """
exec 3>&2 2>/dev/null
((exec /bin/sh -c "$1" >&3 2>&3 3>&-); echo $?) </dev/null &
exec >/dev/null 3>&-
read -r _
kill -9 0
"""
"""The keeper's program. Its input is the pipe that the sidecar holds, its output takes the exit code, its errors are
the command's output; the shell's own messages about an ended child are dropped."""

_PR_SET_CHILD_SUBREAPER = 36


async def run(spec: CheckSpec, progress: Progress) -> CheckOutcome:
    become_keeper = _become_keeper()
    try:
        process = await trio.lowlevel.open_process(
            ["/bin/sh", "-c", KEEPER, "sh", spec.target], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True, preexec_fn=become_keeper,
            env=_environment(spec),
        )  # fmt: skip
    except OSError as error:
        return CheckOutcome(Health.CRITICAL, f"cannot be run: {error.strerror}")
    try:
        code = await _follow(process, progress)
    finally:
        with trio.CancelScope(shield=True):
            below = await trio.to_thread.run_sync(end, process.pid)
            await process.wait()
            reap(below)
            for pipe in (process.stdin, process.stdout, process.stderr):
                assert pipe is not None, "they were asked for"
                await trio.aclose_forcefully(pipe)
    return CheckOutcome(*_result(code if code is not None else process.returncode or 0, progress.text))


def _environment(spec: CheckSpec) -> dict[str, str]:
    """Ours, and the trace of the run, which stands where other checks have headers."""
    ours = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    return ours | {name.upper(): value for name, value in spec.headers}


async def _follow(keeper: trio.Process, progress: Progress) -> int | None:
    """Read until the command has ended. Returns its exit code, or None if it killed its keeper."""
    assert keeper.stdout is not None, "it was asked for"
    assert keeper.stderr is not None, "it was asked for"
    output, kept, closed = keeper.stderr, bytearray(), trio.Event()

    async def read() -> None:
        while data := await output.receive_some(READ_BYTES):
            kept.extend(data[: KEPT_BYTES - len(kept)])
            progress.text = kept.decode(errors="replace")
            if len(kept) >= KEPT_BYTES:
                await trio.sleep(PAUSE_S)
        closed.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        said = b""
        while b"\n" not in said and (data := await keeper.stdout.receive_some(READ_BYTES)):
            said += data
        with trio.move_on_after(LAST_OUTPUT_S):
            await closed.wait()
        nursery.cancel_scope.cancel()
    return int(said) if said.strip().isdigit() else None


def _result(code: int, said: str) -> tuple[Health, str]:
    """Above 128 a shell's exit code names the signal that ended the command."""
    health = {0: Health.PASSING, 1: Health.WARNING}.get(code, Health.CRITICAL)
    name = _signal_name(-code if code < 0 else code - 128)
    how = f"ended by {name}" if name else f"exit code {code}"
    return health, shortened(f"{how}: {said}" if said.strip() else how)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


@cache
def _become_keeper() -> Any:
    """Make the function that a child calls before it becomes the keeper. It is made before the fork: a child of a
    process with threads must do as little as possible."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        return None  # not Linux: a process that leaves the group is not found
    arguments = (_PR_SET_CHILD_SUBREAPER, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    return lambda: prctl(*arguments)


# -- the end, in a thread ----------------------------------------------------------------------------------------------


def end(keeper: int) -> list[int]:
    """Kill all processes below the keeper, then the keeper and the rest of its process group. Returns those below."""
    seen: dict[int, None] = {}
    for _ in range(KILL_ROUNDS):
        found = descendants(keeper)
        seen |= dict.fromkeys(found)
        living = [pid for pid in found if _lives(pid)]
        for pid in living:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not living:
            break
        time.sleep(ROUND_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(keeper, signal.SIGKILL)
    return list(seen)


def reap(pids: list[int]) -> None:
    """Reap processes whose keeper is gone; they become our children if we are the first process of a container."""
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def descendants(pid: int) -> list[int]:
    """All processes below this one, also ended ones that were not waited for; none without /proc."""
    found: list[int] = []
    below = _children(pid)
    while below:
        found.append(below.pop())
        below += _children(found[-1])
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:
                children += map(int, file.read().split())
    return children


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False
