"""A person who looks after dead letters while faults are on: retries some, and drops others.

Owns: when it decides, and on which letter. Never knows: what must hold. It decides at the sidecar of the leader, on
what that shows; the decision may be lost, as any other entry.
"""

import random

from msgpack import packb

from simulations.eventing.eventing import Eventing

_EVERY_S = 1.5
"""The mean time between two decisions."""
_RETRIED, _ALL = 0.6, 0.2
"""The shares of decisions that retry, and that are about all letters of the group."""


class LetterKeeper:
    def __init__(self, eventing: Eventing, rng: random.Random) -> None:
        self.stopped = False
        """It decides nothing more."""
        self._eventing = eventing
        self._rng = rng

    def run(self) -> None:
        """Decide, then again after a while."""
        if not self.stopped:
            self._decide()
            self._eventing.world.after(self._rng.expovariate(1 / _EVERY_S), self.run)

    def _decide(self) -> None:
        letters = [
            (process, journal, led.machine.group(number), index)
            for process in self._eventing.running() if not process.host.stalled
            for journal, led in process.events.led.items() for number, index in led.machine.dead
        ]  # fmt: skip
        if not letters:
            return
        process, journal, group, index = self._rng.choice(letters)
        assert group is not None, "no group is forgotten in a run"
        params: dict[str, object] = {"group": group.name}
        if self._rng.random() >= _ALL:
            params |= {"journal": journal.hex(), "index": index}
        process.ask(process.host.id, "retry" if self._rng.random() < _RETRIED else "drop", packb(params))
