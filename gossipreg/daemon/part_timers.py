"""The timers of a part that has no clock of its own (journals, events, sagas): a task that advances it when it is due.

Owns: the sleep until the next deadline, and the pause after a failure. Never knows: what the part does.
"""

from collections.abc import Callable
from math import inf

import trio

from gossipreg.daemon.pump import AFTER_BUG_S, Pump


class PartTimers:
    def __init__(
        self, pump: Pump, where: str, *, deadline: Callable[[], float], advance: Callable[[float], None]
    ) -> None:
        """`deadline()` is when the part is due, by the pump's clock; infinity: never, as it stands now. `advance(now)`
        fires what is due, and carries out what follows. `where` names it where it fails, which is logged as a bug."""
        self._pump = pump
        self._where = where
        self._deadline_of_part = deadline
        self._advance = advance
        self._sleep: trio.CancelScope | None = None
        self._not_before = -inf

    async def run(self) -> None:
        """Advance the part whenever it is due, until cancelled."""
        while True:
            with trio.CancelScope(deadline=self._trio_deadline()) as self._sleep:
                await trio.sleep_forever()
            self._sleep = None
            now = self._pump.now()
            if self._deadline() > now:
                continue
            try:
                self._advance(now)
            except Exception as error:
                self._pump.bug(self._where, error)
                self._not_before = now + AFTER_BUG_S

    def wake(self) -> None:
        """Something happened: the part may be due at another time."""
        if self._sleep is not None:
            self._sleep.deadline = self._trio_deadline()

    def _deadline(self) -> float:
        return max(self._deadline_of_part(), self._not_before)

    def _trio_deadline(self) -> float:
        return trio.current_time() + (self._deadline() - self._pump.now())
