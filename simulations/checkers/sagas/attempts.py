"""Invariant: no attempt begins without proof of leadership, or after the decision."""

from math import inf
from typing import Any

from gossipreg.journal.effects import (
    Confirmed,
    Deposed,
    Established,
    JournalEffect,
    ProposalOutcome,
    Settled,
)
from gossipreg.journal.model import JournalId
from gossipreg.sagas.saga_effects import CommandDone, ProposeSagas, ProveLeadership, SendCommand
from gossipreg.sagas.saga_model import SagaState, WhenUnknown
from simulations.checkers.sagas.checker import SagaChecker
from simulations.checkers.sagas.saga_ledger import CommittedStep, header
from simulations.orchestrating.participant import KEY, UNDOES
from simulations.orchestrating.process import SagaProcess

_ALIKE_S = 1e-6
_Led = tuple[SagaProcess, JournalId]


class AttemptsProven(SagaChecker):
    """Every request that a sidecar sends: the step's intent is committed; the sidecar acts for the journal; it has led
    at a time after the attempt became due (the time when an entry was proposed that is committed now, or when a
    majority was asked that has answered now). A request is due when it begins to lead, and when the attempt before is
    over. An attempt of a step is of a saga that was not decided at that time, and that the sidecar does not know to be
    decided. None lasts longer than the step allows, and two of one key are never under way at one sidecar."""

    name = "attempts_proven"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]  # those of every checker
        self._since: dict[_Led, float] = {}
        """Since when each process acts for a journal."""
        self._proven: dict[_Led, float] = {}
        """The last time at which it is proven to have led."""
        self._asked: dict[tuple[SagaProcess, int], tuple[JournalId, float]] = {}
        """Entries and questions, by number."""
        self._over: dict[tuple[SagaProcess, str], float] = {}
        """When the last attempt of a key was over."""
        self._under_way: dict[tuple[SagaProcess, str], int] = {}

    # -- proofs ------------------------------------------------------------------------------------------------------

    def on_journal(self, process: SagaProcess, effect: JournalEffect) -> None:
        match effect:
            case Established(journal):
                self._since[process, journal] = self.world.now
                self._proven[process, journal] = -inf
                for key in [key for key in self._under_way if key[0] is process and key[1].startswith(journal.hex())]:
                    del self._under_way[key]  # of when it led before: that may be under way, and is nobody's
            case Deposed(journal):
                self._since.pop((process, journal), None)
            case Settled(_, ticket, ProposalOutcome.COMMITTED):
                self._prove(process, ticket)
            case Confirmed(_, number):
                self._prove(process, number)

    def on_propose(self, process: SagaProcess, effect: ProposeSagas) -> None:
        self._asked[process, effect.ticket] = effect.journal, self.world.now

    def on_prove(self, process: SagaProcess, effect: ProveLeadership) -> None:
        self._asked[process, effect.number] = effect.journal, self.world.now

    def _prove(self, process: SagaProcess, number: int) -> None:
        asked = self._asked.pop((process, number), None)
        if asked is not None:
            led = process, asked[0]
            self._proven[led] = max(asked[1], self._proven.get(led, -inf))

    def on_end(self, process: SagaProcess) -> None:
        for found in (self._since, self._proven, self._asked, self._over, self._under_way):
            _drop(found, process)

    # -- attempts ----------------------------------------------------------------------------------------------------

    def on_command(self, process: SagaProcess, command: SendCommand) -> None:
        undoes, own = header(command, UNDOES), header(command, KEY)
        sends = f"{process.host.name} sends {own}"
        step = self.ledger.step(undoes or own)
        if step is None:
            self.fail(f"{sends}, and its intent is not committed", process.host)
        led = process, step.saga.ref.journal
        if led not in self._since:
            self.fail(f"{sends}, and does not act for its journal", process.host)
        due = max(self._since[led], self._over.get((process, own), -inf))
        if self._proven[led] < due - _ALIKE_S:
            ago = self.world.now - self._proven[led]
            self.fail(f"{sends}, due {self.world.now - due:.3f} s ago, and has last led {ago:.3f} s ago", process.host)
        if self._under_way.get((process, own)):
            self.fail(f"{sends} while an attempt of it is under way", process.host)
        most_s = step.intent.options.attempt_timeout_ms / 1000
        if command.timeout_s > most_s + _ALIKE_S:
            self.fail(f"{sends} for {command.timeout_s:g} s, and may for {most_s:g} s", process.host)
        if not undoes and not step.intent.options.after:
            self._check_undecided(process, step, sends)
        self._under_way[process, own] = command.number

    def _check_undecided(self, process: SagaProcess, step: CommittedStep, sends: str) -> None:
        saga, journal = step.saga, step.saga.ref.journal
        if saga.aborted and step.intent.options.unknown is WhenUnknown.REPEAT:
            return  # its answer says how it is undone
        found = process.sagas.led[journal].machine.find(saga.ref.id)
        if getattr(found, "state", SagaState.ENDED) is not SagaState.RUNNING:
            self.fail(f"{sends} of a saga that it knows to be decided", process.host)
        if saga.decision is not None and saga.decided_at < self._proven[process, journal] - _ALIKE_S:
            self.fail(f"{sends} of a saga that was decided before", process.host)

    def on_command_done(self, process: SagaProcess, command: SendCommand, done: CommandDone) -> None:  # noqa: ARG002
        own = header(command, KEY)
        if self._under_way.get((process, own)) == command.number:
            self._over[process, own] = self.world.now
            del self._under_way[process, own]


def _drop(found: dict[Any, Any], process: SagaProcess) -> None:
    """Drop what is of this process."""
    for key in [key for key in found if key[0] is process]:
        del found[key]
