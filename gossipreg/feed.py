"""A feed hands what happens to everybody who follows it, at once and in the order in which it happens.

A follower that fails has lost track of what it follows. Its failure is reported, ends its block and nobody else's: it
can begin anew with things as they are then.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import trio

What = TypeVar("What")


@dataclass(frozen=True, slots=True, eq=False)
class _Follower(Generic[What]):
    name: str
    take: Callable[[What], None]
    block: trio.CancelScope


class Feed(Generic[What]):
    def __init__(self, bug: Callable[[str, Exception], None]) -> None:
        """`bug` gets the name and the exception of each follower that fails."""
        self._bug = bug
        self._followers: dict[_Follower[What], None] = {}

    @contextmanager
    def following(self, name: str, take: Callable[[What], None]) -> Iterator[None]:
        """Call `take` with what happens while the block runs; it must not block. The block ends early if `take`
        fails."""
        with trio.CancelScope() as block:
            follower = _Follower(name, take, block)
            self._followers[follower] = None
            try:
                yield
            finally:
                self._followers.pop(follower, None)

    def publish(self, what: What) -> None:
        """Hand it to everybody who follows now."""
        for follower in list(self._followers):
            try:
                follower.take(what)
            except Exception as error:
                self._followers.pop(follower, None)
                follower.block.cancel()
                self._bug(follower.name, error)
