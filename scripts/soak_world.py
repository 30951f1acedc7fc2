"""The world of `soak`: sidecars that can be hurt in many ways, strangers that send rubbish, and who notes what was so.

Owns the processes, the rules of the firewall and the notes of when a member was not well. Never knows what is right:
`soak.py` judges.
"""

import os
import random
import socket
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gossipreg.client.connection import Client
from gossipreg.errors import GossipregError, Unreachable
from gossipreg.model import Address
from scripts.tools.packets import forged
from scripts.tools.sidecars import Sidecar, Sidecars

CALL_S = 20.0
"""A call that takes longer is in doubt. A paused sidecar is asked nothing."""
FIRST_PORT = 7941
FREEZE_S = 0.3
"""A machine that lets nobody run for so long may be to blame for what follows."""


@dataclass
class Trouble:
    """A time in which somebody was not well, so that others may take it for dead."""

    kind: str
    names: tuple[str, ...]
    began: float
    ended: float = float("inf")


@dataclass
class Host:
    """One member over all its processes, and what clients were told there."""

    name: str
    port: int
    sidecar: Sidecar
    state: str = "up"
    told: dict[str, tuple[str, int] | None] = field(default_factory=dict)
    """By id: (name, weight) as acknowledged last, or None: taken out."""
    doubt: dict[str, list[tuple[str, int] | None]] = field(default_factory=dict)
    """By id: what may be so instead, because the answer did not come."""
    acknowledged: int = 0


class World:
    def __init__(self, members: int, rng: random.Random) -> None:
        self.rng = rng
        self.sidecars = Sidecars()
        self.hosts: list[Host] = []
        self.troubles: list[Trouble] = []
        self.can_cut = os.geteuid() == 0 and _nft("list", "ruleset")
        for number in range(members):
            port = FIRST_PORT + number
            self.hosts.append(Host(f"n{number}", port, self._start(f"n{number}", port)))
        if self.can_cut:
            _nft("add table inet soak; add chain inet soak input { type filter hook input priority 0; }")

    def _start(self, name: str, port: int) -> Sidecar:
        seeds = [f"--seed=127.0.0.1:{FIRST_PORT + number}" for number in range(2) if FIRST_PORT + number != port]
        return self.sidecars.start(
            name, "--bind", f"127.0.0.1:{port}", "--data-dir", str(self.sidecars.folder / f"data-{name}"),
            "--log-format", "json", *seeds, seed=False,
        )  # fmt: skip

    def wait_ready(self) -> None:
        for host in self.hosts:
            host.sidecar.wait_ready()

    def close(self) -> None:
        self.sidecars.__exit__()

    @property
    def up(self) -> list[Host]:
        return [host for host in self.hosts if host.state == "up"]

    # -- faults ------------------------------------------------------------------------------------------------------

    def trouble(self, kind: str, *hosts: Host) -> Trouble:
        trouble = Trouble(kind, tuple(host.name for host in hosts), time.time())
        self.troubles.append(trouble)
        return trouble

    def kill(self, host: Host) -> Trouble:
        host.sidecar.kill()
        host.state = "down"
        return self.trouble("kill", host)

    def leave(self, host: Host, hold_s: float) -> Trouble:
        trouble = self.trouble("hold" if hold_s else "leave", host)
        host.state = "down"
        with suppress(Unreachable), Client(str(host.sidecar.socket), timeout_s=CALL_S) as client:
            client.call("leave", hold=hold_s)  # it may close before the answer is read
        host.sidecar.process.wait(60)
        return trouble

    def restart(self, host: Host) -> None:
        """Wait until its socket answers."""
        host.sidecar.close()
        self.sidecars.all.remove(host.sidecar)
        host.sidecar = self._start(host.name, host.port).wait_ready()
        host.state = "up"

    def pause(self, host: Host) -> Trouble:
        host.sidecar.stop()
        host.state = "paused"
        return self.trouble("pause", host)

    def resume(self, host: Host) -> None:
        host.sidecar.resume()
        host.state = "up"

    def cut(self, side: list[Host]) -> Trouble:
        """Nothing passes between this side and the others."""
        ports = ", ".join(str(host.port) for host in side)
        rest = ", ".join(str(host.port) for host in self.hosts if host not in side)
        for a, b in ((ports, rest), (rest, ports)):
            _nft(f"add rule inet soak input udp sport {{ {a} }} udp dport {{ {b} }} drop")
        return self.trouble("cut", *side)

    def heal(self) -> None:
        _nft("flush chain inet soak input")

    # -- clients -----------------------------------------------------------------------------------------------------

    def change(self, host: Host) -> None:
        """Register, update or deregister something; note what was told."""
        id = f"{host.name}-{self.rng.randrange(30)}"
        before = host.told.get(id)
        take_out = before is not None and self.rng.random() < 0.4
        wanted = None if take_out else (f"svc{self.rng.randrange(5)}", self.rng.randrange(60_000))
        try:
            with Client(str(host.sidecar.socket), timeout_s=CALL_S) as client:
                if wanted is None:
                    client.call("deregister", id=id)
                else:
                    client.call("register", name=wanted[0], port=80, id=id, weight=wanted[1])
        except GossipregError:
            host.doubt.setdefault(id, []).append(wanted)
        else:
            host.told[id] = wanted
            host.doubt.pop(id, None)
            host.acknowledged += 1

    def table(self, host: Host) -> dict[tuple[str, str], tuple[str, int]]:
        """All that this sidecar tells: (node name, id) -> (service, weight)."""
        with Client(str(host.sidecar.socket), timeout_s=CALL_S) as client:
            return {
                (one["node_name"], one["id"]): (one["service"], one["weight"])
                for name in [summary["name"] for summary in client.call_paged("services", key="name")]
                for one in client.call("lookup", name=name, all=True)
            }

    def agrees(self) -> bool:
        """Whether everyone holds the same table, with everyone alive in it."""
        wanted = {host.name: "alive" for host in self.hosts if host.state == "up"}
        prints = set()
        for host in self.up:
            info = _ask(host, "info")
            prints.add(info["fingerprint"])
            if len(prints) > 1 or not info["synced"] or info["alone"]:
                return False
        return all(_alive(host, wanted) for host in self.up)


def _alive(host: Host, wanted: dict[str, str]) -> bool:
    states = {member["name"]: member["state"] for member in _ask(host, "members")}
    return {name: state for name, state in states.items() if name in wanted or state == "alive"} == wanted


def _ask(host: Host, method: str) -> Any:
    with Client(str(host.sidecar.socket), timeout_s=CALL_S) as client:
        return client.call(method)


def _nft(*command: str) -> bool:
    try:
        return subprocess.run(["nft", *command], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def usage(sidecar: Sidecar) -> dict[str, int]:
    """What the process takes: private memory in KiB, descriptors, threads, and trio's tasks."""
    proc = Path(f"/proc/{sidecar.process.pid}")
    private = sum(
        int(line.split()[1])
        for line in (proc / "smaps_rollup").read_text().splitlines()
        if line.startswith("Private_Dirty")
    )
    return {
        "memory_kib": private,
        "descriptors": len(list((proc / "fd").iterdir())),
        "threads": len(list((proc / "task").iterdir())),
        "tasks": sidecar.call("info")["counters"]["tasks"],
    }


class Looker(threading.Thread):
    """Looks something up at everyone all the time; keeps how long each took. And notes when the machine stood still."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._over = threading.Event()
        self.took_s: deque[float] = deque(maxlen=1_000_000)
        self.failed = 0
        self.freezes: list[tuple[float, float]] = []

    def run(self) -> None:
        slept_at = time.monotonic()
        while not self._over.wait(0.02):
            late_s = time.monotonic() - slept_at - 0.02
            if late_s > FREEZE_S:
                self.freezes.append((time.time() - late_s, late_s))
            for host in self._world.up:
                self._look(host)
            slept_at = time.monotonic()

    def _look(self, host: Host) -> None:
        start = time.perf_counter()
        try:
            with Client(str(host.sidecar.socket), timeout_s=CALL_S) as client:
                client.call("lookup", name="svc0")
                start_warm = time.perf_counter()
                client.call("lookup", name="svc1")
                self.took_s.append(time.perf_counter() - start_warm)
        except GossipregError:
            if host.state == "up" and time.perf_counter() - start > 1:
                self.failed += 1

    def stop(self) -> None:
        self._over.set()
        self.join()


class Stranger(threading.Thread):
    """Sends rubbish to everyone: random bytes, and as root what it hears on the wire, replayed, cut short, with bits
    flipped, from addresses that are not its own; and to local sockets, what is no request."""

    RATE = 200

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._rng = random.Random(world.rng.random())
        self._over = threading.Event()
        self._heard: deque[bytes] = deque(maxlen=256)
        self.sent = 0

    def run(self) -> None:
        plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear = forger = None
        if os.geteuid() == 0:
            ear = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(0x0800))
            ear.setblocking(False)
            forger = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        while not self._over.wait(0.05):
            if ear is not None:
                self._listen(ear)
            for _ in range(int(self.RATE * 0.05)):
                self._send(plain, forger)
            if self._rng.random() < 0.05:
                self._bother()
        plain.close()

    def _listen(self, ear: socket.socket) -> None:
        for _ in range(20):
            try:
                packet = ear.recv(65536)
            except BlockingIOError:
                return
            if len(packet) > 28 and packet[9] == socket.IPPROTO_UDP:
                self._heard.append(packet[28:])

    def _send(self, plain: socket.socket, forger: socket.socket | None) -> None:
        to = self._rng.choice(self._world.hosts).port
        data = bytearray(self._rng.choice(self._heard) if self._heard and self._rng.random() < 0.8 else b"")
        how = self._rng.randrange(4)
        if not data or how == 0:
            data = bytearray(self._rng.randbytes(self._rng.randrange(1, 1400)))
        elif how == 1:
            del data[self._rng.randrange(len(data)) :]
        elif how == 2:
            data[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
        try:
            if forger is not None and self._rng.random() < 0.5:
                source = Address("127.0.0.1", self._rng.choice(self._world.hosts).port)
                forger.sendto(forged(source, to, bytes(data)), ("127.0.0.1", 0))
            else:
                plain.sendto(data, ("127.0.0.1", to))
            self.sent += 1
        except OSError:
            pass

    def _bother(self) -> None:
        host = self._rng.choice(self._world.hosts)
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(0.2)
                sock.connect(str(host.sidecar.socket))
                sock.sendall(self._rng.randbytes(200))
        except OSError:
            pass

    def stop(self) -> None:
        self._over.set()
        self.join()
