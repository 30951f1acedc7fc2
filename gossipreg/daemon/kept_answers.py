"""Encoded answers that are kept until they are wrong: an answer is encoded once a change, not once a request.

Owns the bound, a number of answers and the bytes that they take together: the ones that were asked for longest ago go
first. Never knows what an answer is: whoever keeps one says by a number with which state of things it is right.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

Asked = TypeVar("Asked", bound=Hashable)


class KeptAnswers(Generic[Asked]):
    __slots__ = ("_kept", "_most", "_most_bytes", "held_bytes")

    def __init__(self, most: int, most_bytes: int) -> None:
        """At most `most` answers, which take at most `most_bytes` together."""
        self._most = most
        self._most_bytes = most_bytes
        self._kept: dict[Asked, tuple[int, bytes]] = {}
        """Asked for longest ago first."""
        self.held_bytes = 0
        """The size of all kept answers."""

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, asked: Asked, index: int) -> bytes | None:
        """The kept answer, if it is right at this index. One of another index is dropped."""
        kept = self._kept.pop(asked, None)
        if kept is None:
            return None
        if kept[0] != index:
            self.held_bytes -= len(kept[1])
            return None
        self._kept[asked] = kept
        return kept[1]

    def keep(self, asked: Asked, index: int, answer: bytes) -> None:
        """Keep an answer that is right at this index. One that is too large by itself is not kept."""
        if (before := self._kept.pop(asked, None)) is not None:
            self.held_bytes -= len(before[1])
        if len(answer) > self._most_bytes:
            return
        self._kept[asked] = (index, answer)
        self.held_bytes += len(answer)
        while len(self._kept) > self._most or self.held_bytes > self._most_bytes:
            _, dropped = self._kept.pop(next(iter(self._kept)))
            self.held_bytes -= len(dropped)
