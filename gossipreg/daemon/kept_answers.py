"""Encoded answers that are kept until they are wrong: an answer is encoded once a change, not once a request.

Owns the bound: 1,024 answers that take no more than 8 MiB together; the ones that were asked for longest ago go first.
Never knows what an answer is: whoever keeps one says with which index of the catalog it is right.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

KEPT_MAX = 1024
"""Most sidecars are asked for a few names."""
KEPT_BYTES = 8 << 20
"""For all answers together. An answer about 1,000 instances takes a quarter of a MiB."""

Asked = TypeVar("Asked", bound=Hashable)


class KeptAnswers(Generic[Asked]):
    __slots__ = ("_kept", "held_bytes")

    def __init__(self) -> None:
        self._kept: dict[Asked, tuple[int, bytes]] = {}
        """Asked for longest ago first."""
        self.held_bytes = 0
        """The size of all kept answers."""

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, asked: Asked, index: int) -> bytes | None:
        """The kept answer, if it is right at this index."""
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
        if len(answer) > KEPT_BYTES:
            return
        self._kept[asked] = (index, answer)
        self.held_bytes += len(answer)
        while len(self._kept) > KEPT_MAX or self.held_bytes > KEPT_BYTES:
            _, dropped = self._kept.pop(next(iter(self._kept)))
            self.held_bytes -= len(dropped)
