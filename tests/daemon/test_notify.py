"""systemd is told, in its own way, where it asked."""

import os
import socket
from pathlib import Path

import pytest

from gossipreg.daemon.notify import READY, STOPPING, notify


@pytest.mark.parametrize("abstract", [False, True])
def test_the_state_reaches_who_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    name = f"gossipreg-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(10)
        manager.bind("\0" + name if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name if abstract else name)
        assert notify(READY)
        assert notify(STOPPING)
        assert [manager.recv(100), manager.recv(100)] == [b"READY=1", b"STOPPING=1"]


@pytest.mark.parametrize("path", ["", "/nowhere/notify", "relative", "/" + "x" * 500])
def test_nobody_to_tell_is_no_trouble(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    assert not notify(READY)
