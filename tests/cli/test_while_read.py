"""Commands that follow end as soon as nobody can read them any more, though nothing more is to be said."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gossipreg.cli import while_read
from gossipreg.cli.output import ReaderGone
from gossipreg.cli.while_read import sleep_while_read, wait_while_read
from gossipreg.wire import rpc
from scripts.tools.wait import BOUND_S, wait_for
from tests.client.fake_sidecar import FakeSidecar, instance

EVENT: dict[str, Any] = {
    "id": "1", "source": "s", "type": "order.created", "subject": "", "time": "", "datacontenttype": "",
    "extensions": {}, "data": None,
}  # fmt: skip
DELIVERED = {"event": EVENT, "group": "g", "attempt": 1, "journal": "j", "index": 1, "delivery": 0}
LINE = {"seq": 1, "at": 1e9, "kind": "k", "level": "info", "message": "one"}


def following(sidecar: FakeSidecar) -> FakeSidecar:
    """It has one thing to say to each follower, and then nothing."""
    event = rpc.encode_notification("event", {"subscription": 1, **DELIVERED})
    sidecar.changes = [{"kind": "current", "instances": [instance()]}]
    sidecar.answers["subscribe"] = lambda _: lambda asked: rpc.encode_reply(asked, {"subscription": 1}) + event
    sidecar.answers["history"] = lambda params: {"lines": [LINE], "more": False, **(
        {"follow": 1} if "follow" in params else {})}  # fmt: skip
    return sidecar


def follow(*arguments: str, stdout: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", "-m", "gossipreg.cli", *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    with process:
        _, err = process.communicate(timeout=BOUND_S)
    return process.returncode, err


@pytest.mark.parametrize(
    "arguments",
    [["watch"], ["history", "--follow"], ["events", "tail", ">"], ["events", "subscribe", ">", "--group", "g"]],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_pipe_without_a_reader_ends_what_follows(arguments: list[str], sidecar: FakeSidecar) -> None:
    following(sidecar)
    reader, writer = os.pipe()
    process = follow(*arguments, stdout=writer)
    os.close(writer)
    assert os.read(reader, 10)
    os.close(reader)
    assert ended(process) == (141, "")


def test_a_closed_terminal_ends_what_follows(sidecar: FakeSidecar) -> None:
    """It is not the terminal of the command's session, so that no SIGHUP does it."""
    following(sidecar)
    terminal, side = pty.openpty()
    process = follow("watch", stdout=side)
    os.close(side)
    assert os.read(terminal, 10)
    os.close(terminal)
    assert ended(process) == (141, "")


def test_without_a_reader_nobody_waits_for_a_sidecar(sidecar: FakeSidecar) -> None:
    following(sidecar)
    reader, writer = os.pipe()
    process = follow("watch", stdout=writer)
    os.close(writer)
    assert os.read(reader, 10)
    sidecar.__exit__()
    assert process.stderr is not None
    assert "goes on as soon as a sidecar answers" in process.stderr.readline()
    os.close(reader)
    assert ended(process) == (141, "")


def test_a_handler_of_events_needs_no_reader(sidecar: FakeSidecar, tmp_path: Path) -> None:
    following(sidecar)
    event = rpc.encode_notification("event", {"subscription": 1, **DELIVERED, "delivery": 5})
    sidecar.answers["subscribe"] = lambda _: lambda asked: rpc.encode_reply(asked, {"subscription": 1}) + event
    for method in ("ack", "unsubscribe"):
        sidecar.answers[method] = lambda _: {}
    reader, writer = os.pipe()
    os.close(reader)
    process = follow("events", "subscribe", ">", "--group", "g", "--exec", f"touch {tmp_path}/done", "--count", "1",
                     stdout=writer)  # fmt: skip
    os.close(writer)
    assert ended(process) == (0, "")
    wait_for((tmp_path / "done").exists)


@pytest.mark.parametrize("wait", [lambda: sleep_while_read(1e6), lambda: wait_while_read(None)])
def test_a_wait_without_a_reader_ends_at_once(wait: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(ReaderGone):
            wait()


@pytest.mark.parametrize("path", ["/dev/null", "a file"])
def test_what_has_no_reader_is_waited_for(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    came, coming = os.pipe()
    os.write(coming, b"x")
    with open(came, "rb") as source, open(coming, "wb"), open(tmp_path / path, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert wait_while_read(source)
        assert source.read(1)
        assert not wait_while_read(source, 0)


def test_without_stdout_there_is_nobody_to_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert while_read._output() is None
    assert not wait_while_read(None, 0)
