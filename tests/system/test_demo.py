"""`gossipreg demo` as a user runs it: real processes, commands by a pipe, and nothing left however it ends."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from gossipreg.cli.exit_codes import NOT_WRITTEN
from scripts.tools.wait import wait_for

BOUND_S = 120.0
COMMAND = ["env", "--default-signal", sys.executable, "-P", "-m", "gossipreg", "demo"]
"""Signals that are ignored here (nohup, the background of a shell) would be ignored there too."""

Told = dict[str, Any]


def stat_of(pid: int) -> list[str]:
    """State, parent, ... and at 19 the time of its start; empty: it is not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def descendants(pid: int) -> dict[int, str]:
    """All processes that this one and its children have started, with the time of the start of each."""
    every = {int(path.name): stat_of(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found, left = {}, [pid]
    while left:
        parent = left.pop()
        for one, stat in every.items():
            if stat and int(stat[1]) == parent:
                found[one] = stat[19]
                left.append(one)
    return found


def still_there(processes: dict[int, str]) -> list[int]:
    stats = {pid: stat_of(pid) for pid in processes}
    return [pid for pid, stat in stats.items() if stat and stat[0] != "Z" and stat[19] == processes[pid]]


class Demo:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.told: list[Told] = []

    def say(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()

    def wait(self, event: str) -> Told:
        """The next event of this kind."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(json.loads(line))
            if self.told[-1]["event"] == event:
                return self.told[-1]
        raise AssertionError(f"it ended before {event}: {self.told}")

    @property
    def folder(self) -> Path:
        return Path(self.told[0]["folder"])


@contextmanager
def demo(*arguments: str) -> Iterator[Demo]:
    """A demonstration that has begun to start."""
    with subprocess.Popen(
        [*COMMAND, "--json", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        late = threading.Timer(BOUND_S, process.kill)
        late.start()
        one = Demo(process)
        try:
            one.wait("starts")
            yield one
        except BaseException:
            process.kill()
            raise
        finally:
            late.cancel()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_while_it_starts_leaves_nothing(number: signal.Signals) -> None:
    with demo("--commands") as one:
        wait_for(lambda: len(descendants(one.process.pid)) >= 5, what="sidecars start")
        processes = descendants(one.process.pid)
        one.process.send_signal(number)
        assert one.process.wait(BOUND_S) == (-signal.SIGKILL if number == signal.SIGKILL else 0)
        wait_for(lambda: not still_there(processes) and not one.folder.exists(), what="everything is gone")


@pytest.mark.parametrize("ending", ["Ctrl-C", "closed"])
def test_a_terminal_that_ends_it_leaves_nothing(ending: str) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(COMMAND[0], COMMAND)
    with os.fdopen(terminal, "rb+", buffering=0) as screen:
        said = b""
        while (found := re.search(rb"write is in\s+(\S+)\.\r\n", said)) is None:
            said += screen.read(4096)
        folder = Path(os.fsdecode(found[1]))
        wait_for(lambda: len(descendants(pid)) >= 5, what="sidecars start")
        processes = descendants(pid)
        if ending == "Ctrl-C":
            screen.write(b"\x03")
            with suppress(OSError):  # the terminal ends with its program
                while screen.read(4096):
                    pass
    wait_for(lambda: not still_there(processes) and not folder.exists(), what="everything is gone")
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == (0 if ending == "Ctrl-C" else NOT_WRITTEN)


def test_commands_by_a_pipe_tell_what_is_true_and_a_kill_leaves_nothing() -> None:
    with demo("--commands") as one:
        one.say("load 3", "kill host-3", "fail-payment", "books", "bogus")
        opened = one.wait("open")
        assert len(opened["sockets"]) == 5
        death = one.wait("death_known")
        assert death["seconds"] is not None
        assert sorted(death["observers"]) == ["host-1", "host-2", "host-4", "host-5"]
        assert one.wait("answers_without")["seconds"] is not None
        assert one.wait("saga")["steps"]["reserve"] == "undone"
        assert one.wait("undone")["left"] == {}
        books = one.wait("books")
        assert books["faults"] == []
        assert books["confirmed"] > 0
        assert "restart" in one.wait("error")["text"]
        processes = descendants(one.process.pid)
        assert len(processes) == 13  # four sidecars, seven programs, the customers and the cleaner
        one.process.kill()
        wait_for(lambda: not still_there(processes) and not one.folder.exists(), what="everything is gone")


@pytest.mark.wide
def test_the_play_ends_well_and_what_it_tells_is_true() -> None:
    with demo("--play", "20s") as one:
        processes = descendants(one.process.pid)
        books = one.wait("books")
        assert books["faults"] == []
        assert books["confirmed"] > 10
        assert books["refused"] == 1
        one.wait("ended")
        assert one.process.wait(BOUND_S) == 0
        events = [told["event"] for told in one.told]
        assert events.count("scene") == 8
        late = [told for told in one.told if told.get("seconds", 0.0) is None]
        assert late == []
        while_dead = [told for told in one.told if told["event"] == "orders"][1]
        assert while_dead["confirmed"] > 0
        assert next(told for told in one.told if told["event"] == "nobody_dead")["accusers"] == []
        assert still_there(processes) == []
        assert not one.folder.exists()
