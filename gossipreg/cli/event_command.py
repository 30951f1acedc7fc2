"""The command of `gossipreg events subscribe --exec`: run with one event, and ended with its subscriber.

Owns: the process, and what it wrote last to stderr. Never knows: subscriptions. The data of the event is its stdin, the
attributes are variables EVENT_*. The command is over when its process is, also if something that it left behind holds
its pipes. It has a process group of its own, so that all of it can be ended: an event whose subscriber is gone goes to
another one, and must not be handled here as well.
"""

import os
import re
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from gossipreg.trace_context import TRACE_PARENT, TRACE_STATE, trace_context_untrusted

ENDING = (signal.SIGTERM, signal.SIGHUP)
KILLED_AFTER_S = 5.0
"""A command that is told to end has so long for it."""
REASON_BYTES = 200
"""Of what a command wrote last, for the dead letter."""
_READ_BYTES = 65_536
_FIRST_WORD = re.compile(r"\s*([\w./+@%:][\w./+@%:-]*)(?=[\s;|&<>]|$)")
"""The command of a line, where it is a plain word: the shell changes nothing of it."""


@dataclass(frozen=True, slots=True)
class CommandEnd:
    code: int
    """As Popen has it: negative for a signal."""
    said: str

    def reason(self, command: str) -> str:
        """Why the event was not handled."""
        how = f"ended with {self.code}" if self.code >= 0 else f"was ended by {_signal_name(-self.code)}"
        return f"{command} {how}: {self.said}" if self.said else f"{command} {how}"


def run_command(command: str, given: dict[str, Any], renew: Callable[[], None], renew_s: float) -> CommandEnd:
    """Run it with this event, as `EventStream.next` gave it, until it ends. `renew` is called each `renew_s` seconds
    meanwhile. If anything is raised here, an end by a signal too, the command is ended first."""
    event = given["event"]
    process: subprocess.Popen[bytes] | None = None
    try:
        with _stdin(event["data"] or b"") as stdin, _signals_held():
            process = subprocess.Popen(
                command, shell=True, stdin=stdin, stderr=subprocess.PIPE, env={**_inherited(), **_variables(given)},
                process_group=0,
            )  # fmt: skip
        said = _follow(process, renew, renew_s)
        return CommandEnd(process.wait(), said[-REASON_BYTES:].decode(errors="replace").strip().replace("\n", " "))
    except BaseException:
        if process is not None:
            _end(process)
        raise
    finally:
        if process is not None and process.stderr is not None:
            process.stderr.close()


def command_fault(command: str) -> str:
    """Why this line of shell cannot be run; empty if nothing speaks against it. It is looked at before any event comes,
    since each would become a dead letter of its fault."""
    checked = _quiet(["/bin/sh", "-n", "-c", command])
    if checked.returncode:
        said = checked.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        return f"{command!r} is no line of shell: {said}"
    first = _FIRST_WORD.match(command)
    if first is None or _is_command(first[1]):
        return ""
    return f"{first[1]!r} is no command: name one that is on the PATH, or the path of a program that can be executed"


def _is_command(word: str) -> bool:
    if "/" in word:
        return os.access(word, os.X_OK) and not os.path.isdir(word)
    return not _quiet(["/bin/sh", "-c", 'command -v "$1"', "sh", word]).returncode


def _quiet(line: list[str]) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP are a SystemExit in here, so that what runs is ended before this process."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in ENDING if signal.getsignal(number) == signal.SIG_DFL}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _signals_held() -> Iterator[None]:
    """A signal that comes in here is handled at the end. While a command is being started its process is not known yet,
    so a handler that raises would leave it running. (A command inherits a mask of signals, so there is none.)"""
    held: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    before = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in before:
        signal.signal(number, lambda number, _frame: held.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for came in held:
            signal.raise_signal(came)


@contextmanager
def _stdin(data: bytes) -> Iterator[int]:
    """A descriptor with this data: a command may leave any part of it unread."""
    fd = os.memfd_create("event")
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _inherited() -> dict[str, str]:
    """Our environment, without the trace in which this subscription was begun: the event has one, or none."""
    ours = (TRACE_PARENT.upper(), TRACE_STATE.upper())
    return {name: value for name, value in os.environ.items() if name not in ours}


def _variables(given: dict[str, Any]) -> dict[str, str]:
    event = given["event"]
    found = {
        "EVENT_ID": event["id"], "EVENT_SOURCE": event["source"], "EVENT_TYPE": event["type"],
        "EVENT_SUBJECT": event["subject"], "EVENT_TIME": event["time"], "EVENT_CONTENT_TYPE": event["datacontenttype"],
        "EVENT_KEY": event["extensions"].get("partitionkey", ""), "EVENT_GROUP": given["group"],
        "EVENT_ATTEMPT": str(given["attempt"]), "EVENT_JOURNAL": given["journal"], "EVENT_INDEX": str(given["index"]),
        **{f"EVENT_EXTENSION_{name.upper()}": value for name, value in event["extensions"].items()},
    }  # fmt: skip
    trace = given if given.get("traceparent") else event["extensions"]
    if context := trace_context_untrusted(trace.get("traceparent"), trace.get("tracestate")):
        found |= {name.upper(): value for name, value in context.headers()}
    return {name: value.replace("\0", "") for name, value in found.items()}


def _follow(process: "subprocess.Popen[bytes]", renew: Callable[[], None], renew_s: float) -> bytes:
    """Wait for its end. Returns what it wrote last to stderr."""
    assert process.stderr is not None
    errors = process.stderr.fileno()
    os.set_blocking(errors, False)
    said, open_ = b"", True
    ended = os.pidfd_open(process.pid)
    try:
        while True:
            ready, _, _ = select.select([ended, errors] if open_ else [ended], [], [], renew_s)
            if not ready:
                renew()
            if errors in ready:
                data = os.read(errors, _READ_BYTES)
                said, open_ = (said + data)[-REASON_BYTES:], bool(data)
            elif ended in ready:
                return said
    finally:
        os.close(ended)


def _end(process: "subprocess.Popen[bytes]") -> None:
    for number, bound_s in ((signal.SIGTERM, KILLED_AFTER_S), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(bound_s)
            return


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
