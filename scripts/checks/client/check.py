"""`scripts/check --client`: programs that use the client as hard as they can. See the map of this folder."""

from scripts.checks.client.outages import OutageSize, outages
from scripts.checks.client.storm import StormSize, storm

SECONDS = 300.0
"""Of the first part; the second takes half of it more."""


def check_client(seconds: float, seed: int) -> int:
    """Run both parts and print their tables. The exit code: 1 if something was wrong."""
    part = min(1.0, seconds / SECONDS)
    first = storm(StormSize(seconds=seconds, restarts=max(1, round(20 * part)), seed=seed))
    print(first.tables, flush=True)
    number = max(4, round(24 * part))
    second = outages(OutageSize(quiet_s=30 * part, outages=number, seconds=120 * part, seed=seed, judge_p99=True))
    print(second.tables, flush=True)
    faults = first.faults + second.faults
    for fault in faults:
        print(f"FAILED: {fault}")
    return 1 if faults else 0
