"""Real sidecars under faults for as long as asked; at the end nothing may be lost, dead, left over or grown.

    scripts/soak --minutes 30                 16 sealed sidecars with data directories
    scripts/soak --seconds 60 --members 6 --seed 7
    scripts/soak --events --minutes 20        events between 6 sidecars: see events_soak.py
    scripts/soak --sagas --minutes 20         sagas between 6 sidecars: see sagas_soak.py

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
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from scripts.soaking.events_soak import soak_events
from scripts.soaking.judge import GRACE_S, false_deaths, growth_faults, table_faults
from scripts.soaking.looker import FREEZE_S, Looker
from scripts.soaking.sagas_soak import soak_sagas
from scripts.soaking.stranger import Stranger
from scripts.soaking.world import Trouble, World
from scripts.tools.figures import percentile
from scripts.tools.machine import usage
from scripts.tools.network import go_alone
from scripts.tools.wait import wait_for

CONVERGE_S = 60.0
"""Tables that are not equal by then never will be."""
KINDS = ("kill", "kill", "pause", "pause", "leave", "hold", "cut", "cut")
ELDERS = 2
"""The number of members that are never restarted, so that growth over time shows."""


def main() -> int:
    given = _arguments()
    if given.events:
        print(f"seed {given.seed}, events, {given.seconds:g} s", flush=True)
        return soak_events(given.seconds, given.seed, given.keep)
    if given.sagas:
        print(f"seed {given.seed}, sagas, {given.seconds:g} s", flush=True)
        return soak_sagas(given.seconds, given.seed, given.keep)
    go_alone("scripts.soaking.soak", sys.argv[1:])
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
    parser.add_argument("--events", action="store_true", help="publish and handle events, at 6 members")
    parser.add_argument("--sagas", action="store_true", help="take sagas over services with ledgers, at 6 members")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="with --events and --sagas: leave logs and notes in a new folder"
    )
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
        self._wrong += table_faults(world)
        dead, excused = false_deaths(world, self._looker.freezes)
        self._wrong += [f"taken for dead though it was well: {one}" for one in dead[:10]]
        after = [usage(host.sidecar) for host in world.hosts[:ELDERS]]
        self._wrong += growth_faults(before, after)
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
            few = min(2, len(world.hosts) // 2)  # flap damping delays a member that is cut off alone repeatedly
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

    # -- the report --------------------------------------------------------------------------------------------------

    def _report(self, dead: int, excused: int, before: list[dict[str, int]], after: list[dict[str, int]]) -> None:
        hosts, freezes = self._world.hosts, len(self._looker.freezes)
        took = list(self._looker.took_ms)
        parts = (
            [f"p{100 * part:g} {percentile(took, part):.2f} ms" for part in (0.5, 0.99, 0.999)] if took else ["none"]
        )
        print("faults          ", ", ".join(f"{kind} {count}" for kind, count in sorted(self._faults.items())))
        print("acknowledged    ", sum(host.acknowledged for host in hosts), "registrations and deregistrations")
        print("in doubt        ", sum(len(ids) for host in hosts for ids in host.unanswered.values()))
        print(
            f"false deaths     {dead} ({excused} more within {GRACE_S:g} s of one of {freezes} times when the machine "
            f"stood still for over {FREEZE_S:g} s)"
        )
        print("rubbish         ", self._stranger.sent, "datagrams")
        print("lookups         ", len(took), f"failed {self._looker.failed}, " + ", ".join(parts or ["none"]))
        print("converged after, s      median   worst  rounds")
        for kind, times in sorted(self._converged.items()):
            print(f"  {kind:20}  {statistics.median(times):7.2f} {max(times):7.2f} {len(times):7}")
        for number in range(ELDERS):
            print(f"n{number} before, after  ", before[number], after[number])
        for one in self._wrong:
            print("WRONG", one)
        print("all held" if not self._wrong else f"{len(self._wrong)} things did not hold")


if __name__ == "__main__":
    sys.exit(main())
