"""The command of `events subscribe --exec`: what it gets, how it ends, and what is left of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gossipreg.cli.event_command import ENDING, CommandEnd, command_fault, ended_by_signals, run_command
from scripts.tools.wait import BOUND_S, wait_for


def event(data: bytes | None = b'{"n": 1}', **extensions: str) -> dict[str, Any]:
    about = {
        "id": "a", "source": "shop", "type": "order.created", "subject": "", "time": "", "data": data,
        "datacontenttype": "application/json", "extensions": extensions,
    }  # fmt: skip
    return {"event": about, "group": "mail", "attempt": 2, "journal": "00", "index": 4096}


def run(command: str, given: dict[str, Any] | None = None) -> CommandEnd:
    return run_command(command, given or event(), lambda: None, BOUND_S)


def test_command_gets_the_data_and_the_attributes(tmp_path: Path) -> None:
    line = f'(cat; echo " $EVENT_ID $EVENT_KEY $EVENT_ATTEMPT $EVENT_EXTENSION_CORRELATIONID") > {tmp_path}/out'
    assert run(line, event(partitionkey="k", correlationid="c")) == CommandEnd(0, "")
    assert (tmp_path / "out").read_text() == '{"n": 1} a k 2 c\n'


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("exit 3", "exit 3 ended with 3"),
        ("kill -9 $$", "kill -9 $$ was ended by SIGKILL"),
        ("echo no >&2; echo really >&2; exit 1", "ended with 1: no really"),
        ("/none/such", "ended with 127: "),
        ("yes bad | head -c 3000000 >&2; exit 4", "ended with 4: bad"),
    ],
)
def test_reason_says_how_the_command_ended(command: str, reason: str) -> None:
    assert reason in run(command).reason(command)


@pytest.mark.parametrize(
    "line",
    [
        "cat", "  ls -l", "/bin/cat", "cat|wc", "true&&ls", "if true; then nope; fi", "A=1 nope", '"no such" x',
        "[ -f x ]", "! ls", "cd /tmp && ./x", "f() { ls; }; f", "# nothing", "$EVENT_TYPE", "cat\nnope",
    ],
)  # fmt: skip
def test_a_line_that_may_run_has_no_fault(line: str) -> None:
    assert command_fault(line) == ""


def test_a_program_has_to_be_executable(tmp_path: Path) -> None:
    program = tmp_path / "handle"
    program.write_text("#!/bin/sh\n")
    for name in (program, tmp_path):
        fault = f"'{name}' is no command: name one that is on the PATH, or the path of a program that can be executed"
        assert command_fault(f"{name} x") == fault
    program.chmod(0o755)
    assert command_fault(f"{program} x") == ""


def test_large_data_that_is_not_read_is_no_failure() -> None:
    assert run("exit 0", event(b"x" * 196_000)).code == 0
    assert run("head -c 1 > /dev/null", event(b"x" * 196_000)).code == 0


def test_command_is_over_though_something_holds_its_stderr(tmp_path: Path) -> None:
    assert run(f"sleep 1000 & echo $! > {tmp_path}/pid; echo begun >&2").code == 0
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_command_is_renewed_while_it_runs(tmp_path: Path) -> None:
    renewed = tmp_path / "renewed"
    assert run_command(f"until [ -e {renewed} ]; do sleep 0.05; done", event(), renewed.touch, 0.05).code == 0


def test_command_ends_with_what_its_subscriber_raises(tmp_path: Path) -> None:
    def broken() -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_command(f"sleep 1000 & echo $! > {tmp_path}/pid; wait", event(), broken, 0.2)
    wait_for(lambda: not _runs(int((tmp_path / "pid").read_text())))


SUBSCRIBER = """
import signal, sys
from gossipreg.cli.event_command import ENDING, ended_by_signals, run_command
from tests.cli.test_event_command import event
for number in ENDING:
    signal.signal(number, signal.SIG_DFL)  # under nohup all processes of the tests ignore one
with ended_by_signals():
    run_command(sys.argv[1], event(), lambda: None, 60.0)
"""


STARTING = """
import pathlib, signal, subprocess, sys
from scripts.tools.wait import wait_for

class Starting(subprocess.Popen):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        wait_for(pathlib.Path(sys.argv[2]).exists)
        signal.raise_signal(signal.SIGTERM)

subprocess.Popen = Starting
"""


@pytest.mark.parametrize("number", ENDING)
def test_signal_to_the_subscriber_ends_its_command_too(number: signal.Signals, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    line = f"sleep 1000 & echo $! > {pid}.new; mv {pid}.new {pid}; wait"
    subscriber = subprocess.Popen([sys.executable, "-c", SUBSCRIBER, line])
    wait_for(pid.exists)
    subscriber.send_signal(number)
    assert subscriber.wait(BOUND_S) == 128 + number
    wait_for(lambda: not _runs(int(pid.read_text())))


def test_signal_while_the_command_is_started_ends_it(tmp_path: Path) -> None:
    """It ended the subscriber alone: nobody knew the process of the command yet."""
    pid = tmp_path / "pid"
    line = f"echo $$ > {pid}.new; mv {pid}.new {pid}; sleep 1000"
    subscriber = subprocess.Popen([sys.executable, "-c", STARTING + SUBSCRIBER, line, str(pid)])
    assert subscriber.wait(BOUND_S) == 128 + signal.SIGTERM
    wait_for(lambda: not _runs(int(pid.read_text())))


def test_signals_that_were_ignored_stay_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
