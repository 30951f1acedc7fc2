"""Threads that call a service through a real sidecar, while an instance and then the sidecar are killed."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gossipreg
from scripts.tools.sidecars import Sidecars
from tests.client.adapters.programs import Requests, SyncHttpx

ROOT = Path(__file__).parents[3]
BOUND_S = 60.0
THREADS = 8
REQUESTS = 40

SERVED = """
import os

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
"""


def sockets() -> set[str]:
    """Those of this process."""
    links = [os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    return {link for link in links if link.startswith("socket:")}


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[int, subprocess.Popen[bytes]]]:
    """Three processes of uvicorn, by port."""
    pytest.importorskip("uvicorn")
    (tmp_path / "served.py").write_text(SERVED)
    running: dict[int, subprocess.Popen[bytes]] = {}
    for _ in range(3):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            command = [sys.executable, "-m", "uvicorn", "--fd", str(listener.fileno()), "--lifespan", "off"]
            running[listener.getsockname()[1]] = subprocess.Popen(
                [*command, "--log-level", "critical", "served:app"], pass_fds=[listener.fileno()], cwd=tmp_path
            )
    yield running
    for process in running.values():
        process.kill()
        process.wait(BOUND_S)


@pytest.mark.parametrize("kind", [SyncHttpx, Requests])
def test_killing_an_instance_and_the_sidecar_fails_no_get(
    kind: Any, servers: dict[int, subprocess.Popen[bytes]]
) -> None:
    before = sockets()
    ended: Counter[str] = Counter()
    answered: Counter[int] = Counter()
    turn = threading.Barrier(THREADS + 1)

    def work(program: Any) -> None:
        for number in range(REQUESTS):
            if number in (REQUESTS // 4, REQUESTS // 2):
                turn.wait(BOUND_S)
            try:
                reply = program("GET", "http://billing.service/")
                ended[str(reply.status)] += 1
                answered[json.loads(reply.body)] += 1
            except Exception as error:
                ended[repr(error)] += 1

    with Sidecars() as cluster:
        sidecar = cluster.start("n0").wait_ready()
        for port in servers:
            sidecar.call("register", name="billing", port=port, address="127.0.0.1")
        with gossipreg.connect(str(sidecar.socket), timeout=BOUND_S) as registry:
            registry.service("billing").wait(3, timeout=BOUND_S)
            program = kind(registry, deadline=BOUND_S)
            threads = [threading.Thread(target=work, args=(program,)) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            turn.wait(BOUND_S)
            victim = next(iter(servers.values()))
            victim.send_signal(signal.SIGKILL)
            turn.wait(BOUND_S)
            sidecar.kill()
            for thread in threads:
                thread.join(BOUND_S)
            stats = registry.service("billing").stats()
            program.close()
    assert ended == {"200": THREADS * REQUESTS}, (ended, stats)
    assert len(answered) == 3  # each served something
    assert (stats["in_flight"], stats["calls_succeeded"]) == (0, THREADS * REQUESTS)
    gc.collect()  # an error and its traceback refer to each other
    assert sockets() <= before
