"""Invariant: nothing ends before its time, whatever the clocks of the walls say."""

from collections.abc import Mapping
from typing import Any

from gossipreg.journal.effects import AppliedEntry, JournalEffect
from gossipreg.journal.model import JournalId
from gossipreg.sagas.saga_codec import decode_changes
from gossipreg.sagas.saga_effects import ProposeSagas
from gossipreg.sagas.saga_entries import SAGA_ENTRY, DecideSaga
from gossipreg.sagas.saga_facts import SagaEnded, SagasForgotten
from gossipreg.sagas.saga_model import Decision, SagaRef
from simulations.checkers.sagas.checker import SagaChecker
from simulations.orchestrating.process import SagaProcess

_CLOCKS = 0.95
"""The clocks of machines differ by up to 2 %."""


class NothingEarly(SagaChecker):
    """A saga is aborted for its time only after its time, and forgotten only after `kept_s`."""

    name = "nothing_early"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]  # those of every checker
        self._asked: dict[str, float] = {}
        """When each id was first asked for."""
        self._proposed: dict[tuple[JournalId, bytes], float] = {}
        self._ended: dict[str, float] = {}
        """When the entry was proposed with which each saga ended: its led time is of then."""

    def on_call(self, process: SagaProcess, method: str, params: Mapping[str, Any]) -> None:  # noqa: ARG002
        if method in ("begin", "run"):
            self._asked.setdefault(params["id"], self.world.now)

    def on_propose(self, process: SagaProcess, effect: ProposeSagas) -> None:  # noqa: ARG002  whoever leads
        self._proposed.setdefault((effect.journal, effect.data), self.world.now)

    def on_journal(self, process: SagaProcess, effect: JournalEffect) -> None:
        if not isinstance(effect, AppliedEntry) or effect.entry.kind != SAGA_ENTRY:
            return
        for change in decode_changes(effect.entry.data):
            if isinstance(change, DecideSaga) and change.decision is Decision.ABORT and "not decided" in change.reason:
                self._check_timeout(process, str(SagaRef(effect.journal, change.saga)))
        proposed_at = self._proposed.get((effect.journal, effect.entry.data), self.world.now)
        for fact in effect.result if isinstance(effect.result, tuple) else ():
            if isinstance(fact, SagaEnded):
                self._ended.setdefault(str(SagaRef(effect.journal, fact.saga)), proposed_at)
            for id in fact.sagas if isinstance(fact, SagasForgotten) else ():
                self._check_forgotten(process, str(SagaRef(effect.journal, id)))

    def _check_timeout(self, process: SagaProcess, name: str) -> None:
        saga = self.ledger.sagas.get(name)
        if saga is None:
            return
        took_s, least_s = self.world.now - self._asked[saga.ref.id], saga.begun.timeout_ms / 1000
        if took_s < _CLOCKS * least_s:
            self.fail(f"{name} is aborted for its time after {took_s:.1f} s, and had {least_s:g} s", process.host)

    def _check_forgotten(self, process: SagaProcess, name: str) -> None:
        ended_at, kept_s = self._ended[name], self.orchestrating.tuning.kept_s
        if self.world.now - ended_at < _CLOCKS * kept_s:
            after = f"{self.world.now - ended_at:.1f} s after its end"
            self.fail(f"{name} is forgotten {after}, and is to be kept for {kept_s:g} s", process.host)
