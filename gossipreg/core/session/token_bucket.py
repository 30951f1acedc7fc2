"""Token bucket: limit a rate, and the burst above it.

Owns: the tokens that are left. Never knows: what a token is; the caller decides whether it is a byte or an answer.
"""


class TokenBucket:
    __slots__ = ("_a_second", "_filled_at", "_tokens", "depth")

    def __init__(self, depth: float, a_second: float, now: float) -> None:
        """Make a full bucket. It holds at most `depth` tokens, and `a_second` tokens are added each second."""
        self.depth = depth
        self._a_second = a_second
        self._tokens = depth
        self._filled_at = now

    def left(self, now: float) -> float:
        """The number of tokens in the bucket; below 0 after it was overdrawn."""
        self._tokens = min(self.depth, self._tokens + max(0.0, now - self._filled_at) * self._a_second)
        self._filled_at = now
        return self._tokens

    def take(self, now: float) -> bool:
        """Take one token. False if there is none; then nothing changed."""
        if self.left(now) < 1:
            return False
        self._tokens -= 1
        return True

    def spend(self, tokens: float, now: float) -> None:
        """Take these tokens even if there are fewer. The bucket is overdrawn by `depth` at most, so that it
        holds tokens again after `depth / a_second` seconds."""
        self._tokens = max(self.left(now) - tokens, -self.depth)
