"""Real sidecars under faults for as long as asked; at the end nothing may be lost, dead, left over or grown.

    scripts/soak --minutes 30                 16 sealed sidecars with data directories
    scripts/soak --seconds 60 --members 6 --seed 7

Round after round some faults are drawn from the seed and hold for a while, under registrations, updates,
deregistrations and lookups at everyone, and rubbish on the network and on the sockets: SIGKILL, a pause, a leave, a
held leave, a partition (as root, in a network namespace of its own). Then all is mended, the changes stop, and the time
is taken until everyone holds the same table with everyone alive in it. At the end it is held against what clients were
told:

- every table is equal, and is what was acknowledged: nothing lost, nothing that was taken out is there
- nobody was taken for dead that was well, but where the machine itself stood still
- memory, descriptors, threads and tasks of the two members that were never restarted are where they were
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from scripts.soak_world import FREEZE_S, Looker, Stranger, Trouble, World, usage
from scripts.tools.wait import wait_for

CONVERGE_S = 60.0
"""What has not converged by then never will."""
KINDS = ("kill", "kill", "pause", "pause", "leave", "hold", "cut", "cut")
ELDERS = 2
"""So many members are never restarted, so that what grows over time is seen."""
GRACE_S = 8.0
"""Around a trouble: a verdict takes its time, and so does its refutation."""
MEMORY_MAY_GROW_KIB = 6 * 1024
"""Between a sidecar that has just settled and one that has seen everything: counters, fragmentation."""
MAY_GROW = {"memory_kib": MEMORY_MAY_GROW_KIB, "descriptors": 4, "threads": 2, "tasks": 4}


def main() -> int:
    given = _arguments()
    if os.geteuid() == 0 and shutil.which("unshare") and "SOAK_ALONE" not in os.environ:
        command = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "soak", sys.executable, "-m"]
        os.execvpe("unshare", [*command, "scripts.soak", *sys.argv[1:]], {**os.environ, "SOAK_ALONE": "1"})
    print(f"seed {given.seed}, {given.members} members, {given.seconds:g} s", flush=True)
    world = World(given.members, random.Random(given.seed))
    try:
        world.wait_ready()
        if not world.can_cut:
            print("no partitions: they need root and nft")
        return Soak(world, given.seconds).run()
    finally:
        world.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, help="how long (30)")
    parser.add_argument("--seconds", type=float, help="how long, instead")
    parser.add_argument("--members", type=int, default=16, help="how many sidecars (16)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of the faults (random)")
    given = parser.parse_args()
    given.seconds = given.seconds or (given.minutes or 30) * 60
    if given.members < 4:
        parser.error("--members: at least 4")
    return given


class Soak:
    def __init__(self, world: World, seconds: float) -> None:
        self._world = world
        self._rng = world.rng
        self._seconds = seconds
        self._looker = Looker(world)
        self._stranger = Stranger(world)
        self._faults: Counter[str] = Counter()
        self._converged: dict[str, list[float]] = {}
        self._wrong: list[str] = []

    def run(self) -> int:
        world = self._world
        wait_for(world.agrees, CONVERGE_S, 0.2)
        for host in world.hosts:
            for _ in range(10):
                world.change(host)
        wait_for(world.agrees, CONVERGE_S, 0.2)
        before = [usage(host.sidecar) for host in world.hosts[:ELDERS]]
        self._looker.start()
        self._stranger.start()
        start = time.monotonic()
        while time.monotonic() - start < self._seconds and not self._wrong:
            self._round()
            passed = time.monotonic() - start
            if sys.stderr.isatty():
                print(f"\r{passed:5.0f} s  {sum(self._faults.values())} faults", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        self._stranger.stop()
        self._looker.stop()
        self._check_tables()
        dead, excused = self._false_deaths()
        if dead:
            self._wrong += [f"taken for dead though it was well: {one}" for one in dead[:10]]
        after = [usage(host.sidecar) for host in world.hosts[:ELDERS]]
        self._check_usage(before, after)
        self._report(len(dead), excused, before, after)
        return 1 if self._wrong else 0

    # -- a round -----------------------------------------------------------------------------------------------------

    def _round(self) -> None:
        world, rng = self._world, self._rng
        kinds: list[str] = []
        mend: list[tuple[Trouble, Callable[[], None]]] = []
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            begun = self._fault(rng.choice(KINDS))
            if begun is not None:
                kinds.append(begun[0].kind)
                mend.append(begun)
        self._faults.update(kinds)
        end = time.monotonic() + rng.choice((0.5, 2, 5, 10))
        while time.monotonic() < end:
            if world.up:
                world.change(rng.choice(world.up))
            time.sleep(0.02)
        for _, mended in mend:
            mended()
        start = time.monotonic()
        try:
            wait_for(world.agrees, CONVERGE_S, 0.1)
        except AssertionError:
            self._wrong.append(f"not converged within {CONVERGE_S:g} s after {' and '.join(kinds)}: {self._views()}")
        self._converged.setdefault(" + ".join(sorted(set(kinds))) or "nothing", []).append(time.monotonic() - start)
        for trouble, _ in mend:
            trouble.ended = time.time()

    def _fault(self, kind: str) -> tuple[Trouble, Callable[[], None]] | None:
        world = self._world
        young = [host for host in world.hosts[ELDERS:] if host.state == "up"]
        if kind == "cut":
            if not world.can_cut or any(
                trouble.kind == "cut" and trouble.ended > time.time() for trouble in world.troubles
            ):
                return None
            few = min(2, len(world.hosts) // 2)  # who is cut off alone again and again comes back slowly, as it should
            many = self._rng.randrange(few, len(world.hosts) - few + 1)
            return world.cut(self._rng.sample(world.hosts, many)), world.heal
        if len(young) < 2:
            return None
        host = self._rng.choice(young)
        match kind:
            case "kill":
                return world.kill(host), lambda: world.restart(host)
            case "pause":
                return world.pause(host), lambda: world.resume(host)
            case "leave":
                return world.leave(host, 0), lambda: world.restart(host)
            case _:
                return world.leave(host, 30), lambda: world.restart(host)

    def _views(self) -> str:
        return "; ".join(f"{host.name}: {host.sidecar.states()}" for host in self._world.up)[:2000]

    # -- judging -----------------------------------------------------------------------------------------------------

    def _check_tables(self) -> None:
        world = self._world
        tables = {host.name: world.table(host) for host in world.hosts}
        for host in world.hosts:
            if tables[host.name] != tables[world.hosts[0].name]:
                self._wrong.append(f"the table at {host.name} is another one than at {world.hosts[0].name}")
        table = tables[world.hosts[0].name]
        for host in world.hosts:
            for id in {*host.told, *host.doubt}:
                found, told = table.get((host.name, id)), host.told.get(id)
                if found != told and found not in host.doubt.get(id, []):
                    what = "was lost" if found is None else "came back" if told is None else "is an old one"
                    self._wrong.append(f"{host.name}/{id} {what}: {found} is there, {told} was acknowledged")
        known = {(host.name, id) for host in world.hosts for id in {*host.told, *host.doubt}}
        self._wrong += [f"nobody registered {node}/{id}" for node, id in table if (node, id) not in known]

    def _false_deaths(self) -> tuple[list[str], int]:
        """Verdicts of members about others when neither was in trouble; and how many came when the machine stood
        still."""
        found: dict[tuple[str, int], str] = {}
        excused = 0
        for host in self._world.hosts:
            for line in host.sidecar.log.read_text().splitlines():
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if event.get("event") != "member_dead":
                        continue
                    at = _seconds(event["time"])
                    if self._in_trouble(event["name"], at) or self._in_trouble(host.name, at):
                        continue
                    if any(began - 1 <= at <= began + late + GRACE_S for began, late in self._looker.freezes):
                        excused += 1
                    else:
                        found.setdefault((event["name"], int(at) // 10), f"{event['name']} by {host.name}: {line}")
        return list(found.values()), excused

    def _in_trouble(self, name: str, at: float) -> bool:
        return any(
            trouble.began - 1 <= at <= trouble.ended + GRACE_S and (name in trouble.names or trouble.kind == "cut")
            for trouble in self._world.troubles
        )

    def _check_usage(self, before: list[dict[str, int]], after: list[dict[str, int]]) -> None:
        for number, (was, now) in enumerate(zip(before, after, strict=True)):
            for what, most in MAY_GROW.items():
                if now[what] - was[what] > most:
                    self._wrong.append(f"n{number}: {what} grew from {was[what]} to {now[what]}")

    # -- telling -----------------------------------------------------------------------------------------------------

    def _report(self, dead: int, excused: int, before: list[dict[str, int]], after: list[dict[str, int]]) -> None:
        hosts = self._world.hosts
        took = sorted(self._looker.took_s)
        print("faults          ", ", ".join(f"{kind} {count}" for kind, count in sorted(self._faults.items())))
        print("acknowledged    ", sum(host.acknowledged for host in hosts), "registrations and deregistrations")
        print("in doubt        ", sum(len(ids) for host in hosts for ids in host.doubt.values()))
        print("false deaths    ", dead, f"({excused} more within {GRACE_S:g} s of one of "
              f"{len(self._looker.freezes)} times when the machine stood still for over {FREEZE_S:g} s)")  # fmt: skip
        print("rubbish         ", self._stranger.sent, "datagrams")
        print("lookups         ", len(took), f"failed {self._looker.failed}, " + ", ".join(
            f"p{percent:g} {1000 * took[min(len(took) - 1, int(len(took) * percent / 100))]:.2f} ms"
            for percent in (50, 99, 99.9)) if took else "none")  # fmt: skip
        print("converged after, s      median   worst  rounds")
        for kind, times in sorted(self._converged.items()):
            print(f"  {kind:20}  {statistics.median(times):7.2f} {max(times):7.2f} {len(times):7}")
        for number in range(ELDERS):
            print(f"n{number} before, after  ", before[number], after[number])
        for one in self._wrong:
            print("WRONG", one)
        print("all held" if not self._wrong else f"{len(self._wrong)} things did not hold")


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


if __name__ == "__main__":
    sys.exit(main())
