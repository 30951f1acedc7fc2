"""Declared sagas go on by themselves: whoever leads takes their steps, commits them, or aborts them.

Owns: when a declared saga takes which step. Never knows: how a step is sent. What it decides follows from the
definition, which is in the journal, and from what came of the steps: so another leader goes on in the same way.
"""

from dataclasses import dataclass

from gossipreg.errors import Busy, RequestError
from gossipreg.journal.model import JournalId
from gossipreg.sagas.live_sagas import LiveSaga, LiveStep
from gossipreg.sagas.next_steps import is_complete, ready
from gossipreg.sagas.running_sagas import RunningSagas
from gossipreg.sagas.saga_context import SagaContext
from gossipreg.sagas.saga_definition import SagaDefinition, decode_definition
from gossipreg.sagas.saga_model import Decision

AGAIN_S = 1.0
"""After the journal did not take a step."""


@dataclass(frozen=True, slots=True)
class DeclaredTimer:
    """Go on with this saga."""

    journal: JournalId
    saga: str


class DeclaredSagas:
    def __init__(self, context: SagaContext, running: RunningSagas) -> None:
        self._context = context
        self._running = running

    def look(self, saga: str) -> None:
        """Something of this saga changed."""
        live = self._context.live.get(saga)
        if live is None or live.by_code or live.deciding is not None:
            return
        failed = next((step for step in live.steps.values() if step.failed), None)
        if failed is not None:
            self._running.decide(live, Decision.ABORT, _reason(failed))
        elif DeclaredTimer(self._context.journal, saga) not in self._context.timers:
            self._go_on(live)

    def _go_on(self, live: LiveSaga) -> None:
        try:
            definition = self._definition(live)
            for intent in ready(definition, live.ref, live):
                self._running.intend(live, intent)
        except Busy:
            self.wait(live.ref.id)
        except RequestError as error:
            self._running.decide(live, Decision.ABORT, str(error))
        else:
            if is_complete(definition, live):
                self._running.decide(live, Decision.COMMIT)

    def _definition(self, live: LiveSaga) -> SagaDefinition:
        """Raises BadParams: an earlier leader of another release took what this one does not."""
        if live.definition is None:
            live.definition = decode_definition(live.begun.definition)
        return live.definition

    def wait(self, saga: str) -> None:
        """The journal did not take a step: go on in a moment. Nothing for a saga by code, whose program decides."""
        live = self._context.live.get(saga)
        if live is not None and not live.by_code:
            self._context.timers.set(DeclaredTimer(self._context.journal, saga), self._context.now + AGAIN_S)


def _reason(step: LiveStep) -> str:
    result = step.result
    why = f": {result.text}" if result is not None and result.text else ""
    return f"step {step.intent.name!r} is {step.state.name.lower()}{why}"
