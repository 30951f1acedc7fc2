"""The last operations, with the user and the process that asked for each: for `info` and the log.

Owns the list that `info` shows. The code that carries out an operation writes the log line, with the fields that
`record` returns, so that each operation is one line.
"""

from collections import deque
from collections.abc import Callable

from gossipreg.callers import Caller
from gossipreg.daemon.logs import Field
from gossipreg.wire.shapes import Shape

SHOWN_MAX = 20
"""`info` shows this many operations; older ones are in the log."""


class Audit:
    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is in monotonic seconds."""
        self._now = now
        self._last: deque[tuple[float, str, str, Caller]] = deque(maxlen=SHOWN_MAX)

    def record(self, verb: str, target: str, by: Caller) -> dict[str, Field]:
        """Record an operation of this caller and return the fields of its log line. `target` is a service's id, or
        empty for the whole sidecar. Operations of the sidecar itself are not recorded."""
        if by.door == "sidecar":
            return {}
        self._last.append((self._now(), verb, target, by))
        return caller_fields(by)

    def shapes(self) -> list[Shape]:
        """The newest first."""
        now = self._now()
        return [
            {"verb": verb, "target": target, "ago_s": round(now - at, 3), **caller_fields(by)}
            for at, verb, target, by in reversed(self._last)
        ]


def caller_fields(by: Caller) -> dict[str, Field]:
    """A TCP client has neither uid nor pid."""
    known = by.door != "tcp"
    return {"via": by.door, "uid": by.uid if known else None, "pid": by.pid if known else None}
