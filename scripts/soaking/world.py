"""The world of the soak: sidecars that can be hurt in many ways, and the answers that clients got.

Owns the processes, the rules of the firewall and the notes of when a member was not well. Never knows what is right:
`judge.py` does.
"""

import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gossipreg.client.connection import Client
from gossipreg.errors import GossipregError, Unreachable
from scripts.tools.network import Firewall
from scripts.tools.sidecars import Sidecar, Sidecars

CALL_S = 20.0
"""A call that takes longer counts as unanswered. A paused sidecar is asked nothing."""
FIRST_PORT = 7941


@dataclass
class Trouble:
    """A time in which these members were hurt, so that others may declare them dead."""

    kind: str
    names: tuple[str, ...]
    began: float
    ended: float = float("inf")


@dataclass
class Host:
    """One member over all its processes, and the answers that its clients got."""

    name: str
    port: int
    sidecar: Sidecar
    state: str = "up"
    confirmed: dict[str, tuple[str, int] | None] = field(default_factory=dict)
    """By id: (name, weight) as acknowledged last, or None: taken out."""
    unanswered: dict[str, list[tuple[str, int] | None]] = field(default_factory=dict)
    """By id: what may be true instead, because no answer came."""
    acknowledged: int = 0


class World:
    def __init__(self, members: int, rng: random.Random) -> None:
        self.rng = rng
        self.sidecars = Sidecars()
        self.hosts: list[Host] = []
        self.troubles: list[Trouble] = []
        self._firewall = Firewall()
        for number in range(members):
            port = FIRST_PORT + number
            self.hosts.append(Host(f"n{number}", port, self._start(f"n{number}", port)))

    def _start(self, name: str, port: int) -> Sidecar:
        seeds = [f"--seed=127.0.0.1:{FIRST_PORT + number}" for number in range(2) if FIRST_PORT + number != port]
        return self.sidecars.start(
            name,
            *("--bind", f"127.0.0.1:{port}"),
            *("--data-dir", str(self.sidecars.folder / f"data-{name}")),
            *("--log-format", "json"),
            *seeds,
            seed=False,
        )

    def wait_ready(self) -> None:
        for host in self.hosts:
            host.sidecar.wait_ready()

    def close(self) -> None:
        self.sidecars.__exit__()

    @property
    def can_cut(self) -> bool:
        return self._firewall.works

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
        self._firewall.cut([host.port for host in side], [host.port for host in self.hosts if host not in side])
        return self.trouble("cut", *side)

    def heal(self) -> None:
        self._firewall.heal()

    # -- clients -----------------------------------------------------------------------------------------------------

    def change(self, host: Host) -> None:
        """Register, update or deregister something, and note the answer."""
        id = f"{host.name}-{self.rng.randrange(30)}"
        before = host.confirmed.get(id)
        take_out = before is not None and self.rng.random() < 0.4
        wanted = None if take_out else (f"svc{self.rng.randrange(5)}", self.rng.randrange(60_000))
        try:
            with Client(str(host.sidecar.socket), timeout_s=CALL_S) as client:
                if wanted is None:
                    client.call("deregister", id=id)
                else:
                    client.call("register", name=wanted[0], port=80, id=id, weight=wanted[1])
        except GossipregError:
            host.unanswered.setdefault(id, []).append(wanted)
        else:
            host.confirmed[id] = wanted
            host.unanswered.pop(id, None)
            host.acknowledged += 1

    def table(self, host: Host) -> dict[tuple[str, str], tuple[str, int]]:
        """The whole table of this sidecar: (node name, id) -> (service, weight)."""
        with Client(str(host.sidecar.socket), timeout_s=CALL_S) as client:
            return {
                (one["node_name"], one["id"]): (one["service"], one["weight"])
                for name in [summary["name"] for summary in client.call_paged("services", key="name")]
                for one in client.call("lookup", name=name, all=True)
            }

    def agrees(self) -> bool:
        """Whether all sidecars hold the same table, in which all of them are alive."""
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
