"""A feed hands what happens to everybody who follows it, at once and in the order in which it happens.

The failure of one follower is reported as a bug and keeps nothing from the others.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import trio

from gossipreg.quick_dataclass import dataclass

What = TypeVar("What")


@dataclass(frozen=True, slots=True, eq=False)
class _Follower(Generic[What]):
    name: str
    take: Callable[[What], None]
    failed: Callable[[], None]


class Feed(Generic[What]):
    def __init__(self, bug: Callable[[str, Exception], None]) -> None:
        """`bug` gets the name of a follower that fails, and the exception."""
        self._bug = bug
        self._followers: dict[_Follower[What], None] = {}
        self._waiting: deque[What] = deque()
        self._publishing = False

    def follow(self, name: str, take: Callable[[What], None]) -> Callable[[], None]:
        """Call `take` with whatever happens from now on. It must not block. Returns what ends that."""
        follower = _Follower(name, take, lambda: None)
        self._followers[follower] = None
        return lambda: self._forget(follower)

    def _forget(self, follower: _Follower[What]) -> None:
        self._followers.pop(follower, None)

    @contextmanager
    def following(self, name: str, take: Callable[[What], None]) -> Iterator[None]:
        """Call `take` with what happens while the block runs. The block ends early if `take` fails: it has lost track
        of what it follows, and can begin anew with things as they are then."""
        with trio.CancelScope() as block:
            follower = _Follower(name, take, block.cancel)
            self._followers[follower] = None
            try:
                yield
            finally:
                del self._followers[follower]

    def publish(self, what: What) -> None:
        """Hand it to everybody who follows now. What a follower publishes meanwhile comes after it, for all."""
        self._waiting.append(what)
        if self._publishing:
            return
        self._publishing = True
        try:
            while self._waiting:
                self._hand_on(self._waiting.popleft())
        finally:
            self._publishing = False

    def _hand_on(self, what: What) -> None:
        for follower in list(self._followers):
            try:
                follower.take(what)
            except Exception as error:
                follower.failed()
                self._bug(follower.name, error)
