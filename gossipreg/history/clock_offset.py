"""How far the clock of another member is ahead of ours, from the times of a question and its answer, as in NTP
(RFC 5905, section 8). The delay there and back is taken to be equal, so the error is half of it at most.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClockSample:
    """One question and its answer, in wall time: by our clock, and by that of the member."""

    sent: float
    received_there: float
    answered_there: float
    received: float

    @property
    def ahead_s(self) -> float:
        """How far the other clock is ahead."""
        return ((self.received_there - self.sent) + (self.answered_there - self.received)) / 2

    @property
    def uncertain_s(self) -> float:
        """How far `ahead_s` may be wrong: half of the time on the way."""
        return max(0.0, ((self.received - self.sent) - (self.answered_there - self.received_there)) / 2)


def best_sample(samples: Iterable[ClockSample]) -> ClockSample:
    """The one with the shortest way: the others waited for something."""
    return min(samples, key=lambda one: one.uncertain_s)
