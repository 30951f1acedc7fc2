"""The checkers of journals, one invariant a file.

`JournalCheckers` has all of them; `checker.py` defines one.
"""

from simulations.checkers.journals.checker import Disks, JournalChecker
from simulations.checkers.journals.committed import OnlyCommitted
from simulations.checkers.journals.completeness import LeaderCompleteness
from simulations.checkers.journals.fenced import Fenced
from simulations.checkers.journals.joint import JointChanges
from simulations.checkers.journals.large_values import LargeValues
from simulations.checkers.journals.liveness import JournalLiveness, JournalSilence
from simulations.checkers.journals.log_matching import LogMatching
from simulations.checkers.journals.one_leader import OneLeader
from simulations.checkers.journals.state_safety import StateSafety
from simulations.checkers.journals.survives import AckedSurvives
from simulations.journaling.journaling import Journaling

__all__ = ["JournalCheckers"]


class JournalCheckers:
    def __init__(self, journaling: Journaling) -> None:
        """Watch these journals. Create it before the first process starts."""
        disks = Disks()
        self.silence = JournalSilence(journaling)
        self.liveness = JournalLiveness(journaling)
        self.all: list[JournalChecker] = [
            OneLeader(journaling),
            LogMatching(journaling),
            OnlyCommitted(journaling, disks),
            LeaderCompleteness(journaling),
            LargeValues(journaling),
            StateSafety(journaling),
            JointChanges(journaling),
            Fenced(journaling),
            AckedSurvives(journaling),
            self.liveness,
        ]
        journaling.observers.all += [disks, *self.all]

    def at_rest(self) -> None:
        """Check what must hold once faults have ended, and the bound for a leader has passed."""
        for checker in self.all:
            checker.at_rest()

    def settled(self) -> None:
        """Check what must hold once nothing has a timer, and nothing is sent any more."""
        self.at_rest()
        self.liveness.settled()
