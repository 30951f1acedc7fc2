"""A saga that this program, or another one, has begun: how it stands, and how it ends.

Owns: its name. Never knows: steps.
"""

import re
from time import monotonic
from typing import Any

from gossipreg.client.checks import check_number
from gossipreg.client.sagas.saga_answers import SagaStory
from gossipreg.client.sagas.saga_call import LATER_S, ProgramCall
from gossipreg.client.sagas.saga_caller import ProgramCaller
from gossipreg.errors import BadParams, DeadlineExceeded

WAIT_S = 60.0
ASK_S = 10.0
"""A wait is asked for in pieces of this length."""
UNTIL = ("decided", "ended")
_FULL_NAME = re.compile(r"[0-9a-f]{32}\..")
"""How one begins: an id may have dots too."""


class SagaWaiting:
    """The calls of one wait, for threads and loops."""

    def __init__(self, saga: str, until: str, timeout_s: float, now: float) -> None:
        """Raises BadParams."""
        if until not in UNTIL:
            raise BadParams(f"until is {until!r}: give 'decided', or 'ended'")
        check_number("timeout", timeout_s, "the seconds to wait")
        self._saga = saga
        self._full = saga if _FULL_NAME.match(saga) else ""
        """Empty: not known yet, since its id alone was given."""
        self._until = until
        self._timeout_s = timeout_s
        self._deadline = now + timeout_s
        self._state = "running"

    def next_call(self, now: float) -> ProgramCall:
        """Raises DeadlineExceeded."""
        left_s = self._deadline - now
        if left_s <= 0:
            raise DeadlineExceeded(f"saga {self._saga} is not {self._until} after {self._timeout_s:g} s: {self._state}")
        if not self._full:
            return show_call(self._saga)
        piece_s = min(ASK_S, left_s)
        params = {"saga": self._full, "until": self._until, "timeout_ms": max(1, round(piece_s * 1000))}
        return ProgramCall("saga-wait", params, now, piece_s + LATER_S)

    def found(self, result: Any) -> SagaStory | None:
        """The story, once it is there."""
        story = SagaStory.read_untrusted(result)
        self._full, self._state = story.saga, story.state
        return story if story.is_ended or (self._until == "decided" and story.is_decided) else None


class SagaHandle:
    """Made by `Registry.saga_of`."""

    def __init__(self, caller: ProgramCaller, saga: str) -> None:
        self._caller = caller
        self.saga = saga

    def show(self) -> SagaStory:
        """How it stands now. Raises NotFound, Unreachable, Unavailable."""
        return SagaStory.read_untrusted(self._caller.call(show_call(self.saga)))

    def wait(self, timeout: float = WAIT_S, *, until: str = "decided") -> SagaStory:
        """Wait until it is decided, or until nothing of it is open any more (`until="ended"`), and return it. Raises
        DeadlineExceeded after `timeout` seconds, and what `show` does."""
        waiting = SagaWaiting(self.saga, until, timeout, monotonic())
        while True:
            story = waiting.found(self._caller.call(waiting.next_call(monotonic())))
            if story is not None:
                return story

    def __repr__(self) -> str:
        return f"<SagaHandle of {self.saga}>"


def show_call(saga: str) -> ProgramCall:
    return ProgramCall("saga-show", {"saga": saga}, monotonic())


def checked_saga(saga: object) -> str:
    """Raises BadParams."""
    if not isinstance(saga, str) or not saga:
        raise BadParams(f"saga is {saga!r}: give the name of a saga, JOURNAL.ID, or its id")
    return saga
