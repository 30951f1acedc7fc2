"""A call whose answer is followed by notifications: the answer, then each notification, for as long as it is open."""

from time import monotonic
from typing import Any, Self

from gossipreg.client.stream import SidecarStream, answered_error


class Followed:
    """Made by `Client.follow`. For one thread."""

    def __init__(self, stream: SidecarStream, method: str, result: Any) -> None:
        self.result = result
        """The answer."""
        self._stream = stream
        self._method = method

    def next_within(self, timeout_s: float | None) -> dict[str, Any] | None:
        """The parameters of the next notification; None if none comes in time. Raises Unreachable when the sidecar
        ends."""
        deadline = None if timeout_s is None else monotonic() + timeout_s
        while (message := self._stream.receive(deadline)) is not None:
            match message:
                case ("notification", self._method, dict(params)):
                    return params
                case ("reply", None, (code, text), _):
                    raise answered_error(code, text)
                case _:
                    continue  # a newer sidecar may have more to say
        return None

    def fileno(self) -> int:
        """The descriptor, for `select`: it is readable when a notification may have come. Call `next_within(0)` until
        it returns None before you wait again."""
        return self._stream.fileno()

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
