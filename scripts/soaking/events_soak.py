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
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gossipreg.errors import GossipregError
from scripts.soaking.event_notes import read_history
from scripts.soaking.events_judge import EventHistory, LetterPlace, history_faults, repeats_of
from scripts.soaking.events_world import EventMember, EventsWorld, HandlerProcess
from scripts.tools.figures import percentile
from scripts.tools.wait import wait_for

KINDS = (
    "kill", "kill", "pause", "pause", "cut", "cut", "disk full", "handler killed", "handler paused",
)  # fmt: skip
DRAIN_S = 120.0
"""Groups that have not handled everything by then never will."""
PUBLISHED_S = 60.0
"""After the faults, for what has no acknowledgement yet."""
WHOLE_S = 360.0
"""A journal whose voter's disk was lost has all its copies again within this time. A member whose data directory is
gone comes back as another one, so it is replaced as a dead one, after 60 to 90 s; and faults make other copies lag."""
CALM_S = 150.0
"""So long after a deletion, only handlers are hurt until all is whole: else a replacement may never come."""
PROGRESS_S = 30.0
LETTERS = 2_000
MIN_S = 30.0


class EventsSoak:
    def __init__(self, world: EventsWorld, seconds: float, rng: random.Random) -> None:
        self._world = world
        self._seconds = seconds
        self._rng = rng
        self._faults: Counter[str] = Counter()
        self._kinds = [kind for kind in KINDS if self._can(kind)]
        self._deleted_at: float | None = None
        """None: all journals have been whole since the last deletion."""
        self._whole_after: list[float] = []
        self._last_member = ""
        self._wrong: list[str] = []
        self._began = time.monotonic()

    def _can(self, kind: str) -> bool:
        if kind == "cut" and self._world.why_no_cuts:
            return False
        return kind != "disk full" or self._world.can_fill

    def run(self) -> int:
        world = self._world
        world.start_programs()
        self._began = said_at = time.monotonic()
        while self._passed_s() < self._seconds and not self._wrong:
            self._round()
            self._look_at_journals()
            if time.monotonic() - said_at > PROGRESS_S:
                said_at = time.monotonic()
                self._say_progress()
        letters = self._end()
        history = read_history(world.notes)
        history.set_aside, history.faults = letters, sum(self._faults.values())
        self._wrong += history_faults(history)
        self._wrong += [f"a bug: {line}" for line in world.bugs()[:3]]
        self._report(history)
        return 1 if self._wrong else 0

    def _passed_s(self) -> float:
        return time.monotonic() - self._began

    # -- a round -----------------------------------------------------------------------------------------------------

    def _round(self) -> None:
        rng, calm = self._rng, self._deleted_at is not None and time.monotonic() - self._deleted_at > CALM_S
        members = rng.sample(self._world.members, len(self._world.members))
        handlers = rng.sample(self._world.handlers, len(self._world.handlers))
        mend: list[Callable[[], None]] = []
        kinds = [kind for kind in self._kinds if not calm or kind.startswith("handler")]
        for kind in {rng.choice(kinds) for _ in range(rng.choice((1, 1, 1, 2, 3)))}:
            self._faults[kind] += 1
            mend.append(self._fault(kind, members, handlers))
        time.sleep(rng.uniform(1.0, 8.0))
        for mended in mend:
            mended()
        time.sleep(rng.uniform(0.5, 6.0))

    def _fault(self, kind: str, members: list[EventMember], handlers: list[HandlerProcess]) -> Callable[[], None]:
        """Hurt somebody; returns what mends it."""
        world = self._world
        match kind:
            case "cut":
                world.cut(self._rng.sample(world.members, self._rng.randrange(1, len(world.members) // 2 + 1)))
                return world.heal
            case "kill":
                member = members.pop()
                world.kill(member)
                return lambda: world.restart(member)
            case "pause":
                member = members.pop()
                world.pause(member)
                return lambda: world.resume(member)
            case "disk full":
                member = members.pop()
                member.disk.fill()
                return member.disk.empty
            case "handler killed":
                handler = handlers.pop()
                world.kill_handler(handler)
                return lambda: world.restart_handler(handler)
            case _:
                handler = handlers.pop()
                world.hang_handler(handler)
                return lambda: world.resume_handler(handler)

    # -- deleted data directories ------------------------------------------------------------------------------------

    def _look_at_journals(self) -> None:
        """Delete the next data directory, if all journals are whole."""
        why = self._world.why_not_whole()
        if why:
            if self._deleted_at is not None and time.monotonic() - self._deleted_at > WHOLE_S:
                self._wrong.append(f"not whole {WHOLE_S:g} s after the deletion at {self._last_member}: {why}")
            return
        if self._deleted_at is not None:
            self._whole_after.append(time.monotonic() - self._deleted_at)
            self._deleted_at = None
        if self._seconds - self._passed_s() < MIN_S:
            return
        voters = sorted(self._world.voters() - {self._last_member})
        self._last_member = name = self._rng.choice(voters)
        self._delete(next(one for one in self._world.members if one.name == name))

    def _delete(self, member: EventMember) -> None:
        """Under the running sidecar, which is killed later and begins with nothing."""
        self._faults["data deleted"] += 1
        self._deleted_at = time.monotonic()
        self._world.delete_data(member)
        time.sleep(self._rng.uniform(0.0, 6.0))
        self._world.kill(member)
        time.sleep(self._rng.uniform(0.0, 3.0))
        self._world.restart(member)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _end(self) -> frozenset[LetterPlace]:
        """Let everything be published and handled; returns the dead letters, which are handled last."""
        world = self._world
        late = world.end_publishers(PUBLISHED_S)
        if late:
            self._wrong.append(
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
            self._wrong.append(f"{what} did not drain within {DRAIN_S:g} s: {self._left()}")

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
        self._wrong.append(f"{member.name} did not list the dead letters")
        return frozenset()

    # -- what is told ------------------------------------------------------------------------------------------------

    def _say_progress(self) -> None:
        history = read_history(self._world.notes)
        repeats, share = repeats_of(history.handled)
        print(
            f"{self._passed_s():5.0f} s  {len(history.acked)} acknowledged, {len(history.handled)} handled, "
            f"{repeats} repeats ({share:.2%}), {sum(self._faults.values())} faults",
            flush=True,
        )

    def _report(self, history: EventHistory) -> None:
        took_s = [one.took_s for one in history.acked]
        repeats, share = repeats_of(history.handled)
        print("faults          ", ", ".join(f"{kind} {count}" for kind, count in sorted(self._faults.items())))
        print("acknowledged    ", len(history.acked), f"of {len(history.asked)} events,", _seconds(took_s))
        print(
            "other answers   ", ", ".join(f"{code} {count}" for code, count in history.refused.most_common()) or "none"
        )
        print("handled         ", len(history.handled), f"of them {repeats} repeats ({share:.2%})")
        print("dead letters    ", len(history.set_aside))
        print("whole again after", ", ".join(f"{one:.0f} s" for one in self._whole_after) or "nothing was deleted")
        for one in self._wrong:
            print("WRONG", one)
        print("all held" if not self._wrong else f"{len(self._wrong)} things did not hold")


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
