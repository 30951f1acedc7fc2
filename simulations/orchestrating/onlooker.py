"""A person who looks at sagas, now and then, at any sidecar: the story of one, or the list of those that run.

Owns: what is asked. Never knows: what is true; the checkers hear of each saga that is shown, as of an answer to its
program.
"""

import random
from functools import partial
from typing import TYPE_CHECKING, Any

from simulations.orchestrating.saga_run import SagaRun, Told

if TYPE_CHECKING:
    from simulations.orchestrating.orchestrating import Orchestrating
    from simulations.orchestrating.process import SagaProcess

_LOOKS_S = 1.0
_NEWEST = 10
"""A story is asked for of one of so many sagas that began last."""


class Onlooker:
    def __init__(self, orchestrating: "Orchestrating", rng: random.Random) -> None:
        self.stopped = False
        self._orchestrating = orchestrating
        self._rng = rng

    def look(self) -> None:
        """Look, then again after a while."""
        if self.stopped:
            return
        world = self._orchestrating.world
        running = [*self._orchestrating.running()]
        if running:
            process = self._rng.choice(running)
            world.to_process(process.host, partial(self._ask, process), network=False)
        world.after(self._rng.expovariate(1 / _LOOKS_S), self.look)

    def _ask(self, process: "SagaProcess") -> None:
        asked_at = self._orchestrating.world.now
        if not process.runs or self.stopped:
            return
        begun = [run for run in self._orchestrating.runs if run.saga is not None][-_NEWEST:]
        if begun and self._rng.random() < 0.5:
            run = self._rng.choice(begun)
            process.call("show", {"saga": str(run.saga)}, partial(self._shown, process, run, asked_at))
        else:
            process.call("list", {"state": "running"}, partial(self._listed, process, asked_at))

    def _shown(self, process: "SagaProcess", run: SagaRun, asked_at: float, code: str, result: Any) -> None:
        process.told(Told(run, "show", "", code, result, asked_at))

    def _listed(self, process: "SagaProcess", asked_at: float, code: str, result: Any) -> None:
        if code:
            return
        runs = {str(run.saga): run for run in self._orchestrating.runs if run.saga is not None}
        for short in result["sagas"]:
            if (run := runs.get(short["saga"])) is not None:
                process.told(Told(run, "list", "", "", short, asked_at))
