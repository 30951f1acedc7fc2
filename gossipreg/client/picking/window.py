"""How many in the last ten seconds, in buckets of one second."""

BUCKETS = 10
BUCKET_S = 1.0


class RecentCount:
    """A count of the last 10 s. What happened at second 0.9 is forgotten at second 10."""

    __slots__ = ("_buckets", "_second", "total")

    def __init__(self) -> None:
        self._buckets = [0] * BUCKETS
        self._second = 0
        self.total = 0
        """As of the last `advance` or `add`."""

    def add(self, now: float) -> None:
        if now // BUCKET_S != self._second:
            self.advance(now)
        self._buckets[self._second % BUCKETS] += 1
        self.total += 1

    def advance(self, now: float) -> int:
        """Forget what is too old, and return the total."""
        second = int(now // BUCKET_S)
        if second != self._second:
            for passed in range(max(self._second + 1, second - BUCKETS + 1), second + 1):
                self.total -= self._buckets[passed % BUCKETS]
                self._buckets[passed % BUCKETS] = 0
            self._second = second
        return self.total

    def clear(self) -> None:
        self._buckets = [0] * BUCKETS
        self.total = 0
