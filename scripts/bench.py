"""Measure real sealed sidecars on loopback: how soon is a change known to the last of the others?

    scripts/bench                         register and kill, at 3, 8 and 16 sidecars, 20 repetitions each
    scripts/bench register --n 16 --reps 50 --json

`register`: from sending `register` to one sidecar's socket until the watch on the last of the others has told it.
`kill`: from SIGKILL of one sidecar until the watch on the last of the others has told that its service is gone, which
each does when it takes the member for dead. A new sidecar takes the killed one's place before the next repetition.
Times are wall-clock on one machine, which the sidecars share with this script and, if it is virtual, with strangers:
read them beside what is printed before and after each row, the load and how much of a core a spinning loop got.
"""

import argparse
import json
import os
import random
import sys
import time

from tests.system.sidecars import Sidecar, Sidecars, Watchers, wait_for

LATE_S = 10.0
"""What has not arrived by then is counted as lost."""


def measure_register(n: int, reps: int) -> list[float | None]:
    with Sidecars() as sidecars:
        members = sidecars.grow(n)
        watchers = Watchers(members)
        worst = [_register_once(random.choice(members), watchers, rep, n) for rep in range(reps)]
        watchers.close()
    return worst


def _register_once(one: Sidecar, watchers: Watchers, rep: int, n: int) -> float | None:
    watchers.drain(0.2 + random.random() * 0.3)
    start = time.perf_counter()
    one.call("register", name="bench", port=1 + rep, id=f"bench-{rep}")
    seen = watchers.arrivals("added", f"bench-{rep}", n, start, LATE_S)
    seen.pop(one.name, None)
    return max(seen.values()) if len(seen) == n - 1 else None


def measure_kill(n: int, reps: int) -> list[float | None]:
    with Sidecars() as sidecars:
        members = sidecars.grow(n)
        worst = []
        for rep in range(reps):
            victim = random.choice(members)
            victim.call("register", name="victim", port=1, id=f"victim-{rep}")
            others = [one for one in members if one is not victim]
            wait_for(lambda others=others: all(one.lookup("victim") for one in others))
            watchers = Watchers(others)
            watchers.drain(random.random())  # any moment within a period
            start = time.perf_counter()
            victim.kill()
            seen = watchers.arrivals("removed", f"victim-{rep}", n - 1, start, LATE_S)
            worst.append(max(seen.values()) if len(seen) == n - 1 else None)
            watchers.close()
            members = [*others, sidecars.start(f"n{n + rep}", "--seed", others[0].gossip).wait_ready()]
            wait_for(lambda members=members: all(_alive(one) == n for one in members))
    return worst


def _alive(one: Sidecar) -> int:
    return sum(state == "alive" for state in one.states().values())


ROWS = {"register": measure_register, "kill": measure_kill}


def machine() -> str:
    """How quiet the machine is: the load, and for how much of a second a loop that only looks at the clock was run."""
    start = last = time.perf_counter()
    lost_s = 0.0
    while last < start + 1.0:
        now = time.perf_counter()
        lost_s += now - last if now - last > 0.001 else 0.0
        last = now
    got = 1 - lost_s / (last - start)
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, a spinning loop got {got:.0%} of its core"


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; default all")
    parser.add_argument("--n", type=int, action="append", help="sidecars; repeatable; default 3, 8 and 16")
    parser.add_argument("--reps", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    options = parser.parse_args()
    if unknown := [row for row in options.rows if row not in ROWS]:
        parser.error(f"no row {unknown[0]!r}: choose from {', '.join(ROWS)}")
    if not options.json:
        print(f"{'row':10} {'n':>3} {'reps':>5} {'p50 ms':>9} {'p99 ms':>9} {'max ms':>9} {'lost':>5}")
    for row in options.rows or list(ROWS):
        for n in options.n or [3, 8, 16]:
            print(f"  {row}, {n} sidecars, {options.reps} repetitions; {machine()}", file=sys.stderr, flush=True)
            report(row, n, ROWS[row](n, options.reps), as_json=options.json)
    print(f"  end; {machine()}", file=sys.stderr)


def report(row: str, n: int, worst: list[float | None], *, as_json: bool) -> None:
    times = [value * 1000 for value in worst if value is not None]
    lost = len(worst) - len(times)
    p50, p99, most = (percentile(times, 0.5), percentile(times, 0.99), max(times)) if times else (0.0, 0.0, 0.0)
    if as_json:
        figures = {"p50_ms": round(p50, 2), "p99_ms": round(p99, 2), "max_ms": round(most, 2)}
        print(json.dumps({"row": row, "n": n, "reps": len(worst), **figures, "lost": lost}), flush=True)
    else:
        print(f"{row:10} {n:3} {len(worst):5} {p50:9.1f} {p99:9.1f} {most:9.1f} {lost:5}", flush=True)


if __name__ == "__main__":
    main()
