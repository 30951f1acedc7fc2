"""`cmd` checks: a shell command as the sidecar's user, in a session of its own.

Owns that nothing of it stays: when the command has ended or its time is up, everything that it started is killed. What
it started is known by a mark in the environment, which children inherit wherever they move; the process group alone
would miss those that made a group of their own. Never knows the time: whoever runs a check cancels it.
"""

import os
import secrets
import signal
import subprocess
from contextlib import suppress

import trio

from gossipreg.daemon.checks.spec import OUTPUT_MAX, CheckSpec, Outcome, Progress, shortened
from gossipreg.model import Health

MARK = "GOSSIPREG_CHECK"
KEPT_BYTES = 4 * OUTPUT_MAX
READ_BYTES = 64 * 1024
PAUSE_S = 0.01
"""Between reads of what is thrown away: who writes for ever is let do so slowly, and costs us little."""
LAST_OUTPUT_S = 0.1
"""When the command has ended, what it left in the pipe is there at once. Who still holds it was left behind."""
KILL_ROUNDS = 5
"""A child may be forked while we look: look again, until there is none."""
HIDDEN = ("GOSSIPREG_KEY",)


async def run(spec: CheckSpec, progress: Progress) -> Outcome:
    mark = secrets.token_hex(8)
    environment = {name: value for name, value in os.environ.items() if name not in HIDDEN} | {MARK: mark}
    reading, writing = os.pipe()
    output = trio.lowlevel.FdStream(reading)
    try:
        try:
            process = await trio.lowlevel.open_process(
                ["/bin/sh", "-c", spec.target], stdin=subprocess.DEVNULL, stdout=writing, stderr=writing,
                start_new_session=True, env=environment,
            )  # fmt: skip
        except OSError as error:
            return Outcome(Health.CRITICAL, f"cannot be run: {error.strerror}")
        finally:
            os.close(writing)
        return await _follow(process, output, mark, progress)
    finally:
        await trio.aclose_forcefully(output)


async def _follow(process: trio.Process, output: trio.lowlevel.FdStream, mark: str, progress: Progress) -> Outcome:
    kept = bytearray()
    closed = False

    async def read() -> None:
        nonlocal closed
        while data := await output.receive_some(READ_BYTES):
            kept.extend(data[: KEPT_BYTES - len(kept)])
            progress.text = kept.decode(errors="replace")
            if len(kept) >= KEPT_BYTES:
                await trio.sleep(PAUSE_S)
        closed = True
        nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await process.wait()
            await trio.sleep(LAST_OUTPUT_S)
            nursery.cancel_scope.cancel()
        await process.wait()
    finally:
        if not closed or process.returncode is None:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(kill_all, process.pid if process.returncode is None else None, mark)
                await process.wait()
    return Outcome(*_result(process.returncode or 0, kept.decode(errors="replace")))


def _result(code: int, said: str) -> tuple[Health, str]:
    health = {0: Health.PASSING, 1: Health.WARNING}.get(code, Health.CRITICAL)
    how = f"exit code {code}" if code >= 0 else f"ended by {_signal_name(-code)}"
    return health, shortened(f"{how}: {said}" if said.strip() else how)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def kill_all(group: int | None, mark: str) -> None:
    """Kill the process group, where its leader is still ours to kill, and every process that carries the mark."""
    if group is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for _ in range(KILL_ROUNDS):
        found = marked(mark)
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return


def marked(mark: str) -> list[int]:
    """The processes that carry this mark in their environment; none where there is no /proc."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/environ", "rb") as environment:
                if wanted in environment.read().split(b"\0"):
                    found.append(int(name))
    return found
