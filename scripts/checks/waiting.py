"""The memory and the delay of many blocked HTTP questions: `scripts/check --waiting 10000`. It fails above
WEIGHT_MAX_KIB.

A real sidecar; half of the questions ask for one service, half each for one of its own. Printed are private memory
a question, how long a change takes to reach all questions that wait for it, how many were woken, and what lookups take
meanwhile.
"""

import os
import re
import resource
import selectors
import socket
import time
from urllib.request import urlopen

from gossipreg.client.connection import Client
from scripts.tools.figures import percentile
from scripts.tools.machine import usage
from scripts.tools.sidecars import Sidecar, Sidecars, timed_lookup_ms
from scripts.tools.wait import wait_for

WEIGHT_MAX_KIB = 6
"""Private memory a question. `tests/gateway/http/test_blocking.py` has the same bound for the heap alone."""
ROUND = 250
"""The number of questions that are asked before their answers are read."""


def waiting(number: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, number + 1000)), hard))
    with Sidecars() as sidecars:
        one = sidecars.start("one", "--http", "127.0.0.1:0").wait_ready()
        where = ("127.0.0.1", one.port("http"))
        asked = _Asked(where)
        asked.ask(range(100))  # what is made once
        os.sync()
        before = usage(one)["memory_kib"]
        asked.ask(range(100, 100 + number))
        wait_for(lambda: _gauge(where, "waiting") == number + 100)
        os.sync()
        weight = (usage(one)["memory_kib"] - before) / number
        print(f"{number} questions wait: {weight:.2f} KiB each; lookup {_lookup_ms(one):.2f} ms (p50)", flush=True)
        mine = [sock for sock, name in asked.waiting.items() if name == "shared"]
        start = time.perf_counter()
        one.call("register", name="shared", port=80)
        worst = asked.answers(mine)
        print(f"a change reached {len(mine)} of them in {worst - start:.2f} s, and woke {_gauge(where, 'woken'):.0f}")
        start = time.perf_counter()
        one.call("register", name="s7", port=80)
        alone = asked.answers([sock for sock, name in asked.waiting.items() if name == "s7"])
        print(
            f"a change reached the one who waits in {(alone - start) * 1000:.1f} ms, woken in all "
            f"{_gauge(where, 'woken'):.0f}; {_gauge(where, 'waiting'):.0f} wait on"
        )
        asked.close()
        return 0 if weight <= WEIGHT_MAX_KIB else 1


class _Asked:
    def __init__(self, where: tuple[str, int]) -> None:
        self._where = where
        self.waiting: dict[socket.socket, str] = {}

    def ask(self, numbers: range) -> None:
        """Ask, and ask again with the index of the answer, which blocks."""
        for first in range(numbers.start, numbers.stop, ROUND):
            fresh: dict[socket.socket, str] = {}
            for number in range(first, min(first + ROUND, numbers.stop)):
                name = "shared" if number % 2 == 0 else f"s{number}"
                sock = socket.create_connection(self._where)
                sock.sendall(_request(name, 0))
                fresh[sock] = name
            for sock, name in fresh.items():
                index = re.search(rb"X-Consul-Index: (\d+)", _response(sock))
                assert index is not None
                sock.sendall(_request(name, int(index[1])))
            self.waiting |= fresh

    def answers(self, socks: list[socket.socket]) -> float:
        """Read one answer of each; the time at which the last came."""
        with selectors.DefaultSelector() as selector:
            for sock in socks:
                selector.register(sock, selectors.EVENT_READ)
            left = len(socks)
            while left:
                ready = selector.select(30)
                assert ready, f"{left} heard nothing"
                for key, _ in ready:
                    assert isinstance(key.fileobj, socket.socket)
                    assert b'"Service"' in _response(key.fileobj)
                    selector.unregister(key.fileobj)
                    left -= 1
        return time.perf_counter()

    def close(self) -> None:
        for sock in self.waiting:
            sock.close()


def _request(name: str, index: int) -> bytes:
    path = f"/v1/health/service/{name}?passing=1&index={index}&wait=10m"
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: waiting\r\nAccept: */*\r\n\r\n".encode()


def _response(sock: socket.socket) -> bytes:
    data = b""
    while True:
        data += sock.recv(65536)
        head, end, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        if end and length and len(body) >= int(length[1]):
            return data


def _gauge(where: tuple[str, int], name: str) -> float:
    with urlopen(f"http://{where[0]}:{where[1]}/metrics", timeout=30) as reply:
        found = re.search(rf"^gossipreg_http_{name} (\S+)$", reply.read().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def _lookup_ms(sidecar: Sidecar) -> float:
    """The median."""
    with Client(str(sidecar.socket)) as client:
        return percentile([timed_lookup_ms(client, "shared") for _ in range(200)], 0.5) or 0.0
