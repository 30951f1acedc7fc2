"""The sagas of one journal, at the sidecar that leads it: from `Established` until `Deposed`.

Owns: what follows from what: a call, a committed entry, an answer, a lost program. Never knows: streams, disks, clocks.
It sends by what is committed alone, and each attempt needs a proof of leadership that is newer than when it was due
(`journal/leadership_proof.py`). So does each answer that another leader could contradict.

    machine            what the journal has of each saga
    running_sagas      from the beginning to the decision; declared_sagas: those that go on by themselves
    decided_sagas      undo, and what comes after a commit
    saga_replies       what calls begin, and when they are answered; saga_questions: show and list
    change_batch       what is to be committed; committed_changes: what follows once it is
    command_attempts   what is sent when; held_answers: what is answered when
    program_leases     where the programs are

Each input returns its effects and ends with `_finish`: sagas that changed go on, their calls are answered, and what is
due is sent and proposed. There is no timer while nothing waits.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import count
from math import inf

from gossipreg.errors import RequestError
from gossipreg.journal.effects import code_for_members
from gossipreg.journal.leadership_proof import LeadershipProof
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.change_batch import ChangeBatch
from gossipreg.sagas.command_attempts import CommandAttempts, CommandDeadline, CommandId, CommandTimer, CommandWork
from gossipreg.sagas.committed_changes import CommittedChanges
from gossipreg.sagas.decided_sagas import DecidedSagas
from gossipreg.sagas.declared_sagas import DeclaredSagas, DeclaredTimer
from gossipreg.sagas.held_answers import HeldAnswers
from gossipreg.sagas.live_sagas import SagaCaller
from gossipreg.sagas.machine import SagasMachine
from gossipreg.sagas.program_leases import LeaseTimer, ProgramLeases
from gossipreg.sagas.running_sagas import RunningSagas, SagaDeadline
from gossipreg.sagas.saga_calls import AskedCall, BeginAsked, ListAsked, RunAsked, ShowAsked, read_call
from gossipreg.sagas.saga_context import SagaContext
from gossipreg.sagas.saga_effects import CommandDone, CommandsUnderWay, ProveLeadership, SagaEffect
from gossipreg.sagas.saga_entries import ExpireSagas
from gossipreg.sagas.saga_facts import SagaFact
from gossipreg.sagas.saga_membership import SagaMembership
from gossipreg.sagas.saga_messages import ProgramHere, ProgramLost, SagaCall
from gossipreg.sagas.saga_model import SagaState
from gossipreg.sagas.saga_questions import SagaQuestions
from gossipreg.sagas.saga_replies import SagaReplies
from gossipreg.sagas.saga_shapes import fitting
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.sagas.waiting_calls import WaitingCalls, WaitTimer
from gossipreg.timers import Timers

EXPIRE_AGAIN_S = 60.0
"""Between two looks at what is to be forgotten, at least."""


class SagaWork(Enum):
    """What a timer of a journal's sagas is for."""

    BATCH = "batch"
    PROOF = "proof"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class JournalTimer:
    journal: JournalId
    work: SagaWork


class JournalSagas:
    def __init__(
        self, tuning: SagaTuning, journal: JournalId, machine: SagasMachine, membership: SagaMembership, timers: Timers,
        *, numbers: "count[int]", has_takeover: Callable[[], bool], led_ms: Callable[[float], int],
        now_wall_ms: Callable[[], int], counts: Counter[str], before: Mapping[int, CommandId],
    ) -> None:  # fmt: skip
        """`numbers` counts up for entries, proofs, commands and reads of a sidecar; `before`: attempts that are under
        way since this sidecar led the journal the last time."""
        self._tuning = tuning
        self._journal = journal
        self._machine = machine
        self._timers = timers
        self._led_ms = led_ms
        self._proof = LeadershipProof(numbers, again_s=tuning.prove_again_s)
        self._attempts = CommandAttempts(tuning, journal, timers, numbers, self._proof, before)
        self._batch = ChangeBatch(journal, numbers, self._needs_answer)
        self._context = SagaContext(
            tuning, journal, machine, timers, self._batch, self._attempts,
            ProgramLeases(tuning, journal, membership, timers), WaitingCalls(journal, timers), HeldAnswers(self._proof),
            now_wall_ms, counts,
        )  # fmt: skip
        self._running = RunningSagas(self._context)
        self._declared = DeclaredSagas(self._context, self._running)
        self._decided = DecidedSagas(self._context)
        self.questions = SagaQuestions(self._context, lambda: next(numbers), has_takeover)
        self._replies = SagaReplies(self._context, self._running, self.questions, has_takeover)
        self._committed = CommittedChanges(self._context, self._running, self._declared, self._decided, self._replies)
        self._facts: dict[int, Sequence[SagaFact]] = {}
        """By index: what an entry that was applied has changed, until it is settled, which follows at once."""
        self._copies = 0
        self._due = inf
        """What follows from this input is due since then."""
        self._expire_not_before = -inf
        self._paused = False
        self._told = 0
        """How many commands the journal was told to be under way."""

    # -- what is known -------------------------------------------------------------------------------------------------

    @property
    def machine(self) -> SagasMachine:
        return self._machine

    @property
    def acting(self) -> int:
        """Commands that are unanswered; while the journal is about to be handed over also what is not committed of
        their answers."""
        return self._attempts.under_way + (self._batch.under_way if self._paused else 0)

    @property
    def running(self) -> int:
        """Sagas that are not decided."""
        return len(self._context.live)

    @property
    def waiting(self) -> int:
        """Calls that have no answer yet."""
        return len(self._context.waiting) + len(self._context.held)

    def unanswered(self) -> dict[int, CommandId]:
        """The attempts that are under way, by number."""
        return self._attempts.unanswered()

    def owns_command(self, number: int) -> bool:
        return self._attempts.owns(number)

    # -- inputs: the journal -------------------------------------------------------------------------------------------

    def begin(self, now: float) -> list[SagaEffect]:
        """Our ballot is committed: go on with all that is open."""
        self._now(now)
        for saga in [*self._machine.open.values()]:
            if saga.state is SagaState.RUNNING:
                self._running.resume(saga)
            else:
                self._context.touch(saga.id)
        return self._finish()

    def applied(self, index: int, facts: Sequence[SagaFact]) -> None:
        """An entry of ours was applied; `settled` follows at once."""
        self._facts[index] = facts

    def settled(self, ticket: int, index: int, copies: int, *, committed: bool, now: float) -> list[SagaEffect]:
        """What became of an entry of ours. Where that is unknown another leader goes on from what is committed."""
        if not self._batch.owns(ticket):
            return []
        self._now(now)
        facts = self._facts.pop(index, ())
        proposed = self._batch.settled(ticket, committed=committed)
        if proposed is not None and committed:
            self._copies, self._due = copies, proposed.proposed_at
            self._proof.proven(proposed.proposed_at)
            self._committed.committed(facts, proposed)
        return self._finish()

    def refused(self, ticket: int, code: str, text: str, now: float) -> list[SagaEffect]:
        """The journal did not accept an entry of ours, or a read."""
        self._now(now)
        if self.questions.refused(ticket, code, text):
            return self._finish()
        for change in self._batch.refused(ticket, code, now):
            self._committed.give_up(change, code_for_members(code), text)
        return self._finish()

    def confirmed(self, number: int, now: float) -> list[SagaEffect]:
        """The journal has proven that we lead it."""
        self._now(now)
        self._proof.confirmed(number)
        return self._finish()

    def records(self, number: int, values: Sequence[bytes | None], now: float) -> list[SagaEffect]:
        self._now(now)
        self.questions.found(number, values)
        return self._finish()

    def pause(self, now: float) -> list[SagaEffect]:
        """The journal is about to be handed over: begin nothing."""
        self._now(now)
        self._paused = self._batch.paused = True
        self._attempts.pause()
        return self._finish()

    def resume(self, now: float) -> list[SagaEffect]:
        self._now(now)
        self._paused = self._batch.paused = False
        self._attempts.resume()
        return self._finish()

    def end(self, text: str) -> list[SagaEffect]:
        """We do not lead any more. Whoever waits asks the next leader; what is under way is answered to nobody."""
        context = self._context
        self._replies.end(text)
        self.questions.end(text)
        self._attempts.clear()
        context.leases.clear()
        self._running.clear()
        for work in SagaWork:
            self._timers.cancel(JournalTimer(self._journal, work))
        effects, context.effects = context.effects, []
        return effects

    # -- inputs: members and programs ----------------------------------------------------------------------------------

    def call(
        self, caller: SagaCaller, call: SagaCall, now: float, asked: AskedCall | None = None
    ) -> list[SagaEffect]:  # fmt: skip
        """A program at a member asks; SagaReply follows. `asked`: what that is, where it was read already."""
        self._now(now)
        self._context.held.drop(caller)
        try:
            self._ask(asked or read_call(call.method, call.params, self._tuning), caller, len(call.params))
        except RequestError as error:
            self._context.refuse(caller, error.code, str(error))
        return self._finish()

    def _ask(self, asked: object, caller: SagaCaller, size_bytes: int) -> None:
        match asked:
            case BeginAsked():
                self._replies.begin(asked, caller)
            case RunAsked():
                self._replies.run(asked, caller, size_bytes)
            case ListAsked():
                self._context.once_proven(
                    caller, lambda: self._context.reply(caller, fitting(self.questions.list(asked)))
                )
            case ShowAsked(saga, id):
                self._context.once_proven(caller, partial(self.questions.show, id if saga is None else saga.id, caller))
            case _:
                self._replies.ask(asked, caller, size_bytes)  # type: ignore[arg-type]  # the rest is about one saga

    def abandoned(self, caller: SagaCaller, now: float) -> list[SagaEffect]:
        """Nobody waits for the answer of this call any more."""
        self._now(now)
        self._replies.abandoned(caller)
        return self._finish()

    def show(self, saga: str, caller: SagaCaller, now: float) -> list[SagaEffect]:
        """Answer with a list of the story of this saga, which is here."""
        self._now(now)
        self.questions.show(saga, caller, listed=True)
        return self._finish()

    def program(self, node: NodeId, message: ProgramHere | ProgramLost, now: float) -> list[SagaEffect]:
        """A member says where programs are."""
        self._now(now)
        for saga in message.sagas:
            if isinstance(message, ProgramLost):
                self._context.leases.lost(saga, node, now)
                continue
            self._context.leases.here(saga, node)
            if (live := self._context.live.get(saga)) is not None:
                live.has_program = True
        return self._finish()

    def programs(self) -> list[tuple[NodeId, ProgramHere]]:
        """Where the programs are, as members said it."""
        return [
            (node, ProgramHere(journal=self._journal, sagas=sagas)) for node, sagas in self._context.leases.held()
        ]  # fmt: skip

    def closed(self, node: NodeId, now: float) -> list[SagaEffect]:
        """The stream to this member broke."""
        self._now(now)
        self._context.leases.closed(node, now)
        self._context.waiting.closed(node)
        self._context.held.closed(node)
        return self._finish()

    def members_changed(self, now: float) -> list[SagaEffect]:
        self._now(now)
        self._context.leases.members_changed(now)
        return self._finish()

    def command_done(self, done: CommandDone, now: float) -> list[SagaEffect]:
        """An attempt is over."""
        self._now(now)
        found = self._attempts.done(done)
        if found is not None:
            task, first = found
            if task.ended:
                self._context.touch(task.id.saga)
            elif task.id.work is CommandWork.STEP:
                self._running.answered(task, done, first=first)
            else:
                self._decided.answered(task, done)
        return self._finish()

    def on_timer(self, name: object, now: float) -> list[SagaEffect]:
        self._now(now)
        match name:
            case CommandTimer():
                self._attempts.on_timer(name, now)
            case CommandDeadline():
                self._running.time_over(name)
            case SagaDeadline(_, saga):
                self._running.timed_out(saga)
            case LeaseTimer(_, saga):
                self._running.lost(saga)
            case DeclaredTimer(_, saga):
                self._context.touch(saga)
            case WaitTimer(_, caller):
                call = self._context.waiting.find(caller)
                if call is not None:
                    call.over = True
                    self._context.touch(call.saga)
            case JournalTimer(_, SagaWork.EXPIRE):
                self._expire()
        return self._finish()

    def _needs_answer(self, saga: str, step: str) -> bool:
        """Whether the undo of this step is written with its answer."""
        open = self._machine.open.get(saga)
        found = None if open is None else open.steps.get(step)
        return found is not None and bool(found.intent.undo_template)

    def _expire(self) -> None:
        if self._machine.oldest_ended_led_ms is not None and self._expire_due() <= self._context.now:
            self._expire_not_before = self._context.now + EXPIRE_AGAIN_S
            self._context.put(ExpireSagas())

    def _expire_due(self) -> float:
        oldest = self._machine.oldest_ended_led_ms
        if oldest is None:
            return inf
        now = self._context.now
        due_s = (oldest + self._tuning.kept_s * 1000 + 1 - self._led_ms(now)) / 1000
        return max(now + due_s, self._expire_not_before)

    # -- the end of an input -------------------------------------------------------------------------------------------

    def _now(self, now: float) -> None:
        self._context.now = self._due = now

    def _finish(self) -> list[SagaEffect]:
        context, now = self._context, self._context.now
        while context.touched:
            saga = next(iter(context.touched))
            del context.touched[saga]
            self._declared.look(saga)
            self._decided.look(saga, self._due)
            self._replies.look(saga, self._copies)
        self._proof.want_none()
        context.held.flush()
        sent = self._attempts.flush(now)
        asked = [ProveLeadership(self._journal, number) for number in self._proof.ask(now)]
        effects = [*context.effects, *sent, *asked, *self._batch.take(now), *self._acts()]
        context.effects = []
        self._arm(SagaWork.BATCH, self._batch.due())
        self._arm(SagaWork.PROOF, self._proof.next_due())
        self._arm_expire()
        return effects

    def _arm_expire(self) -> None:
        """Once for the oldest one; it is looked at again when that is due."""
        timer = JournalTimer(self._journal, SagaWork.EXPIRE)
        if self._machine.oldest_ended_led_ms is None:
            self._timers.cancel(timer)
        elif timer not in self._timers:
            self._timers.set(timer, self._expire_due())

    def _acts(self) -> list[SagaEffect]:
        """What is under way, so that the journal is not handed over meanwhile: told where it begins or ends, and each
        number while it is about to be."""
        acting = self.acting
        if acting == self._told or not (self._paused or bool(acting) != bool(self._told)):
            return []
        self._told = acting
        return [CommandsUnderWay(self._journal, acting)]

    def _arm(self, work: SagaWork, due: float) -> None:
        timer = JournalTimer(self._journal, work)
        if due == inf:
            self._timers.cancel(timer)
        elif self._timers.due(timer) != due:
            self._timers.set(timer, due)
