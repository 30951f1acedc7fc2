import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gossipreg import socket_path
from gossipreg.cli.commands import run
from tests.client.fake_sidecar import FakeSidecar


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests from finding a sidecar of this machine."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(socket_path, "SYSTEM_FOLDER", str(tmp_path / "system"))
    for name in [name for name in os.environ if name.startswith("GOSSIPREG_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[FakeSidecar]:
    """The only sidecar of this user: every command finds it without --socket."""
    folder = tmp_path / "run" / "gossipreg"
    folder.mkdir(parents=True)
    with FakeSidecar(folder / "gossipreg.sock") as sidecar:
        yield sidecar


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `gossipreg ARGS` in this process."""

    def run_command(*args: str) -> Ended:
        code = run(list(args))
        return Ended(code, *capsys.readouterr())

    return run_command
