"""The waits of commands that follow a sidecar: one that hangs sends nothing, as one that has nothing to say does.

Owns: when the sidecar is asked whether it answers, and what the user was told. Never knows: what a command follows. The
question goes over a connection of its own, after a quiet time, and is one that the sidecar answers by itself.
"""

import select
from contextlib import suppress
from math import ceil, inf
from time import monotonic

from gossipreg.cli.output import say
from gossipreg.cli.while_read import Followable, wait_while_read
from gossipreg.errors import RequestError, Unreachable

QUIET_S = 30.0
"""Without a word from the sidecar. Long, so that a command that follows a quiet cluster costs nothing."""
ANSWER_S = 5.0
"""A sidecar that is alive answers within this, even on a busy machine."""


class QuietSidecar:
    def __init__(self, what: str, *, while_read: bool = True) -> None:
        """`what` goes on once the sidecar answers: "the watch". `while_read`: the waits end with who reads stdout."""
        self._what = what
        self._wait = wait_while_read if while_read else _wait
        self._hangs = False

    def wait(self, source: Followable, path: str, timeout_s: float | None = None) -> bool:
        """True once `source`, a connection to the sidecar whose socket is `path`, can be read; False when the time is
        up. Raises ReaderGone."""
        until = inf if timeout_s is None else monotonic() + timeout_s
        while not self._wait(source, min(QUIET_S, max(0.0, until - monotonic()))):
            if monotonic() >= until:
                return False
            self._ask(path)
        self._hangs = False
        return True

    def _ask(self, path: str) -> None:
        """Say that the sidecar hangs, or answers again, once each."""
        hung, self._hangs = self._hangs, not answers(path)
        if self._hangs and not hung:
            say(f"the sidecar on {path} does not answer; {self._what} goes on once it does")
        elif hung and not self._hangs:
            say(f"the sidecar on {path} answers again")


def answers(path: str) -> bool:
    """Whether the sidecar with this socket answers."""
    from gossipreg.client import Client

    try:
        with Client(path, timeout_s=ANSWER_S) as client, suppress(RequestError):  # an error is an answer
            client.call("registered")
    except Unreachable:
        return False
    return True


def _wait(source: Followable, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(source.fileno(), select.POLLIN)
    return bool(poll.poll(ceil(timeout_s * 1000)))
