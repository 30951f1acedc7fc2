"""Several hosts on one machine: network namespaces on a bridge of their own, with faults made by their firewalls.

Everything, the bridge too, lives in namespaces with names of this process, so that tests that run at once do not meet
and nothing can leave the machine. Needs root, `ip` and `nft`; `missing` says what is not there.
"""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars

NAMES = itertools.count()
PORT = 7940
BAD_ROAD = Path(__file__).with_name("bad_road.py")


def missing() -> str:
    """Return why no hosts can be made here; empty if they can."""
    if os.geteuid() != 0:
        return "making network namespaces needs root"
    return next((f"{tool} is not installed" for tool in ("ip", "nft") if shutil.which(tool) is None), "")


class Host:
    def __init__(self, hosts: "Hosts", number: int, *, v4: bool, v6: bool) -> None:
        self._hosts = hosts
        self.number = number
        self.name = f"h{number}"
        self.namespace = f"{hosts.prefix}{number}"
        self.v4, self.v6 = f"10.77.0.{number}", f"fd77::{number}"
        run("ip", "netns", "add", self.namespace)
        port = f"v{number}"
        run("ip", "-n", hosts.bridge, "link", "add", port, "type", "veth", "peer", "eth0", "netns", self.namespace)
        run("ip", "-n", hosts.bridge, "link", "set", port, "master", "br0", "up")
        self.ip("link", "set", "lo", "up")
        self.ip("link", "set", "eth0", "up")
        if v4:
            self.ip("addr", "add", f"{self.v4}/24", "dev", "eth0")
        if v6:
            self.ip("addr", "add", f"{self.v6}/64", "dev", "eth0", "nodad")
        self.nft("add table inet t; add chain inet t input { type filter hook input priority 0; }")

    def ip(self, *arguments: str) -> None:
        run("ip", "-n", self.namespace, *arguments)

    def nft(self, rules: str) -> None:
        run("ip", "netns", "exec", self.namespace, "nft", rules)

    def deaf_to(self, *others: "Host") -> None:
        """Drop everything that these hosts send to this one."""
        for other in others:
            self.nft(f"add rule inet t input ip saddr {other.v4} drop; add rule inet t input ip6 saddr {other.v6} drop")

    def loses(self, percent: int) -> None:
        """Drop this share of what others send to this host."""
        self.nft(f'add rule inet t input iifname "eth0" numgen random mod 100 < {percent} drop')

    def drops_over(self, packet_bytes: int) -> None:
        """Silently drop larger IP packets to this host."""
        self.nft(f'add rule inet t input iifname "eth0" meta length > {packet_bytes} drop')

    def heal(self) -> None:
        self.nft("flush chain inet t input")

    def narrow(self, mtu: int) -> None:
        """Set the MTU of the host's interface and of its bridge port: the bridge drops larger frames silently."""
        self.ip("link", "set", "eth0", "mtu", str(mtu))
        run("ip", "-n", self._hosts.bridge, "link", "set", f"v{self.number}", "mtu", str(mtu))

    def behind_a_bad_road(self, least_s: float, most_s: float) -> None:
        """Reorder frames to and from this host from now on; see `bad_road.py`."""
        port, inner, outer = f"v{self.number}", f"r{self.number}a", f"r{self.number}b"
        bridge = self._hosts.bridge
        run("ip", "-n", bridge, "link", "add", inner, "type", "veth", "peer", "name", outer)
        run("ip", "-n", bridge, "link", "set", inner, "up", "promisc", "on")
        run("ip", "-n", bridge, "link", "set", outer, "master", "br0", "up")
        run("ip", "-n", bridge, "link", "set", port, "nomaster", "promisc", "on")
        program = [sys.executable, str(BAD_ROAD), port, inner, str(least_s), str(most_s)]
        self._hosts.roads.append(subprocess.Popen(["ip", "netns", "exec", bridge, *program]))

    def start(self, *arguments: str, v6: bool = False, program: Sequence[str] = COMMAND) -> Sidecar:
        """Start a sidecar here, or another `program`; the first host is the seed of all others."""
        first = self._hosts.all[0]
        seed = f"[{first.v6}]:{PORT}" if v6 else f"{first.v4}:{PORT}"
        seeds = [] if self is first or "--seed" in arguments else ["--seed", seed]
        given = ["--bind", f"*:{PORT}", *seeds, *arguments]
        command = ["ip", "netns", "exec", self.namespace, *program]
        self.sidecar = self._hosts.sidecars.start(self.name, *given, seed=False, command=command)
        return self.sidecar


class Hosts:
    """A context manager that leaves neither process nor namespace behind."""

    def __init__(self, n: int, *, v4: bool = True, v6: bool = True) -> None:
        self.prefix = f"gr{os.getpid()}x{next(NAMES)}h"
        self.bridge = f"{self.prefix}b"
        self.all: list[Host] = []
        self.roads: list[subprocess.Popen[bytes]] = []
        self.sidecars = Sidecars()
        try:
            run("ip", "netns", "add", self.bridge)
            run("ip", "-n", self.bridge, "link", "add", "br0", "type", "bridge")
            run("ip", "-n", self.bridge, "link", "set", "br0", "up")
            for number in range(1, n + 1):
                self.all.append(Host(self, number, v4=v4, v6=v6))
        except BaseException:
            self.__exit__()
            raise

    def heal(self) -> None:
        for host in self.all:
            host.heal()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.sidecars.__exit__()
        for road in self.roads:
            road.kill()
            road.wait()
        names = [self.bridge, *(f"{self.prefix}{number}" for number in range(1, 1 + len(self.all) + 1))]
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def cut(a: list[Host], b: list[Host]) -> None:
    """Drop everything between the two sides."""
    for host in a:
        host.deaf_to(*b)
    for host in b:
        host.deaf_to(*a)


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
