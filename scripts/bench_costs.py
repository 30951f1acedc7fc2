"""What a machine, a process and a network namespace say of themselves: how quiet, how much CPU, memory, bytes.

All from /proc, so Linux alone.
"""

import math
import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

MEMBER_MIB = 40
"""A sidecar takes about 22 MiB of its own; the rest is for starting up and for everyone else."""


def machine() -> str:
    """How quiet it is: the load, and for how much of a second a loop that only looks at the clock was run."""
    start = last = time.perf_counter()
    lost_s = 0.0
    while last < start + 1.0:
        now = time.perf_counter()
        lost_s += now - last if now - last > 0.001 else 0.0
        last = now
    got = 1 - lost_s / (last - start)
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, a spinning loop got {got:.0%} of its core"


def members_that_fit() -> int:
    """So many sidecars fit in the memory that is free."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024 // MEMBER_MIB
    return 0


def loopback_counters() -> tuple[int, int]:
    """Bytes and packets over `lo` in this network namespace so far: each packet once, with its IP and UDP headers;
    `lo` has no link headers."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == "lo":
            received = counters.split()
            return int(received[0]), int(received[1])
    return 0, 0


def cpu_s(pid: int) -> float:
    """Seconds that its threads ran, to the nanosecond: `stat` counts in ticks of 10 ms."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def private_dirty_mib(pid: int) -> float:
    """Memory that would be free without this process. Fresh files count until they are written back: `sync` first."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:")) / 1024


def nft(*rules: str) -> bool:
    """Whether it could be done. What it changes is the firewall of this network namespace."""
    try:
        return subprocess.run(["nft", *rules], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def percentile(values: Iterable[float], part: float) -> float | None:
    """Nearest rank: a value that was really measured; None of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else None
