"""`cmd` checks: a shell command as the sidecar's user, in a session of its own.

Owns that nothing of it stays: when the command has ended or its time is up, everything that it started is killed,
wherever that moved to. Never knows the time: whoever runs a check cancels it.

A second shell stands between us and the command, as the reaper of its orphans (PR_SET_CHILD_SUBREAPER, Linux 3.4), so
that whoever makes a session of its own, cleans its environment and lets its parent die is still found below it. It
tells us the exit code and then waits to be killed, as the last of all. It also holds a pipe of ours: when that ends,
we are gone, and it kills its process group.
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
"""Between reads of what is thrown away: who writes for ever is let do so slowly, and costs us little."""
LAST_OUTPUT_S = 0.1
"""When the command has ended, what it left in the pipe is there at once. Who still holds it was left behind."""
KILL_ROUNDS, ROUND_S = 100, 0.001
"""A child may be forked while we look: look again, until there is none."""
HIDDEN = ("GOSSIPREG_KEY",)

KEEPER = """
exec 3>&2 2>/dev/null
((exec /bin/sh -c "$1" >&3 2>&3 3>&-); echo $?) </dev/null &
exec >/dev/null 3>&-
read -r _
kill -9 0
"""
"""Its input is the pipe that we hold, its output takes the exit code, its errors are the command's output; what shells
say themselves of how a child ended is nobody's."""

_PR_SET_CHILD_SUBREAPER = 36


async def run(spec: CheckSpec, progress: Progress) -> CheckOutcome:
    become_keeper = _become_keeper()
    try:
        process = await trio.lowlevel.open_process(
            ["/bin/sh", "-c", KEEPER, "sh", spec.target], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True, preexec_fn=become_keeper,
            env={name: value for name, value in os.environ.items() if name not in HIDDEN},
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


async def _follow(keeper: trio.Process, progress: Progress) -> int | None:
    """Read until the command has ended. Its exit code; None where it took its keeper with it."""
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
    """The function that a child calls before it becomes the keeper: made before the fork, after which as little as
    possible is to be done in a process that has threads."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        return None  # not Linux: who leaves the process group is not found
    arguments = (_PR_SET_CHILD_SUBREAPER, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    return lambda: prctl(*arguments)


# -- the end, in a thread ----------------------------------------------------------------------------------------------


def end(keeper: int) -> list[int]:
    """Kill all below the keeper, then it and what is left of its process group. Those that were below it."""
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
    """If we are the first process (in a container), processes whose keeper is gone have become our children."""
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def descendants(pid: int) -> list[int]:
    """All below this process, those that have ended and were not waited for too; none where there is no /proc."""
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
