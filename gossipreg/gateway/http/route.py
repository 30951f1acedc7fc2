"""A route: all that is true of a path. `routes.py` is the table of all routes.

A route either reads (`render`, answered by `reads.py` with an index) or acts (`handle`). The description of all paths
(`openapi.py`), the check of rights (`api.py`) and the paths that need no token (`doors.py`) are derived from
the routes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Concatenate

from gossipreg.gateway.http.client import Answer
from gossipreg.gateway.http.options import Options
from gossipreg.gateway.http.params import Param
from gossipreg.gateway.http.parts import Parts
from gossipreg.net.http_message import READ, Request

WRITE = ("PUT",)

Render = Callable[Concatenate[Parts, Options, ...], Any]
"""Makes the JSON value of an answer; called with the texts of the path's braces after the options."""
Handle = Callable[Concatenate[Parts, Request, ...], Answer]
"""Makes the response; called with the texts of the path's braces after the request."""


class About(Enum):
    """The subject of a read that may wait: it decides which changes wake the read, and what a sidecar that is not
    synced answers (`knowing.py`)."""

    SERVICE = "the service that the path names"
    NODE = "the node that the path names"
    CLUSTER = "the whole cluster"
    NOTHING = "objects that do not exist here"


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    path: str
    """A segment in braces stands for any text; the last one for the rest of the path, since ids may have slashes."""
    operation: str
    """The verb whose right the caller needs: see `gossipreg.rights`."""
    summary: str
    gives: str = "any"
    """The name of the answer's schema."""
    methods: tuple[str, ...] = READ
    params: tuple[Param, ...] = ()
    render: Render | None = None
    handle: Handle | None = None
    about: About | None = None
    """None: the read answers at once and has no place in a queue of waiting reads."""
    filter: str = ""
    """The kind of object that `?filter=` chooses from (`kinds.py`); empty: the read takes no filter."""
    choices: tuple[str, ...] = ()
    """The texts that the path's brace may have; empty: any."""
    missing: int = 200
    """The status of an answer that is null."""
    body: str | None = None
    """The name of the schema of the request's body."""
    statuses: tuple[int, ...] = ()
    """The statuses beside 200, 400 and 403."""
    media: str = "application/json"
    open: bool = False
    """Whether a read from another machine needs no token."""
    described: bool = True
    """Whether the path is in the description of all paths."""

    @property
    def segments(self) -> tuple[str, ...]:
        return segments(self.path)

    @property
    def spelled_out(self) -> int:
        """The number of segments without braces."""
        return sum(not segment.startswith("{") for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The paths below this one that are not supported, and the reason."""

    path: str
    why: str

    @property
    def segments(self) -> tuple[str, ...]:
        return segments(self.path)


def segments(path: str) -> tuple[str, ...]:
    return tuple(path.strip("/").split("/"))
