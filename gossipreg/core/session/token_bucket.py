"""Token bucket: limits how much is sent, in bursts and on average.

Owns: the tokens that are left. Never knows: what a token stands for; the owner of a bucket says whether it is a byte or
an answer.
"""


class TokenBucket:
    def __init__(self, depth: float, a_second: float, now: float) -> None:
        """The bucket is full at first. It holds at most `depth` tokens, and `a_second` tokens are added each second."""
        self.depth = depth
        self._a_second = a_second
        self._tokens = depth
        self._filled_at = now

    def left(self, now: float) -> float:
        """The tokens that are there now. Below 0 if more was spent than there was."""
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
        """Take these tokens in any case. The debt is at most `depth`, so that it is paid within one filling."""
        self._tokens = max(self.left(now) - tokens, -self.depth)
