"""A network namespace of our own, in which traffic is counted and cut without harm to the machine.

Owns: how a command begins again in such a namespace, and the rules of the firewall in it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable

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
