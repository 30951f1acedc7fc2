"""The instances that may be picked, with the chance of each: samples of one or two take one binary search each."""

from bisect import bisect_right
from itertools import accumulate

from gossipreg.client.picking.instance_state import InstanceState


class WeightedGroup:
    """Immutable. `u` and `v` below are uniform numbers from 0 to below 1."""

    __slots__ = ("_bounds", "_largest", "_shares", "equal", "members", "total")

    def __init__(self, members: list[InstanceState], shares: list[float]) -> None:
        """`shares` are those of the members, all above 0. This runs for each change of a service that may have 10,000
        instances, so nothing here is a loop in Python."""
        self.members = members
        self._shares = shares
        self._largest = 0.0
        self.equal = not shares or (shares[0] == shares[-1] and shares.count(shares[0]) == len(shares))
        self._bounds = [] if self.equal else list(accumulate(shares))
        self.total = (shares[0] * len(shares) if shares else 0.0) if self.equal else self._bounds[-1]

    @property
    def largest(self) -> float:
        """The largest share. It is looked for when it is first needed: few policies do."""
        self._largest = self._largest or max(self._shares)
        return self._largest

    def one(self, u: float) -> InstanceState:
        """A member, by weight. The group is not empty."""
        members = self.members
        if self.equal:
            return members[int(u * len(members))]
        return members[min(bisect_right(self._bounds, u * self.total), len(members) - 1)]

    def draw(self, u: float, last: int) -> int:
        """The place of a member, by weight. Of equal ones it is another than the one drawn last, if there is another:
        a few draws find most members of a small group. `last`: its place; -1: none was drawn."""
        if not self.equal:
            return min(bisect_right(self._bounds, u * self.total), len(self.members) - 1)
        count = len(self.members)
        return int(u * count) if last < 0 else (last + 1 + int(u * (count - 1))) % count

    def two(self, u: float, v: float) -> tuple[InstanceState, InstanceState]:
        """Two different members: the first by weight, the second by weight among the rest. The group has at least two.

        The second is drawn from the line of all weights without the stretch of the first, so no draw is thrown away.
        """
        members, bounds = self.members, self._bounds
        last = len(members) - 1
        if self.equal:
            i = int(u * (last + 1))
            j = int(v * last)
            return members[i], members[j + (j >= i)]
        i = bisect_right(bounds, u * self.total)
        if i > last:  # rounding
            i = last
        if last == 1:
            return members[i], members[1 - i]
        below = bounds[i - 1] if i else 0.0
        share = bounds[i] - below
        drawn = v * (self.total - share)
        j = bisect_right(bounds, drawn if drawn < below else drawn + share)
        if j == i or j > last:  # rounding
            j = i + 1 if i < last else i - 1
        return members[i], members[j]
