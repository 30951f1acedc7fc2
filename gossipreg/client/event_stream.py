"""One subscription on one connection: the events that come, and what is said of them.

Owns: the connection, and which of its answers are errors. Never knows: handlers, threads, or what an event means;
`gossipreg events subscribe` and the subscriptions of `Registry` stand on it.

Acknowledgements are not waited for: they go out, and the answer to one is read with the events that follow.
"""

from time import monotonic
from typing import Any, Self

from gossipreg.client.stream import SidecarStream, answered_error
from gossipreg.errors import Unreachable


class EventStream:
    """Made by `Client.subscribe`. For one reader; what is said may come from other threads, one at a time."""

    def __init__(
        self, stream: SidecarStream, deadline: float | None, timeout_s: float | None, params: dict[str, Any]
    ) -> None:
        """`timeout_s` is only for the text of the error. Raises Unreachable, and what the sidecar answered with."""
        self._stream = stream
        self._leaving: int | None = None
        self.has_left = False
        """The subscription has ended: no more events come."""
        asked = stream.tell("subscribe", params, deadline)
        while True:
            match stream.receive(deadline):
                case None:
                    raise Unreachable(f"the sidecar on {stream.path} did not answer subscribe within {timeout_s:g} s")
                case ("reply", id, (code, text), _) if id in (asked, None):
                    raise answered_error(code, text)
                case ("reply", id, None, {"subscription": int(number), **more}) if id == asked:
                    self.subscription = number
                    self.not_synced_because = str(more.get("not_synced_because", ""))
                    """Why members that the sidecar does not know yet send it no events; empty: it is synced."""
                    return

    def next(self, timeout_s: float | None) -> tuple[str, dict[str, Any]] | None:
        """The next notification, ("event" or "dropped", what the sidecar says of it); None if none comes in time, or
        once it `has_left`. Raises Unreachable when the connection ends, RequestError where something that was said was
        refused."""
        deadline = None if timeout_s is None else monotonic() + timeout_s
        while (message := self._stream.receive(deadline)) is not None:
            match message:
                case ("notification", "event" | "dropped" as what, dict(params)):
                    return what, params
                case ("reply", id, error, _):
                    self.has_left = self.has_left or (id is not None and id == self._leaving)
                    if error is not None:
                        raise answered_error(*error)
                    if self.has_left:
                        return None
        return None

    def tell(self, method: str, **params: Any) -> None:
        """ack, reject, retry, renew or give_back, without a wait for the answer. Raises Unreachable."""
        self._stream.tell(method, params, None)

    def leave(self) -> None:
        """End the subscription, without a wait for the answer: once `has_left`, no more events come. What came may
        still be settled. Raises Unreachable."""
        if self._leaving is None:
            self._leaving = self._stream.tell("unsubscribe", {"subscription": self.subscription}, None)

    @property
    def path(self) -> str:
        """Of the sidecar's socket."""
        return self._stream.path

    def fileno(self) -> int:
        """The descriptor, for `select`: it is readable when something may have come."""
        return self._stream.fileno()

    def end(self) -> None:
        """End the connection, so that another thread that waits on it sees the end."""
        self._stream.end()

    def finish(self, bound_s: float) -> None:
        """Close it, and wait, at most `bound_s`, until the sidecar has read all that was said."""
        self._stream.finish(monotonic() + bound_s)

    def abandon(self) -> None:
        """As `SidecarStream.abandon`."""
        self._stream.abandon()

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
