"""Publishes the events of a registry, for asyncio and trio. As `publisher.py`, with waiting in the loop.

Owns: how many publishes of loops wait at once, and which comes next. Loops of several threads may share it.
"""

import os
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from gossipreg.client.events.published import Published
from gossipreg.client.events.publisher import PUBLISHES_AT_ONCE, RegistryClient, wait_after
from gossipreg.client.events.publishing import EventToPublish
from gossipreg.client.loops import LoopEvent, checkpoint, loop_event, sleep, wait_ready
from gossipreg.client.pool import StreamPool
from gossipreg.client.stream import SidecarStream
from gossipreg.errors import Busy, GossipregError, Unreachable


class AsyncPlaces:
    """Room for so many publishes at once; the others wait, the first of them for the next place."""

    def __init__(self, most: int, what: str = "publishes") -> None:
        self._what = what
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(most):
            self._free.put(None)
        self._waiting: deque[LoopEvent] = deque()

    async def take(self, deadline: float) -> None:
        """Raises Unreachable if there is no place by `deadline` (of `monotonic`)."""
        try:
            while not self._took():
                if monotonic() >= deadline:
                    raise Unreachable(
                        f"too many {self._what} of this program wait for the sidecar, and none ended in time"
                    )
                await self._wait(deadline)
        except BaseException:
            self._wake()  # the place that it was woken for is another's
            raise

    async def _wait(self, deadline: float) -> None:
        event = loop_event()
        self._waiting.append(event)
        try:
            if self._free.empty():
                await event.wait(max(0.0, deadline - monotonic()))
        finally:
            with suppress(ValueError):
                self._waiting.remove(event)

    def give_back(self) -> None:
        self._free.put(None)
        self._wake()

    def _took(self) -> bool:
        with suppress(Empty):
            self._free.get_nowait()
            return True
        return False

    def _wake(self) -> None:
        with suppress(IndexError):
            self._waiting.popleft().set()


class AsyncEventPublisher:
    def __init__(self, client: RegistryClient) -> None:
        self._pool = StreamPool(client.open, open_max=PUBLISHES_AT_ONCE, idle_max=PUBLISHES_AT_ONCE)
        self._places: dict[int, AsyncPlaces] = {}
        """By process: a forked child begins anew."""

    async def publish(self, event: EventToPublish) -> Published:
        """As `EventPublisher.publish`. If it is cancelled, the event may be published or not."""
        await checkpoint()
        pid = os.getpid()
        places = self._places.get(pid) or self._places.setdefault(pid, AsyncPlaces(PUBLISHES_AT_ONCE))
        while True:
            await places.take(event.deadline)
            try:
                found = await self._attempt(event)
            finally:
                places.give_back()
            if isinstance(found, Published):
                return found
            await sleep(found)

    async def _attempt(self, event: EventToPublish) -> Published | float:
        """The answer, or how long to wait for the next attempt."""
        try:
            loan = self._pool.lend(monotonic())  # there is a place, so this does not wait
        except (Unreachable, Busy) as error:
            return event.unsent(error, monotonic())
        try:
            return Published.read(
                await call_in_loop(loan.stream, "publish", event.request(monotonic()), event.deadline)
            )
        except GossipregError as error:
            return wait_after(event, error)
        finally:
            loan.end()

    def close(self) -> None:
        """Close the connections; a later publish opens others."""
        self._pool.close()


async def call_in_loop(stream: SidecarStream, method: str, params: dict[str, Any], deadline: float) -> Any:
    """As `SidecarStream.call`."""
    id, request = stream.begin(method, params)
    while request:
        sent = stream.send_some(request)
        request = request[sent:]
        if not sent:
            if monotonic() >= deadline:
                raise Unreachable(f"the sidecar on {stream.path} takes no request")
            await wait_ready(stream.fileno(), deadline - monotonic(), to_write=True)
    while True:
        message = stream.receive(monotonic())
        if message is None:
            if monotonic() >= deadline:
                raise Unreachable(f"the sidecar on {stream.path} did not answer {method} in time")
            await wait_ready(stream.fileno(), deadline - monotonic())
        elif stream.is_answer(id, message):
            return message[3]
