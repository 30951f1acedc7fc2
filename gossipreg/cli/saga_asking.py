"""What the commands about sagas share when they ask the sidecar: names, and waiting through a change of leaders."""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gossipreg.cli.again import Again
from gossipreg.errors import Busy, NotSynced, OutcomeUnknown, RequestError, Unavailable, Unreachable
from gossipreg.retry import Retry

if TYPE_CHECKING:
    from gossipreg.client import Client

ANSWER_S = 15.0
"""The sidecar asks whoever leads the journal, which may have to be found first."""
WAIT_S = 5.0
"""One wait for a decision; longer ones are several, so that a sidecar that hangs is soon found out."""
LATE_S, LIVES_S = 3.0, 2.0
"""If the answer to a wait is late by this, the sidecar is asked whether it lives, and answers within that."""
PASSING = (Unreachable, Unavailable, Busy, NotSynced, OutcomeUnknown)
"""The sidecar, or the leader of the journal, is away for a moment; a question may be asked again."""
RETRY = Retry(0.1, 2.0)
LOST_S = 10.0
"""A sidecar that is restarted answers again within this. After it, another sidecar has to be asked."""
_FULL_NAME = re.compile(r"[0-9a-f]{32}\..")
"""How one begins: an id may have dots too."""


def full_name(client: "Client", saga: str) -> str:
    """JOURNAL.ID of a saga that is named in full, or by its id alone."""
    if _FULL_NAME.match(saga):
        return saga
    return str(client.call("saga-show", saga=saga)["saga"])


class SidecarLost(Exception):
    """The sidecar has not answered for LOST_S, and is asked no more."""


class SidecarAway:
    """Since when the sidecar does not answer."""

    def __init__(self, tell: Callable[[Unreachable], None]) -> None:
        """`tell` is called once each time that the sidecar is lost."""
        self._tell = tell
        self._since: float | None = None

    def answered(self) -> None:
        self._since = None

    def unreachable(self, error: Unreachable) -> None:
        """Raises SidecarLost."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._tell(error)
        elif now - self._since >= LOST_S:
            raise SidecarLost(str(error)) from None


def await_saga(
    ask: Callable[[float], "Client"], saga: str, until: str, timeout_s: float, away: SidecarAway
) -> dict[str, Any]:
    """The story of the saga once it is decided, or has ended; or as it is when the time is up. `ask` makes a client
    with this timeout. Raises SidecarLost, what is not PASSING, and that too when the time is up before any answer."""
    deadline = time.monotonic() + timeout_s
    again = Again(PASSING, RETRY, until=deadline)
    while True:
        rest_s = max(0.0, deadline - time.monotonic())
        story = again.ask(lambda: _wait_once(ask, saga, until, deadline, away))
        if is_over(story, until) or rest_s <= WAIT_S:
            return story


def _wait_once(
    ask: Callable[[float], "Client"], saga: str, until: str, deadline: float, away: SidecarAway
) -> dict[str, Any]:
    once_s = min(max(0.0, deadline - time.monotonic()), WAIT_S)
    late = time.monotonic() + once_s + LATE_S
    try:
        with ask(once_s + LATE_S) as client:
            story: dict[str, Any] = client.call("saga-wait", saga=saga, until=until, timeout_ms=int(once_s * 1000))
    except Unreachable as error:
        if time.monotonic() >= late and _lives(ask):
            away.answered()
            raise Unavailable("the sidecar answers, and the leader of the saga's journal does not") from None
        away.unreachable(error)
        raise
    except PASSING:
        away.answered()
        raise
    away.answered()
    return story


def _lives(ask: Callable[[float], "Client"]) -> bool:
    try:
        with ask(LIVES_S) as client:
            client.call("registered")
    except Unreachable:
        return False
    except RequestError:
        pass  # that is an answer
    return True


def is_over(story: dict[str, Any], until: str) -> bool:
    return bool(story["decision"]) if until == "decided" else story["state"] == "ended"
