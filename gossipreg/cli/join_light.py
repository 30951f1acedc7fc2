"""`gossipreg join ...` with its command line read by a child, while this process loads the sidecar.

Only reading the line takes click and the declarations of all options. The sidecar would keep them, 1.5 MiB, and start
later by a tenth. The child reads the line as every command does (`commands.py`), shows help and wrong usage, and hands
over what the line says.
"""

import marshal
import os
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from gossipreg.cli.exit_codes import INTERRUPTED
from gossipreg.cli.pid_one import split_where_pid_one
from gossipreg.cli.sidecar_line import SidecarLine, load_sidecar, run_sidecar
from gossipreg.errors import GossipregError

if TYPE_CHECKING:
    from gossipreg.daemon.settings import OptionInForce


PROCESSOR = 36
"""The place of the core that a process ran on last among the fields of /proc/PID/stat behind its name (proc(5))."""


def run_light() -> int:
    """Run the command line of this process and return its exit code. Raises KeyboardInterrupt."""
    split_where_pid_one()
    try:
        child, pipe = _start_reading()
    except OSError:  # no process or no descriptor is left: read it here
        from gossipreg.cli.commands import run

        return run()
    load_sidecar()
    with open(pipe, "rb") as handed_over:
        text = handed_over.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0 or not text:
        return code if code >= 0 else 128 - code
    line = SidecarLine(*marshal.loads(text))
    try:
        return run_sidecar(line, partial(_read_options_again, line.settings["config"]))
    except GossipregError as error:
        from gossipreg.cli.commands import show_error

        return show_error(error, json=line.json)


def _start_reading() -> tuple[int, int]:
    """Start the child, and return its id and the pipe from it."""
    reading, writing = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if child == 0:
        _leave_core()
        os._exit(_read_here(writing))
    os.close(writing)
    return child, reading


def _leave_core() -> None:
    """Go on at another core than the parent. Linux may begin a child at the core of its parent, and would move it away
    later than it ends: the two would take turns, and the sidecar start a fifth later."""
    with suppress(OSError, ValueError, IndexError, AttributeError):  # elsewhere than on Linux, or with one core
        with open("/proc/self/stat", "rb") as stat:
            core = int(stat.read().rpartition(b")")[2].split()[PROCESSOR])
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {core})


def _read_here(pipe: int) -> int:
    """The child: read the line, and write what it says into the pipe; return the exit code."""
    try:
        from gossipreg.cli.commands import run

        code = run(hand_over=partial(_write, pipe))
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    return code


def _write(pipe: int, line: SidecarLine) -> int:
    with open(pipe, "wb") as written:
        written.write(marshal.dumps(tuple(line)))
    return 0


def _read_options_again(file: str | None) -> "tuple[OptionInForce, ...]":
    from gossipreg.cli.join import read_line_again  # most sidecars never do

    return read_line_again(sys.argv[2:], file)
