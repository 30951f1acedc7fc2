"""Network namespaces of our own, in which traffic is counted and cut without harm to the machine.

Owns: how a command begins again in such a namespace, hosts that are namespaces, and the rules of their firewalls.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from typing import Self

ALONE = "GOSSIPREG_ALONE"
"""Set by ourselves for ourselves: we are in the network namespace that was made for us."""


def alone() -> bool:
    """Whether this process has a network namespace of its own."""
    return ALONE in os.environ


def go_alone(module: str, arguments: list[str]) -> None:
    """Start again, if root may, as `python -m MODULE ARGUMENTS` in a network namespace that has nothing but `lo`.
    Returns if this process already has one, or cannot get one."""
    if alone() or os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("ip") is None:
        return
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0:
        return
    command = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', module, sys.executable, "-m"]
    os.execvpe("unshare", [*command, module, *arguments], {**os.environ, ALONE: "1"})


class Firewall:
    """Cuts members off from each other by their ports on 127.0.0.1, in a network namespace of our own."""

    def __init__(self) -> None:
        self.works = alone() and _nft(
            "add table inet cut; add chain inet cut input { type filter hook input priority 0; }"
        )
        """Whether rules can be made here: that needs such a namespace, which needs root, and nft."""

    def cut(self, one: Iterable[int], other: Iterable[int]) -> bool:
        """Nothing passes between these ports and those; False where the firewall took no rule."""
        a, b = (", ".join(map(str, ports)) for ports in (one, other))
        return all(
            _nft(f"add rule inet cut input udp sport {{ {source} }} udp dport {{ {target} }} drop")
            for source, target in ((a, b), (b, a))
        )

    def heal(self) -> None:
        """Take all cuts away."""
        _nft("flush chain inet cut input")


def _nft(rules: str) -> bool:
    """Whether it could be done."""
    try:
        return subprocess.run(["nft", rules], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class LinkedHosts:
    """Network namespaces on a bridge of their own: hosts that can be cut off from each other, datagrams and TCP alike.

    A context manager that leaves none behind. Needs root, `ip` and `nft`: `missing` says what is not there.
    """

    def __init__(self, count: int) -> None:
        self._prefix = f"gr{os.getpid()}s"
        self._bridge = f"{self._prefix}b"
        self._made: list[str] = []
        try:
            self._add(self._bridge)
            _ip("-n", self._bridge, "link", "add", "br0", "type", "bridge")
            _ip("-n", self._bridge, "link", "set", "br0", "up")
            for number in range(count):
                self._add_host(number)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def missing() -> str:
        """What such hosts lack here; empty: nothing."""
        if os.geteuid() != 0:
            return "network namespaces need root"
        return next((f"{tool} is not installed" for tool in ("ip", "nft") if shutil.which(tool) is None), "")

    def _add(self, namespace: str) -> None:
        _ip("netns", "add", namespace)
        self._made.append(namespace)

    def _add_host(self, number: int) -> None:
        namespace, port = f"{self._prefix}{number}", f"v{number}"
        self._add(namespace)
        _ip("-n", self._bridge, "link", "add", port, "type", "veth", "peer", "eth0", "netns", namespace)
        _ip("-n", self._bridge, "link", "set", port, "master", "br0", "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", namespace, "link", "set", "eth0", "up")
        _ip("-n", namespace, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
        self._nft(number, "add table inet cut; add chain inet cut input { type filter hook input priority 0; }")

    def address(self, number: int) -> str:
        return f"10.78.0.{number + 1}"

    def command(self, number: int) -> list[str]:
        """What goes before a command that is to run on this host."""
        return ["ip", "netns", "exec", f"{self._prefix}{number}"]

    def cut(self, one: Iterable[int], other: Iterable[int]) -> None:
        """Nothing passes between these hosts and those."""
        sides = ([*one], [*other])
        for side, far in (sides, sides[::-1]):
            addresses = ", ".join(self.address(number) for number in far)
            for number in side:
                self._nft(number, f"add rule inet cut input ip saddr {{ {addresses} }} drop")

    def heal(self) -> None:
        """Take all cuts away."""
        for number in range(len(self._made) - 1):
            self._nft(number, "flush chain inet cut input")

    def _nft(self, number: int, rules: str) -> None:
        subprocess.run([*self.command(number), "nft", rules], check=True, capture_output=True)

    def close(self) -> None:
        for namespace in self._made:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
