"""Where the threads of a process stand: each program writes that to a file when it gets a signal."""

import faulthandler
import os
import signal
from pathlib import Path

from scripts.tools.wait import wait_for

SIGNAL = signal.SIGRTMIN + 7
"""None that gunicorn, uvicorn or a program takes."""
WRITE_S = 5.0


def tell_stacks(path: str) -> None:
    """In a program: have the stacks appended to this file at `SIGNAL`. Forked children go on with it."""
    faulthandler.register(SIGNAL, file=open(path, "a"), all_threads=True)  # noqa: SIM115  # open as long as the process


def ask_stacks(pids: list[int], path: Path) -> str:
    """The stacks of these processes, as far as they tell them."""
    path.touch()
    told = []
    for pid in pids:
        if not _takes(pid):
            continue
        size = path.stat().st_size
        os.kill(pid, SIGNAL)
        try:
            wait_for(lambda size=size: path.stat().st_size > size, WRITE_S)  # type: ignore[misc]
        except AssertionError:
            told.append(f"process {pid} does not even tell where it stands")
            continue
        told.append(f"process {pid}:\n{path.read_text()[size:]}")
    return "\n".join(told)


def _takes(pid: int) -> bool:
    """Whether the process has a handler: without one the signal would end it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    caught = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> (SIGNAL - 1) & 1)
