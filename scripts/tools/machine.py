"""The load of this machine, and the CPU time, memory and traffic of processes, from /proc.

Owns: which file of /proc holds a figure, and its unit. Linux alone.
"""

import os
import time
from pathlib import Path

from scripts.tools.sidecars import Sidecar


def quietness() -> str:
    """How quiet the machine is: the load, and for how much of a second a loop that only looks at the clock was run."""
    start = last = time.perf_counter()
    lost_s = 0.0
    while last < start + 1.0:
        now = time.perf_counter()
        lost_s += now - last if now - last > 0.001 else 0.0
        last = now
    got = 1 - lost_s / (last - start)
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, a spinning loop got {got:.0%} of its core"


def free_memory_mib() -> int:
    """Memory that new processes can have."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
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
    """Seconds that the threads of a process ran, to the nanosecond: `stat` counts in ticks of 10 ms."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def private_dirty_kib(pid: int) -> int:
    """Memory that would be free without this process. Fresh files count until they are written back: `sync` first."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))


def anonymous_kib(pid: int) -> int:
    """Memory that no file backs and that nobody shares unwritten: files that were just written do not count."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def usage(sidecar: Sidecar) -> dict[str, int]:
    """What a sidecar takes: private memory in KiB, descriptors, threads, and trio's tasks."""
    pid = sidecar.process.pid
    return {
        "memory_kib": private_dirty_kib(pid),
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
        "tasks": sidecar.call("info")["counters"]["tasks"],
    }
