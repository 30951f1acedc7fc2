"""The processes of the demonstration: each dies with it, and none is left when it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import gossipreg
from gossipreg.demo import child, cleaner
from gossipreg.errors import CannotStart

ROOT = Path(gossipreg.__file__).resolve().parent.parent
"""Where the package is: the processes use the same one."""
PYTHON = (sys.executable, "-P")
PATH_MAX = 40
"""The path of the folder is at most so long: that of a socket in it takes at most 107 bytes."""


def environment() -> dict[str, str]:
    """Ours, without what is meant for other sidecars of this machine."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GOSSIPREG_")}


class DemoFolder:
    """A folder of its own, which another process deletes when this one ends, however it ends."""

    def __init__(self) -> None:
        """Raises CannotStart."""
        where = os.environ.get("TMPDIR") or "/tmp"
        command = [*PYTHON, cleaner.__file__, where if len(os.fsencode(where)) <= PATH_MAX else "/tmp"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            env=environment(),
        )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            said = self._process.communicate()[1].decode(errors="replace").strip().splitlines()
            raise CannotStart(f"cannot make a folder in {command[-1]}: {said[-1] if said else 'no answer'}")
        self.path = Path(os.fsdecode(line[:-1]))

    def delete(self) -> bool:
        """Delete it, and return whether it is gone."""
        self._process.communicate()
        return self._process.returncode == 0


class DemoProcess:
    """A process that dies with this one. Start it from the main thread: see `child.py`."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, variables: Mapping[str, str], *, with_pipes: bool = False
    ) -> None:
        """`command` is a program with its arguments, or `-m`, a module and its arguments. `with_pipes`: stdin and
        stdout are pipes; else all that it says goes to `log`."""
        self.name = name
        self.log = log
        self.was_killed = False
        """By us: else it has ended by itself."""
        full = [*PYTHON, child.__file__, str(os.getpid()), str(ROOT), *command]
        with log.open("ab") as said:
            self._process = subprocess.Popen(
                full,
                stdin=subprocess.PIPE if with_pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if with_pipes else said,
                stderr=said,
                cwd=log.parent,
                env={**environment(), **variables},
                start_new_session=True,  # Ctrl-C is for the demonstration alone
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def take_pipes(self) -> tuple[int, int]:
        """The descriptors of its stdin and its stdout; the caller closes them."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return os.dup(self._process.stdin.fileno()), os.dup(self._process.stdout.fileno())

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def last_words(self) -> str:
        """The last line that it wrote into its log."""
        with suppress(OSError):
            lines = self.log.read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it by SIGKILL, which a process that stands still dies of too."""
        self.was_killed = True
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
