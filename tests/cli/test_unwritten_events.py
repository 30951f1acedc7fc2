"""An output that does not take a line: the events that were given are renewed, and none is lost or said twice."""

import threading
from collections import deque
from typing import Any, cast

import pytest

from gossipreg.cli.unwritten_events import UnwrittenEvents
from gossipreg.client.event_stream import EventStream
from gossipreg.errors import Unreachable

BOUND_S = 60


class Stream:
    """A subscription whose events have all come."""

    def __init__(self, *deliveries: int) -> None:
        self.coming = deque(("event", {"delivery": delivery}) for delivery in deliveries)
        self.told: list[tuple[str, Any]] = []
        self.renewed = threading.Semaphore(0)
        self.broken = False

    def next(self, timeout_s: float | None) -> tuple[str, dict[str, Any]] | None:  # noqa: ARG002  # nothing else comes
        if self.broken:
            self.renewed.release()
            raise Unreachable("the sidecar is gone")
        return self.coming.popleft() if self.coming else None

    def tell(self, method: str, *, delivery: Any) -> None:
        self.told.append((method, delivery))
        if method == "renew":
            self.renewed.release()


def held(stream: Stream) -> UnwrittenEvents:
    return UnwrittenEvents(cast("EventStream", stream), 0.01)


def take(events: UnwrittenEvents) -> int:
    found = events.next(0)
    assert found is not None
    return cast("int", found[1]["delivery"])


def test_events_are_renewed_while_a_line_is_not_taken() -> None:
    stream = Stream(1, 2, 3)
    with held(stream) as events:
        with events.written(take(events)):
            for _ in range(3):
                assert stream.renewed.acquire(timeout=BOUND_S)
            assert ("ack", 1) not in stream.told
        assert ("renew", [1, 2, 3]) in stream.told
        assert stream.told[-1] == ("ack", 1)
        for delivery in (2, 3):
            assert take(events) == delivery
            with events.written(delivery):
                pass
        assert events.next(0) is None
    assert [delivery for method, delivery in stream.told if method == "ack"] == [1, 2, 3]


def test_event_is_not_renewed_once_it_is_written() -> None:
    stream = Stream(1, 2)
    with held(stream) as events:
        with events.written(take(events)):
            assert stream.renewed.acquire(timeout=BOUND_S)
        with events.written(take(events)):
            told = len(stream.told)
            while stream.renewed.acquire(blocking=False):
                pass
            assert stream.renewed.acquire(timeout=BOUND_S)
        assert ("renew", [2]) in stream.told[told:]
        assert all(delivery == [2] for method, delivery in stream.told[told:] if method == "renew")


def test_line_that_could_not_be_written_is_not_acknowledged() -> None:
    stream = Stream(1)
    with held(stream) as events:
        with pytest.raises(BrokenPipeError), events.written(take(events)):
            raise BrokenPipeError
        assert not [method for method, _ in stream.told if method == "ack"]


def test_sidecar_that_went_while_a_line_was_written_is_said() -> None:
    stream = Stream(1, 2)
    with held(stream) as events:
        with events.written(take(events)):
            assert stream.renewed.acquire(timeout=BOUND_S)
            stream.broken = True
            while stream.renewed.acquire(blocking=False):
                pass
            assert stream.renewed.acquire(timeout=BOUND_S)
        with pytest.raises(Unreachable):
            events.next(0)
