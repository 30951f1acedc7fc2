"""A call whose answer is followed by notifications: the answer, then each notification, for as long as it is open."""

from collections.abc import Iterator
from typing import Any, Self

from gossipreg.client.stream import SidecarStream, answered_error


class Followed:
    """Made by `Client.follow`. An iterator of the parameters of each notification, for one thread. Raises Unreachable
    when the sidecar ends."""

    def __init__(self, stream: SidecarStream, method: str, result: Any) -> None:
        self.result = result
        """The answer."""
        self._stream = stream
        self._method = method

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (message := self._stream.receive(None)) is not None:
            match message:
                case ("notification", self._method, dict(params)):
                    yield params
                case ("reply", None, (code, text), _):
                    raise answered_error(code, text)
                case _:
                    continue  # a newer sidecar may have more to say

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
