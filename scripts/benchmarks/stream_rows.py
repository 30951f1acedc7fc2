"""The row `streams`: what a message over a stream to another process costs."""

import json
import subprocess
import sys

from scripts.benchmarks.cluster import Failed
from scripts.benchmarks.run import Figures, Run

BOUND_S = 600.0


def streams(run: Run) -> list[Figures]:
    """An append of 1 KiB over a stream to another process, until its answer is here, with its codec and seals; with
    appends and MB of state a second, the CPU of one end for an append and its answer, and, as root, the bytes that the
    idle stream put on the network in a second."""
    run.progress("streams: two processes")
    command = [sys.executable, "-m", "scripts.benchmarks.stream_ends", str(run.reps), str(int(run.alone))]
    with run.stop.held():
        ended = subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S)
    if ended.returncode:
        raise Failed(f"streams: {ended.stderr.strip().splitlines()[-1]}")
    found = json.loads(ended.stdout)
    names = ("appends_a_second", "mb_a_second", "cpu_us", "idle_bytes_a_second")
    return [Figures("streams", 2, found["ms"], also={name: found[name] for name in names})]
