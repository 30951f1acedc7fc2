"""Rounds of faults at the members of a `MembersWorld`, and at the programs beside them.

Some faults are drawn from the seed and hold for a while: SIGKILL, a pause, a partition, a full disk, and what the soak
does to its programs. And one by one, whenever all journals are whole, the data directory of a voter is deleted under
its running sidecar.

Owns which faults come when, and how soon all is whole again. Never knows: what must hold at the end.
"""

import random
import time
from collections import Counter
from collections.abc import Callable

from scripts.soaking.members_world import HostedMember, MembersWorld

MEMBER_KINDS = ("kill", "kill", "pause", "pause", "cut", "cut", "disk full")
WHOLE_S = 360.0
"""A journal whose voter lost its disk has all its copies again within this time. A member whose data directory is gone
comes back as another one, so it is replaced as a dead one, after 60 to 90 s; and faults make other copies lag."""
CALM_S = 150.0
"""So long after a deletion, only programs are hurt until all is whole: else a replacement may never come."""
PROGRESS_S = 30.0
MIN_S = 30.0


class FaultRounds:
    program_kinds: tuple[str, ...] = ()
    """What `hurt_program` can do."""

    def __init__(self, world: MembersWorld, seconds: float, rng: random.Random) -> None:
        self._members_world = world
        self._seconds = seconds
        self.rng = rng
        self.faults: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.whole_after: list[float] = []
        self._kinds = [kind for kind in (*MEMBER_KINDS, *self.program_kinds) if self._can(kind)]
        self._deleted_at: float | None = None
        """None: all journals have been whole since the last deletion."""
        self._last_member = ""
        self._began = time.monotonic()

    def hurt_program(self, kind: str) -> Callable[[], None]:
        """Hurt a program; returns what mends it."""
        raise NotImplementedError

    def say_progress(self) -> None:
        raise NotImplementedError

    def _can(self, kind: str) -> bool:
        if kind == "cut" and self._members_world.why_no_cuts:
            return False
        return kind != "disk full" or self._members_world.can_fill

    @property
    def passed_s(self) -> float:
        return time.monotonic() - self._began

    def run_rounds(self) -> None:
        """Until the time is over, or something is wrong."""
        self._began = said_at = time.monotonic()
        while self.passed_s < self._seconds and not self.wrong:
            self._round()
            self._look_at_journals()
            if time.monotonic() - said_at > PROGRESS_S:
                said_at = time.monotonic()
                self.say_progress()

    # -- a round -----------------------------------------------------------------------------------------------------

    def _round(self) -> None:
        rng, calm = self.rng, self._deleted_at is not None and time.monotonic() - self._deleted_at > CALM_S
        members = rng.sample(self._members_world.members, len(self._members_world.members))
        mend: list[Callable[[], None]] = []
        kinds = [kind for kind in self._kinds if not calm or kind in self.program_kinds]
        for kind in {rng.choice(kinds) for _ in range(rng.choice((1, 1, 1, 2, 3)))}:
            self.faults[kind] += 1
            mend.append(self._fault(kind, members))
        time.sleep(rng.uniform(1.0, 8.0))
        for mended in mend:
            mended()
        time.sleep(rng.uniform(0.5, 6.0))

    def _fault(self, kind: str, members: list[HostedMember]) -> Callable[[], None]:
        """Hurt somebody; returns what mends it."""
        world = self._members_world
        match kind:
            case "cut":
                world.cut(self.rng.sample(world.members, self.rng.randrange(1, len(world.members) // 2 + 1)))
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
            case _:
                return self.hurt_program(kind)

    # -- deleted data directories ------------------------------------------------------------------------------------

    def _look_at_journals(self) -> None:
        """Delete the next data directory, if all journals are whole."""
        why = self._members_world.why_not_whole()
        if why:
            if self._deleted_at is not None and time.monotonic() - self._deleted_at > WHOLE_S:
                self.wrong.append(f"not whole {WHOLE_S:g} s after the deletion at {self._last_member}: {why}")
            return
        if self._deleted_at is not None:
            self.whole_after.append(time.monotonic() - self._deleted_at)
            self._deleted_at = None
        if self._seconds - self.passed_s < MIN_S:
            return
        voters = sorted(self._members_world.voters() - {self._last_member})
        self._last_member = name = self.rng.choice(voters)
        self._delete(next(one for one in self._members_world.members if one.name == name))

    def _delete(self, member: HostedMember) -> None:
        """Under the running sidecar, which is killed later and begins with nothing."""
        self.faults["data deleted"] += 1
        self._deleted_at = time.monotonic()
        self._members_world.delete_data(member)
        time.sleep(self.rng.uniform(0.0, 6.0))
        self._members_world.kill(member)
        time.sleep(self.rng.uniform(0.0, 3.0))
        self._members_world.restart(member)

    # -- what is told ------------------------------------------------------------------------------------------------

    def report_faults(self) -> None:
        print("faults          ", ", ".join(f"{kind} {count}" for kind, count in sorted(self.faults.items())))

    def report_end(self) -> int:
        """The exit code."""
        print("whole again after", ", ".join(f"{one:.0f} s" for one in self.whole_after) or "nothing was deleted")
        for one in self.wrong:
            print("WRONG", one)
        print("all held" if not self.wrong else f"{len(self.wrong)} things did not hold")
        return 1 if self.wrong else 0
