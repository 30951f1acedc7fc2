"""The programs of docs/recipes.md, word for word but for their ports, all at once beside one sidecar."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gossipreg.cli.docs import topics
from scripts.tools.programs import free_port
from scripts.tools.sidecars import Sidecar, Sidecars
from tests.client.test_node_client import NODE_FAULT

pytestmark = pytest.mark.skipif(bool(NODE_FAULT), reason=NODE_FAULT)

BOUND_S = 120.0
PAGE = topics()["recipes"].read_text(encoding="utf-8")
BLOCK = r"\n\n((?:    .*\n|\n)+)"
PROGRAMS = {name: textwrap.dedent(text).strip() + "\n" for name, text in re.findall(rf"`([\w.]+)`:{BLOCK}", PAGE)}
STARTS = [textwrap.dedent(text).strip() for text in re.findall(rf"Start it:{BLOCK}", PAGE)]
[INSTALL] = [textwrap.dedent(text) for text in re.findall(rf"Install it, [^:]+:{BLOCK}", PAGE)]
NO_NETWORK = r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT"
SERVERS = ("shop", "orders", "stock")


class Host:
    """A folder with the programs of the page, and what runs there."""

    def __init__(self, folder: Path, sidecar: Sidecar) -> None:
        self.folder = folder
        self.sidecar = sidecar
        bin = Path(sys.executable).parent
        self._env = {
            **os.environ,
            "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
            "GOSSIPREG_SOCKET": str(sidecar.socket),
        }
        self._ports = {port: str(free_port()) for port in {*re.findall(r"\b80\d\d\b", "".join(STARTS))}}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for name, text in PROGRAMS.items():
            (folder / name).write_text(text)

    def shell(self, command: str) -> str:
        ended = subprocess.run(
            ["sh", "-ec", command], cwd=self.folder, env=self._env, capture_output=True, text=True, timeout=BOUND_S
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr + self.said()
        return ended.stdout

    def start(self, command: str) -> None:
        for port, free in self._ports.items():
            command = command.replace(port, free)
        env = {**self._env, "HOME": str(self.folder)}  # gunicorn keeps a socket there
        with (self.folder / f"{len(self.running)}.log").open("wb") as log:
            self.running[command] = subprocess.Popen(
                ["sh", "-c", f"exec {command}"], cwd=self.folder, env=env, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def end(self) -> dict[str, int]:
        """SIGTERM to all; their exit codes by their commands."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        return {command: process.wait(BOUND_S) for command, process in self.running.items()}

    def said(self) -> str:
        return "".join(f"\n{path}\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))

    def close(self) -> None:
        """Leave no process behind, workers included."""
        for process in self.running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(BOUND_S)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    for module in ("fastapi", "flask", "celery", "httpx", "requests", "uvicorn", "gunicorn"):
        pytest.importorskip(module)
    with Sidecars() as cluster:
        host = Host(tmp_path, cluster.start("n0").wait_ready())
        try:
            yield host
        finally:
            host.close()


def test_the_page_has_a_program_and_a_command_for_each_framework() -> None:
    assert {*PROGRAMS} == {"shop.py", "orders.py", "tasks.py", "buy.py", "stock.mjs"}
    assert len(STARTS) == len(PROGRAMS)
    started = "".join(STARTS)
    assert [program for program in ("uvicorn", "gunicorn", "celery", "python", "node") if program not in started] == []


def test_the_programs_of_the_page_find_and_call_each_other(host: Host) -> None:
    servers = [start for start in STARTS if not start.startswith(("python", "node"))]
    for start in servers:
        host.start(start)
    try:
        host.shell(INSTALL)
    except AssertionError as error:
        if (fault := re.search(NO_NETWORK, str(error))) is None:
            raise
        pytest.skip(f"npm cannot install express here: {fault[0]}")
    host.start("node stock.mjs")
    for name in SERVERS:
        host.shell(f"gossipreg wait {name} --timeout {BOUND_S:g}s")

    said = host.shell("python buy.py")

    shown, *answers = said.splitlines()
    assert re.fullmatch(r"shop: 127\.0\.0\.1:\d+ passing", shown)
    assert answers == ["bought: {'left': 3, 'ordered': 7}", "reordered: {'left': 3, 'ordered': 8}"], host.said()
    refilled = host.shell("gossipreg call stock /refill/9 --method POST")
    assert '"ordered":9' in refilled.replace(" ", "")
    for name in SERVERS:
        [instance] = host.sidecar.lookup(name)
        with urllib.request.urlopen(f"http://{instance}/health", timeout=BOUND_S) as answer:
            assert answer.headers["gossipreg-load"] == "in_flight=1", name
    ended = host.end()
    assert {*ended.values()} <= {0, 128 + signal.SIGTERM}, (ended, host.said())  # uvicorn passes the signal on
    assert [name for name in SERVERS if host.sidecar.lookup(name)] == []
