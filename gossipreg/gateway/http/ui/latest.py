"""A value of which readers want the newest alone: a slow reader skips what was replaced before it could read it."""

from typing import Generic, TypeVar

import trio

What = TypeVar("What")


class Latest(Generic[What]):
    def __init__(self) -> None:
        self._number = 0
        """Goes up by one with each value; 0: there is none yet."""
        self._value: What
        self._came = trio.Event()

    def put(self, value: What) -> None:
        self._value = value
        self._number += 1
        self._came.set()
        self._came = trio.Event()

    async def after(self, number: int) -> tuple[int, What]:
        """Wait until there is a value with a higher number than this, and return it with its number."""
        while self._number <= number:
            await self._came.wait()
        return self._number, self._value
