"""`scripts/check --client`: programs that use the client as hard as they can. See the map of this folder."""

import sys

from scripts.checks.client.storm import StormSize, storm

SECONDS = 300.0


def check_client(seconds: float, seed: int) -> int:
    """Run both parts and print their tables. The exit code: 1 if something was wrong."""
    part = seconds / SECONDS
    size = StormSize(seconds=seconds, restarts=max(1, round(20 * min(1.0, part))), seed=seed)
    result = storm(size)
    print(result.tables, flush=True)
    for fault in result.faults:
        print(f"FAILED: {fault}")
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(check_client(float(sys.argv[1]), int(sys.argv[2])))
