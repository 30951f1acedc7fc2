"""A person who looks after what is stuck, now and then, at any sidecar.

Owns: what is decided by hand. Never knows: what the engine does with it.

While faults are on the person decides anything. After that one thing alone: to skip a step whose command is repeated
for its answer, because its undo needs that, and whose participant has declined it for good. Nothing else would end it.
"""

import random
from typing import TYPE_CHECKING, Any

from simulations.orchestrating.key_ledger import KeyState

if TYPE_CHECKING:
    from simulations.orchestrating.orchestrating import Orchestrating
    from simulations.orchestrating.process import SagaProcess

_LOOKS_S = 7.0
_DECIDES = {"retry": 5, "skip": 3, "give_up": 1, "": 4}
"""What a person decides, and how often."""


class Person:
    def __init__(self, orchestrating: "Orchestrating", rng: random.Random) -> None:
        self.steady = self.stopped = False
        self.decided = 0
        self._orchestrating = orchestrating
        self._rng = rng

    def look(self) -> None:
        """Look at what is stuck, then again after a while."""
        if self.stopped:
            return
        world = self._orchestrating.world
        running = [*self._orchestrating.running()]
        if running:
            process = self._rng.choice(running)
            world.to_process(process.host, lambda: self._ask(process), network=False)
        world.after(_LOOKS_S, self.look)

    def _ask(self, process: "SagaProcess") -> None:
        if process.runs and not self.stopped:
            process.call("list", {"state": "stuck"}, lambda code, result: self._listed(process, code, result))

    def _listed(self, process: "SagaProcess", code: str, result: Any) -> None:
        if code or self.stopped:
            return
        for short in result["sagas"] if self.steady else ():
            self._skip_declined(process, short)
        for short in result["sagas"] if not self.steady else ():
            chosen = self._rng.choices([*_DECIDES], [*_DECIDES.values()])[0]
            if chosen and short["stuck"]:
                step = self._rng.choice(["", short["stuck"][0]])
                params = {"saga": short["saga"], "step": step, "who": "a person", "why": "it was looked at"}
                process.call(chosen, params, self._answered)

    def _skip_declined(self, process: "SagaProcess", short: dict[str, Any]) -> None:
        states = {record.key: record.state for _, record in self._orchestrating.records()}
        for step in short["stuck"]:
            if states.get(f"{short['saga']}/{step}") is KeyState.DECLINED:
                params = {"saga": short["saga"], "step": step, "who": "a person", "why": "it declined"}
                process.call("skip", params, self._answered)

    def _answered(self, code: str, result: Any) -> None:  # noqa: ARG002  whatever was decided
        self.decided += not code
