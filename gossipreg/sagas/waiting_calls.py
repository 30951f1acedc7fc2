"""Calls at the leader whose answer waits for something: a step that is settled, a decision that is durable.

Owns: who waits, by saga, and how much may wait. Never knows: for what; whoever asks tries them again when their
saga changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from gossipreg.errors import Busy
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.live_sagas import SagaCaller
from gossipreg.sagas.saga_calls import AskedSaga, RunAsked
from gossipreg.timers import Timers

MAX_WAITING_CALLS = 32_768
MAX_WAITING_CALLS_BYTES = 64 * 1024 * 1024
"""Of one journal, as they came; more are refused as `busy`."""


@dataclass(frozen=True, slots=True)
class WaitTimer:
    """This call waits no longer."""

    journal: JournalId
    caller: SagaCaller


@dataclass(slots=True, eq=False)
class WaitingCall:
    caller: SagaCaller
    saga: str
    asked: AskedSaga | RunAsked
    size_bytes: int
    """Of its parameters, as they came."""
    since: float
    """When it came."""
    joined: bool = False
    """What it asks for was begun, or is known to be the same."""
    over: bool = False
    """Its time is over: it is answered with what there is."""


class WaitingCalls:
    def __init__(self, journal: JournalId, timers: Timers) -> None:
        self._journal = journal
        self._timers = timers
        self._of_saga: dict[str, list[WaitingCall]] = {}
        self._all: dict[SagaCaller, WaitingCall] = {}
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._all)

    def check_room(self, size_bytes: int) -> None:
        """For another call of this size. Raises Busy."""
        if len(self._all) >= MAX_WAITING_CALLS or self._size_bytes + size_bytes > MAX_WAITING_CALLS_BYTES:
            raise Busy(
                f"{len(self._all)} calls with {self._size_bytes} bytes wait at the leader of this journal, the limits "
                f"are {MAX_WAITING_CALLS} and {MAX_WAITING_CALLS_BYTES}: ask again in a moment"
            )

    def add(
        self, caller: SagaCaller, saga: str, asked: AskedSaga | RunAsked, size_bytes: int, now: float,
        until: float = inf,
    ) -> WaitingCall:  # fmt: skip
        """There is room for it (`check_room`), and none of this caller waits."""
        self._size_bytes += size_bytes
        call = self._all[caller] = WaitingCall(caller, saga, asked, size_bytes, now)
        self._of_saga.setdefault(saga, []).append(call)
        if until < inf:
            self._timers.set(WaitTimer(self._journal, caller), until)
        return call

    def of(self, saga: str) -> list[WaitingCall]:
        """A copy."""
        return [*self._of_saga.get(saga, ())]

    def find(self, caller: SagaCaller) -> WaitingCall | None:
        return self._all.get(caller)

    def remove(self, call: WaitingCall) -> None:
        if self._all.get(call.caller) is not call:
            return
        del self._all[call.caller]
        self._size_bytes -= call.size_bytes
        self._timers.cancel(WaitTimer(self._journal, call.caller))
        calls = self._of_saga[call.saga]
        calls.remove(call)
        if not calls:
            del self._of_saga[call.saga]

    def closed(self, node: NodeId) -> None:
        """Answers do not reach this member any more: it asks again."""
        for call in [call for call in self._all.values() if call.caller.node == node]:
            self.remove(call)

    def take_all(self) -> Iterator[WaitingCall]:
        for call in [*self._all.values()]:
            self.remove(call)
            yield call
