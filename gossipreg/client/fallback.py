"""What follows a call whose attempts have all failed: another service, or a function of the program.

A fallback is a retry: it has what is left of the deadline, and the servers that it asks are told that it is one. So a
function runs as if it served a retry (`incoming.py`): calls that it makes through the registry know both.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from gossipreg.client.incoming import INCOMING, IncomingRequest
from gossipreg.client.picking.headers import attempt_headers
from gossipreg.client.picking.options import SHORTEST_S, CallOptions


@dataclass(frozen=True, slots=True)
class FallbackLimits:
    """What a fallback has to obey. A function of the program gets it if it needs an argument."""

    deadline: float
    """Of the call, in seconds of `time.monotonic`."""
    attempts: int
    """The requests that the call has made before."""
    depth: int
    """Of the request that the program serves, as in CallOptions."""

    @property
    def timeout_s(self) -> float:
        """How long the fallback may take."""
        return max(SHORTEST_S, self.deadline - monotonic())

    def headers(self) -> Mapping[str, str]:
        """The HTTP headers that tell a server how long this caller waits, and that this is a retry."""
        return attempt_headers(self.timeout_s, self._number)

    def options(self, options: CallOptions) -> CallOptions:
        """Those of the same call at another service."""
        return replace(options, deadline_s=self.timeout_s, attempts_before=self.attempts)

    @contextmanager
    def obeyed(self) -> Iterator[None]:
        """Calls that are made in this block obey it too."""
        token = INCOMING.set(IncomingRequest(self._number, self.deadline))
        try:
            yield
        finally:
            INCOMING.reset(token)

    @property
    def _number(self) -> int:
        return max(self.depth, self.attempts + 1)


def of_limits(function: Callable[..., Any]) -> Callable[[FallbackLimits], Any]:
    """The function, as one of the limits: one that needs an argument gets them, and others do not."""
    return function if _needs_argument(function) else lambda _limits: function()


def _needs_argument(function: Callable[..., Any]) -> bool:
    from inspect import signature

    try:
        parameters = signature(function)
    except (TypeError, ValueError):  # some functions of C do not say
        return False
    try:
        parameters.bind()
    except TypeError:
        return True
    return False
