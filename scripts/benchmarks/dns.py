"""Measure DNS answers: a sidecar's, and dnsmasq's beside it, with the same services, clients and questions.

    scripts/bench-dns                     1,000 services with 3 instances each, SRV over UDP
    scripts/bench-dns --services 100 --seconds 5 --json

`one`: one client that waits for each answer: how long an answer takes. `many`: four that keep 32 questions on the way:
how many answers a second come. Each server is asked in turn, three times, since the machine is shared: read the figures
beside what is printed first, the load and how much of a core a spinning loop got. The last column depends on that
least: answers for each second of processor time that the server's process took, which is what one core can do.
dnsmasq gives out the same records from its configuration.
"""

import argparse
import json
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gossipreg.gateway.dns import wire
from scripts.tools.figures import percentile
from scripts.tools.machine import cpu_s, quietness
from scripts.tools.programs import free_port, running_program
from scripts.tools.sidecars import Sidecars
from scripts.tools.wait import wait_for

INSTANCES = 3
WINDOW = 32
"""Questions on the way: what the sidecar answers in one turn."""
ROUNDS = 3
HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]
"""Clients of the sidecar have a bound each."""
ANSWER_S = 5.0


@dataclass(frozen=True)
class Server:
    name: str
    pid: int
    port: int


@dataclass(frozen=True)
class Row:
    server: str
    clients: str
    p50_us: float
    p99_us: float
    answers_s: float
    """By the clock."""
    answers_core_s: float
    """For each second of the server's processor time."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench-dns", description="How fast are DNS answers?")
    parser.add_argument("--services", type=int, default=1_000, help="in the table, with 3 instances each (1,000)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure, thrice (3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gr-") as folder, Sidecars() as sidecars:
        servers = [_sidecar(sidecars, Path(folder), given.services)]
        with _dnsmasq(Path(folder), given.services) as dnsmasq:
            servers += dnsmasq
            print(quietness(), file=sys.stderr)
            rows = _measure(servers, given)
    for row in rows:
        print(json.dumps(row.__dict__) if given.json else _line(row), flush=True)
    return 0


def _line(row: Row) -> str:
    return (
        f"{row.server:8} {row.clients:4}  p50 {row.p50_us:6.0f} us  p99 {row.p99_us:7.0f} us  "
        f"{row.answers_s:7.0f}/s  {row.answers_core_s:7.0f} for each second of its core"
    )


# -- the servers -------------------------------------------------------------------------------------------------------


def _address(service: int, instance: int) -> str:
    return f"10.{instance}.{service >> 8}.{service & 255}"


def _sidecar(sidecars: Sidecars, folder: Path, services: int) -> Server:
    file = folder / "services.toml"
    with file.open("w") as text:
        for service in range(services):
            for instance in range(INSTANCES):
                text.write(
                    f'[[service]]\nname = "svc{service}"\nid = "svc{service}-{instance}"\n'
                    f'port = {8000 + instance}\naddress = "{_address(service, instance)}"\n'
                )
    sidecar = sidecars.start("bench", "--services", str(file), "--dns", "127.0.0.1:0").wait_ready()
    wait_for(lambda: len(sidecar.lookup(f"svc{services - 1}")) == INSTANCES)
    return Server("sidecar", sidecar.process.pid, sidecar.port("dns"))


@contextmanager
def _dnsmasq(folder: Path, services: int) -> Iterator[list[Server]]:
    """No server where it is not installed."""
    path = shutil.which("dnsmasq", path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        print("dnsmasq is not here (Debian: apt install dnsmasq-base): measured without it", file=sys.stderr)
        yield []
        return
    port = free_port()
    lines = ["no-resolv", "no-hosts", "no-daemon", f"port={port}", "listen-address=127.0.0.1", "bind-interfaces"]
    lines += [f"pid-file={folder}/dnsmasq.pid", *(["user=root"] if os.geteuid() == 0 else [])]
    for service in range(services):
        for instance in range(INSTANCES):
            target = f"i{service}-{instance}.node.consul"
            lines.append(f"srv-host=svc{service}.service.consul,{target},{8000 + instance},1,1")
            lines.append(f"host-record={target},{_address(service, instance)}")
    (folder / "dnsmasq.conf").write_text("\n".join(lines) + "\n")
    log = folder / "dnsmasq.log"
    with running_program([path, "-C", str(folder / "dnsmasq.conf")], log) as process:
        wait_for(lambda: _answers(port) or process.poll() is not None)
        if process.poll() is not None:
            raise SystemExit(f"dnsmasq ended: {log.read_text()}")
        yield [Server("dnsmasq", process.pid, port)]


def _answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.settimeout(0.2)
        try:
            client.send(_question(0, 1))
            return bool(client.recv(4096))
        except OSError:
            return False


# -- the clients -------------------------------------------------------------------------------------------------------


def _question(service: int, id: int) -> bytes:
    """As a resolver that knows EDNS asks."""
    name = wire.encode_name((f"svc{service}".encode(), b"service", b"consul"))
    assert name is not None
    opt = wire.opt(wire.Edns(1232, False), 1232, 0)
    return wire.HEADER.pack(id, wire.RD, 1, 0, 0, 1) + name + bytes((0, wire.SRV, 0, wire.IN)) + opt


class _Total:
    def __init__(self) -> None:
        self.took: list[float] = []
        self.lasted_s = 0.0
        self.core_s = 0.0

    def row(self, server: str, clients: str) -> Row:
        count = len(self.took)
        p50, p99 = (1e6 * (percentile(self.took, part) or 0.0) for part in (0.5, 0.99))
        return Row(server, clients, p50, p99, count / self.lasted_s, count / self.core_s)


def _measure(servers: list[Server], given: argparse.Namespace) -> list[Row]:
    totals = {(server, clients): _Total() for clients in ("one", "many") for server in servers}
    for _ in range(ROUNDS):
        for (server, clients), total in totals.items():
            hosts, window = (HOSTS[:1], 1) if clients == "one" else (HOSTS, WINDOW)
            _ask(server, hosts, window, given.seconds, given.services, total)
    return [total.row(server.name, clients) for (server, clients), total in totals.items()]


def _ask(server: Server, hosts: list[str], window: int, seconds: float, services: int, total: _Total) -> None:
    rng = random.Random(1)
    questions = [_question(service, 0)[2:] for service in range(services)]
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in hosts]
        for client, host in zip(clients, hosts, strict=True):
            client.bind((host, 0))
            client.connect(("127.0.0.1", server.port))
            client.settimeout(ANSWER_S)
        before, start = cpu_s(server.pid), time.perf_counter()
        sent: deque[tuple[int, float]] = deque()
        number = 0
        while time.perf_counter() - start < seconds:
            while len(sent) < window:
                number = (number + 1) & 0xFFFF
                data = number.to_bytes(2, "big") + questions[rng.randrange(services)]
                sent.append((number, time.perf_counter()))
                clients[number % len(clients)].send(data)
            asked, at = sent.popleft()
            answer = clients[asked % len(clients)].recv(4096)
            total.took.append(time.perf_counter() - at)
            if answer[:2] != asked.to_bytes(2, "big") or answer[3] & 15 or answer[7] != INSTANCES:
                raise SystemExit(f"{server.name} gave {answer[7]} answers, rcode {answer[3] & 15}")
        total.lasted_s += time.perf_counter() - start
        total.core_s += cpu_s(server.pid) - before


if __name__ == "__main__":
    sys.exit(main())
