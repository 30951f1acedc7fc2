"""Commands that follow a sidecar say so when it hangs, and when it answers again."""

import socket

import pytest

from gossipreg.cli import quiet_sidecar
from gossipreg.cli.exit_codes import READER_GONE
from gossipreg.cli.output import ReaderGone
from gossipreg.cli.quiet_sidecar import QuietSidecar
from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet_sidecar, "QUIET_S", 0.01)


@pytest.mark.parametrize("while_read", [True, False])
def test_a_hang_and_its_end_are_told_once_each(
    while_read: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = socket.socketpair()
    found = [True, False, False, True, True]

    def answers(path: str) -> bool:
        assert path == "/s.sock"
        if len(found) == 1:
            there.send(b"x")
        return found.pop(0)

    monkeypatch.setattr(quiet_sidecar, "answers", answers)
    with here, there:
        assert QuietSidecar("the watch", while_read=while_read).wait(here, "/s.sock")
    assert capsys.readouterr().err.splitlines() == [
        "the sidecar on /s.sock does not answer; the watch goes on once it does",
        "the sidecar on /s.sock answers again",
    ]


def test_an_error_is_an_answer(sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    assert quiet_sidecar.answers(str(sidecar.path))
    assert sidecar.seen == [("registered", {})]
    monkeypatch.setattr(quiet_sidecar, "ANSWER_S", 0.05)
    sidecar.answers["registered"] = lambda _: b"\x94"  # the first byte of an answer whose end never comes
    assert not quiet_sidecar.answers(str(sidecar.path))


def test_a_wait_ends_with_its_time(sidecar: FakeSidecar) -> None:
    sidecar.answers["registered"] = lambda _: []
    here, there = socket.socketpair()
    with here, there:
        assert not QuietSidecar("the watch").wait(here, str(sidecar.path), 0.05)
        assert not QuietSidecar("the watch").wait(here, str(sidecar.path), 0.0)


@pytest.mark.parametrize("args", [["watch", "web"], ["history", "--follow"], ["events", "tail", ">"]])
def test_commands_that_follow_ask_a_quiet_sidecar(
    args: list[str], sidecar: FakeSidecar, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answers(path: str) -> bool:
        asked.append(path)
        raise ReaderGone

    monkeypatch.setattr(quiet_sidecar, "answers", answers)
    page = {"lines": [], "more": False, "follow": 1}
    sidecar.answers |= {"subscribe": lambda _: {"subscription": 1}, "history": lambda _: page}
    assert command(*args).code == READER_GONE
    assert asked == [str(sidecar.path)]
