"""`scripts/check --flood RATE`: how long lookups take, and what memory a sidecar has, under hostile datagrams."""

import subprocess
import sys
import time

from gossipreg.client.connection import Client
from scripts.tools.figures import percentile
from scripts.tools.machine import usage
from scripts.tools.sidecars import Sidecar, Sidecars, timed_lookup_ms
from scripts.tools.wait import wait_for


def flood(rate: float, seconds: float) -> int:
    """Print how long lookups at one of three sidecars take, and what memory it has, without and with a flood."""

    with Sidecars() as sidecars:
        first, second, _ = sidecars.grow(3)
        second.call("register", name="web", port=80)
        wait_for(lambda: len(first.lookup("web")) == 1)
        _tell("quiet", first, seconds)
        command = [sys.executable, "-m", "tests.system.flood", first.gossip.rpartition(":")[2]]
        with subprocess.Popen([*command, str(sidecars.key_file), str(rate), str(seconds + 2)], text=True) as flooding:
            time.sleep(1)  # until it is prepared
            _tell("flood", first, seconds)
            flooding.wait()
        print("members", first.states())
    return 0


def _tell(name: str, sidecar: Sidecar, seconds: float) -> None:
    took, end = [], time.perf_counter() + seconds
    with Client(str(sidecar.socket)) as client:
        while time.perf_counter() < end:
            took.append(timed_lookup_ms(client, "web"))
            time.sleep(0.001)
    p50, p99, p999 = (percentile(took, part) for part in (0.5, 0.99, 0.999))
    print(
        f"{name}: lookup p50 {p50:.2f} ms, p99 {p99:.2f}, p99.9 {p999:.2f}, max {max(took):.2f}, n {len(took)}; "
        f"private memory {usage(sidecar)['memory_kib']} KiB",
        flush=True,
    )
