"""`scripts/soak --events`: events between real sidecars under faults; at the end nothing may be lost or out of order.

Six sidecars, each a host of its own with a disk of its own; publishers beside four of them, 50 events a second each;
three groups of two handlers. Round after round some faults are drawn from the seed and hold for a while: SIGKILL, a
pause, a partition, a full disk, killed and paused handlers. And one by one, whenever all journals are whole, the data
directory of a sidecar that votes is deleted under it. Then all is mended, the publishers publish until everything is
acknowledged, the groups drain, and what the programs wrote down is held against the promise of docs/events.md.
"""

import random
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gossipreg.errors import GossipregError
from scripts.soaking.event_notes import read_history
from scripts.soaking.events_judge import EventHistory, LetterPlace, history_faults, repeats_of
from scripts.soaking.events_world import EventsWorld
from scripts.soaking.fault_rounds import FaultRounds
from scripts.tools.figures import percentile
from scripts.tools.wait import wait_for

DRAIN_S = 120.0
"""Groups that have not handled everything by then never will."""
PUBLISHED_S = 60.0
"""After the faults, for what has no acknowledgement yet."""
LETTERS = 2_000


class EventsSoak(FaultRounds):
    program_kinds = ("handler killed", "handler paused")

    def __init__(self, world: EventsWorld, seconds: float, rng: random.Random) -> None:
        super().__init__(world, seconds, rng)
        self._world = world

    def run(self) -> int:
        world = self._world
        world.start_programs()
        self.run_rounds()
        letters = self._end()
        history = read_history(world.notes)
        history.set_aside, history.faults = letters, sum(self.faults.values())
        self.wrong += history_faults(history)
        self.wrong += [f"a bug: {line}" for line in world.bugs()[:3]]
        self._report(history)
        return self.report_end()

    def hurt_program(self, kind: str) -> Callable[[], None]:
        world, handler = self._world, self.rng.choice(self._world.handlers)
        if kind == "handler killed":
            world.kill_handler(handler)
            return lambda: world.restart_handler(handler)
        world.hang_handler(handler)
        return lambda: world.resume_handler(handler)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _end(self) -> frozenset[LetterPlace]:
        """Let everything be published and handled; returns the dead letters, which are handled last."""
        world = self._world
        late = world.end_publishers(PUBLISHED_S)
        if late:
            self.wrong.append(
                f"{late} publishers had events without an acknowledgement {PUBLISHED_S:g} s after the end"
            )
        self._drain("the groups")
        letters = self._retry_letters()
        if letters:
            self._drain("the dead letters")
        world.end_handlers()
        return letters

    def _drain(self, what: str) -> None:
        try:
            wait_for(lambda: not self._left(), DRAIN_S, 0.5)
        except AssertionError:
            self.wrong.append(f"{what} did not drain within {DRAIN_S:g} s: {self._left()}")

    def _left(self) -> str:
        """What waits, or cannot be known to wait: nobody tells of a journal that nobody leads."""
        try:
            return self._world.waiting() or self._world.unled()
        except GossipregError as error:
            return str(error)

    def _retry_letters(self) -> frozenset[LetterPlace]:
        member = self._world.members[0]
        with suppress(GossipregError):
            letters = member.ask("events-dead", limit=LETTERS)["letters"]
            for group in sorted({one["group"] for one in letters}):
                member.ask("events-retry", group=group)
            return frozenset((one["group"], one["journal"], one["index"]) for one in letters)
        self.wrong.append(f"{member.name} did not list the dead letters")
        return frozenset()

    # -- what is told ------------------------------------------------------------------------------------------------

    def say_progress(self) -> None:
        history = read_history(self._world.notes)
        repeats, share = repeats_of(history.handled)
        print(
            f"{self.passed_s:5.0f} s  {len(history.acked)} acknowledged, {len(history.handled)} handled, "
            f"{repeats} repeats ({share:.2%}), {sum(self.faults.values())} faults",
            flush=True,
        )

    def _report(self, history: EventHistory) -> None:
        took_s = [one.took_s for one in history.acked]
        repeats, share = repeats_of(history.handled)
        self.report_faults()
        print("acknowledged    ", len(history.acked), f"of {len(history.asked)} events,", _seconds(took_s))
        print(
            "other answers   ", ", ".join(f"{code} {count}" for code, count in history.refused.most_common()) or "none"
        )
        print("handled         ", len(history.handled), f"of them {repeats} repeats ({share:.2%})")
        print("dead letters    ", len(history.set_aside))


def _seconds(took_s: list[float]) -> str:
    return ", ".join(f"p{100 * part:g} {percentile(took_s, part):.3f} s" for part in (0.5, 0.99, 1.0) if took_s)


def soak_events(seconds: float, seed: int, keep: Path | None) -> int:
    """The exit code. `keep`: a new folder for all logs and notes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left behind
    rng = random.Random(seed)
    world = EventsWorld(rng)
    try:
        for member in world.members:
            member.sidecar.wait_ready()
        if world.why_no_cuts:
            print(f"no partitions: {world.why_no_cuts}")
        if not world.can_fill:
            print("no full disks: small disks need root")
        return EventsSoak(world, seconds, rng).run()
    finally:
        if keep is not None:
            shutil.copytree(world.folder, keep, ignore=shutil.ignore_patterns("*.sock", "disk*", "key"))
        world.close()
