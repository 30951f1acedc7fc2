"""The checkers, one invariant a file: each observes the members from outside while they run.

`Checkers` has all that apply to a world; `checker.py` defines one.
"""

from simulations.checkers.as_written import AsWritten
from simulations.checkers.bounded import Bounded
from simulations.checkers.checker import Broken, Checker
from simulations.checkers.comes_back import ComesBack
from simulations.checkers.equal_tables import EqualTables, bound_s
from simulations.checkers.forgotten import Forgotten
from simulations.checkers.ledger import Ledger
from simulations.checkers.owners_bytes import OwnersBytes
from simulations.checkers.paused import Paused
from simulations.checkers.rises import Rises
from simulations.checkers.shown_members import ShownMembers
from simulations.checkers.synced import SyncedHoldsAll
from simulations.checkers.taken_for_dead import TakenForDead
from simulations.checkers.traffic import Traffic
from simulations.world import World

__all__ = ["Broken", "Checker", "Checkers", "bound_s"]

TICKS_A_PERIOD = 4


class Checkers:
    """All checkers of a world. Create it before the first member starts."""

    def __init__(self, world: World, *, ours: bool = True) -> None:
        """`ours`: our own detector runs; else only the invariants that SWIM and Lifeguard keep too are checked."""
        self.world = world
        ledger = Ledger()
        world.watch(ledger)
        self.taken_for_dead = TakenForDead(world)
        self.traffic = Traffic(world)
        every: list[Checker] = [
            Rises(world),
            OwnersBytes(world, ledger),
            AsWritten(world, ledger),
            ComesBack(world, ledger),
            Forgotten(world),
            self.taken_for_dead,
            Paused(world),
            Bounded(world),
            self.traffic,
            EqualTables(world),
            SyncedHoldsAll(world),
            ShownMembers(world),
        ]
        self.all = [checker for checker in every if ours or checker.also_for_swim]
        for checker in self.all:
            world.watch(checker)
        self._tick()

    def _tick(self) -> None:
        for checker in self.all:
            checker.tick()
        self.world.after(self.world.config.period_s / TICKS_A_PERIOD, self._tick)

    def at_rest(self) -> None:
        for checker in self.all:
            checker.at_rest()
