"""Measure sealed sidecars: how soon is a change known to the last of the others?

    scripts/bench                         register and kill, at 3, 8 and 16 sidecars, 20 repetitions each
    scripts/bench register --n 16 --reps 50 --json
    scripts/bench --virtual               the same protocol in virtual time, on links of 0.2 to 0.5 ms

`register`: from sending `register` to one sidecar's socket until the watch on the last of the others has told it.
`kill`: from SIGKILL of one sidecar until the watch on the last of the others has told that its service is gone, which
each does when it takes the member for dead. A new sidecar takes the killed one's place before the next repetition.

Times are wall-clock on one machine, which the sidecars share with this script and, if it is virtual, with strangers:
read them beside what is printed before each row, the load and how much of a core a spinning loop got, and beside the
column `here`: the median until the registering sidecar's own watch told it, which takes no network at all. In virtual
time nothing takes time but the links, so it shows what the protocol does and is the same on every machine.
"""

import argparse
import json
import os
import random
import sys
import time

from tests.core.cluster import Cluster
from tests.system.sidecars import Sidecar, Sidecars, Watchers, wait_for

LATE_S = 10.0
"""What has not arrived by then is counted as lost."""


Times = list[float | None]
"""Seconds until the last of the others knew, for each repetition; None where somebody did not in time."""


def measure_register(n: int, reps: int) -> tuple[Times, Times]:
    """Times at the last of the others, and at the registering sidecar itself."""
    with Sidecars() as sidecars:
        members = sidecars.grow(n)
        watchers = Watchers(members)
        both = [_register_once(random.choice(members), watchers, rep, n) for rep in range(reps)]
        watchers.close()
    return [last for last, _ in both], [here for _, here in both]


def _register_once(one: Sidecar, watchers: Watchers, rep: int, n: int) -> tuple[float | None, float | None]:
    watchers.drain(0.2 + random.random() * 0.3)
    start = time.perf_counter()
    one.call("register", name="bench", port=1 + rep, id=f"bench-{rep}")
    seen = watchers.arrivals("added", f"bench-{rep}", n, start, LATE_S)
    here = seen.pop(one.name, None)
    return max(seen.values()) if len(seen) == n - 1 else None, here


def measure_kill(n: int, reps: int) -> tuple[Times, Times]:
    with Sidecars() as sidecars:
        members = sidecars.grow(n)
        worst: Times = []
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
    return worst, []


def virtual_register(n: int, reps: int) -> tuple[Times, Times]:
    cluster = Cluster(seed=n)
    hosts = cluster.grow(n)
    times: Times = []
    for rep in range(reps):
        cluster.run(0.2 + cluster.rng.random())
        start, name = cluster.now, f"bench-{rep}"
        cluster.register(cluster.rng.choice(hosts), name)
        known = cluster.until(lambda name=name: all(cluster.found(host, name) for host in hosts), LATE_S, 0.0001)
        times.append(cluster.now - start if known else None)
    return times, []


def virtual_kill(n: int, reps: int) -> tuple[Times, Times]:
    cluster = Cluster(seed=n)
    hosts = cluster.grow(n)
    times: Times = []
    for rep in range(reps):
        victim = cluster.rng.choice(hosts)
        cluster.register(victim, f"victim-{rep}")
        cluster.run(1 + cluster.rng.random())
        start = cluster.now
        cluster.crash(victim)
        hosts.remove(victim)
        gone = lambda name=f"victim-{rep}": not any(cluster.found(host, name) for host in hosts)  # noqa: E731
        times.append(cluster.now - start if cluster.until(gone, LATE_S) else None)
        hosts.append(cluster.join(hosts[0]))
        cluster.run(2)
    return times, []


def _alive(one: Sidecar) -> int:
    return sum(state == "alive" for state in one.states().values())


ROWS = {"register": (measure_register, virtual_register), "kill": (measure_kill, virtual_kill)}


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


def percentile(values: list[float], part: float) -> float | None:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))], 2) if ordered else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; default all")
    parser.add_argument("--n", type=int, action="append", help="sidecars; repeatable; default 3, 8 and 16")
    parser.add_argument("--reps", type=int, default=20)
    parser.add_argument("--virtual", action="store_true", help="whole clusters in virtual time instead of processes")
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    options = parser.parse_args()
    if unknown := [row for row in options.rows if row not in ROWS]:
        parser.error(f"no row {unknown[0]!r}: choose from {', '.join(ROWS)}")
    if not options.json:
        print(f"{'row':10} {'n':>3} {'reps':>5} {'p10 ms':>9} {'p50 ms':>9} {'max ms':>9} {'lost':>5} {'here p50':>9}")
    for row in options.rows or list(ROWS):
        for n in options.n or [3, 8, 16]:
            if not options.virtual:
                print(f"  {row}, {n} sidecars, {options.reps} repetitions; {machine()}", file=sys.stderr, flush=True)
            report(row, n, *ROWS[row][options.virtual](n, options.reps), as_json=options.json)


def report(row: str, n: int, worst: Times, here: Times, *, as_json: bool) -> None:
    times = [value * 1000 for value in worst if value is not None]
    figures: dict[str, float | None] = {
        "p10_ms": percentile(times, 0.1), "p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99),
        "max_ms": percentile(times, 1.0), "lost": len(worst) - len(times),
        "here_p50_ms": percentile([value * 1000 for value in here if value is not None], 0.5),
    }  # fmt: skip
    if as_json:
        print(json.dumps({"row": row, "n": n, "reps": len(worst), **figures}), flush=True)
        return
    shown = [figures[name] for name in ("p10_ms", "p50_ms", "max_ms")]
    columns = " ".join(
        f"{'-' if value is None else format(value, '.1f'):>9}" for value in (*shown, figures["here_p50_ms"])
    )
    first, last = columns[:29], columns[30:]
    print(f"{row:10} {n:3} {len(worst):5} {first} {figures['lost']:5} {last}", flush=True)


if __name__ == "__main__":
    main()
