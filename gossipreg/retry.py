"""The waits between attempts that may fail for long: short at first, then longer each time, up to a bound."""

from gossipreg.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    first_s: float
    longest_s: float
    growth: float = 2.0

    def after(self, wait_s: float) -> float:
        """The wait that follows this one; the first is `first_s`."""
        return min(wait_s * self.growth, self.longest_s)
