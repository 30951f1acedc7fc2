"""What holds of the laboratory's disk whatever faults strike it, in any order."""

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from simulations.disk import NO_SPACE, Backup
from simulations.world import World
from tests.examples import examples


def numbers(transactions: Sequence[object]) -> list[int]:
    return [number for number in transactions if isinstance(number, int)]


class DiskMachine(RuleBasedStateMachine):
    """A process writes 1, 2, 3, ...; `base` is what it found when it opened the file."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(1)
        self.host = self.world.add()
        self.disk = self.world.disk(self.host)
        self.number = 0
        self.opening = 0
        self.hung = False
        self.backups: list[Backup] = []
        self.must: list[int] = []
        """Acknowledged, and not lost with a disk."""
        self.may: list[int] = []
        """The next opening finds a first part of this, with all of `must`."""
        self.lasting = True
        """Whether the next opening finds this file, and not another or an older one."""
        self.begin()

    def begin(self) -> None:
        """Open the file, and check what it holds."""
        found = numbers(self.disk.open())
        assert set(self.must) <= set(found), "what was acknowledged is there"
        assert found == self.may[: len(found)], "in order, and what is missing is the last part"
        self.opening += 1
        self.may = found
        self.submitted: list[int] = []
        self.told: list[int] = []
        self.failing = False

    @rule(many=st.integers(1, 4))
    def write(self, many: int) -> None:
        for _ in range(many):
            self.number += 1
            number, opening = self.number, self.opening
            self.submitted.append(number)
            if self.lasting:
                self.may.append(number)
            self.disk.write(
                number,
                lambda number=number, opening=opening: self.on_done(number, opening),  # type: ignore[misc]
                lambda why, number=number, opening=opening: self.on_failed(number, opening, why),  # type: ignore[misc]
            )

    def on_done(self, number: int, opening: int) -> None:
        assert opening == self.opening, "an earlier opening hears nothing"
        assert not self.failing, "nothing succeeds after a failed fsync"
        self.told.append(number)
        if self.lasting:
            self.must.append(number)

    def on_failed(self, number: int, opening: int, why: str) -> None:
        assert opening == self.opening
        self.told.append(number)
        if why is not NO_SPACE:
            self.failing = True
        elif self.lasting:
            self.may.remove(number)

    @invariant()
    def told_in_order_and_once(self) -> None:
        assert self.told == self.submitted[: len(self.told)]

    @rule(seconds=st.floats(0.0, 0.02))
    def pass_time(self, seconds: float) -> None:
        self.world.run(seconds)

    @precondition(lambda self: not self.hung)
    @rule()
    def everything_is_told_in_time(self) -> None:
        self.world.run(0.02)
        assert self.told == self.submitted

    @rule(how=st.sampled_from(["reopen", "crash", "power"]))
    def start_again(self, how: str) -> None:
        if how == "crash":
            self.disk.end_process()
        elif how == "power":
            self.disk.lose_power()
            assert set(self.must) <= set(self.disk.synced)
        self.world.run(0.02)
        self.begin()
        self.lasting = True

    @rule()
    def fail_fsync(self) -> None:
        self.disk.fail_fsync()

    @rule(full=st.booleans())
    def fill(self, full: bool) -> None:
        self.disk.full = full

    @rule(hung=st.booleans())
    def hang(self, hung: bool) -> None:
        self.hung = hung
        if hung:
            self.disk.hang()
        else:
            self.disk.resume()

    @rule(lose=st.booleans())
    def lose(self, lose: bool) -> None:
        if lose:
            self.disk.lose()
        else:
            self.disk.unlink()
        self.lasting, self.must, self.may = False, [], []

    @precondition(lambda self: self.lasting)
    @rule()
    def back_up(self) -> None:
        self.backups.append(self.disk.backup())

    @precondition(lambda self: self.backups)
    @rule(which=st.integers(0, 99))
    def restore(self, which: int) -> None:
        backup = self.backups[which % len(self.backups)]
        self.disk.restore(backup)
        self.lasting = False
        self.must = numbers(backup.transactions)
        self.may = [*self.must]


DiskMachine.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=40, deadline=None)
TestDiskKeepsWhatItAcknowledged = DiskMachine.TestCase
