"""What the commands about sagas share when they ask the sidecar: names, and waiting through a change of leaders."""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gossipreg.cli.again import Again
from gossipreg.errors import Busy, NotSynced, OutcomeUnknown, Unavailable, Unreachable
from gossipreg.retry import Retry

if TYPE_CHECKING:
    from gossipreg.client import Client

ANSWER_S = 15.0
"""The sidecar asks whoever leads the journal, which may have to be found first."""
WAIT_S = 20.0
"""One wait for a decision; longer ones are several."""
PASSING = (Unreachable, Unavailable, Busy, NotSynced, OutcomeUnknown)
"""The sidecar, or the leader of the journal, is away for a moment; a question may be asked again."""
RETRY = Retry(0.1, 2.0)
_FULL_NAME = re.compile(r"[0-9a-f]{32}\..")
"""How one begins: an id may have dots too."""


def full_name(client: "Client", saga: str) -> str:
    """JOURNAL.ID of a saga that is named in full, or by its id alone."""
    if _FULL_NAME.match(saga):
        return saga
    return str(client.call("saga-show", saga=saga)["saga"])


def await_saga(ask: Callable[[float], "Client"], saga: str, until: str, timeout_s: float) -> dict[str, Any]:
    """The story of the saga once it is decided, or has ended; or as it is when the time is up. `ask` makes a client
    with this timeout. Raises what is not PASSING, and that too when the time is up before any answer."""
    deadline = time.monotonic() + timeout_s
    again = Again(PASSING, RETRY, until=deadline)
    while True:
        rest_s = max(0.0, deadline - time.monotonic())
        story = again.ask(lambda: _wait_once(ask, saga, until, deadline))
        if is_over(story, until) or rest_s <= WAIT_S:
            return story


def _wait_once(ask: Callable[[float], "Client"], saga: str, until: str, deadline: float) -> dict[str, Any]:
    once_s = min(max(0.0, deadline - time.monotonic()), WAIT_S)
    with ask(once_s + ANSWER_S) as client:
        story: dict[str, Any] = client.call("saga-wait", saga=saga, until=until, timeout_ms=int(once_s * 1000))
        return story


def is_over(story: dict[str, Any], until: str) -> bool:
    return bool(story["decision"]) if until == "decided" else story["state"] == "ended"
