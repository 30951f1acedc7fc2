"""What the parts of the sagas of one journal share, while it is led here.

Owns: nothing of its own; it holds the tools. Never knows: what they are used for.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from msgpack import packb

from gossipreg.journal.model import JournalId
from gossipreg.sagas.change_batch import ChangeBatch
from gossipreg.sagas.command_attempts import CommandAttempts
from gossipreg.sagas.held_answers import MAX_HELD, HeldAnswers
from gossipreg.sagas.live_sagas import LiveSaga, SagaCaller
from gossipreg.sagas.machine import SagasMachine
from gossipreg.sagas.program_leases import ProgramLeases
from gossipreg.sagas.saga_effects import LogSagas, SagaEffect, SendSagaMessage
from gossipreg.sagas.saga_entries import SagaChange
from gossipreg.sagas.saga_messages import SagaReply
from gossipreg.sagas.saga_model import SagaRef
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.sagas.waiting_calls import WaitingCall, WaitingCalls
from gossipreg.timers import Timers


@dataclass(slots=True)
class SagaContext:
    tuning: SagaTuning
    journal: JournalId
    machine: SagasMachine
    timers: Timers
    batch: ChangeBatch
    attempts: CommandAttempts
    leases: ProgramLeases
    waiting: WaitingCalls
    held: HeldAnswers
    now_wall_ms: Callable[[], int]
    counts: Counter[str]
    """Of all journals that are led here, by what became of their sagas."""
    now: float = 0.0
    """Of the input that is being handled."""
    live: dict[str, LiveSaga] = field(default_factory=dict)
    """The sagas that run."""
    touched: dict[str, None] = field(default_factory=dict)
    """Sagas of which something changed in this input."""
    late_answers: set[tuple[str, str]] = field(default_factory=set)
    """(saga, step) whose last answer came after the decision and is not committed yet. A step whose undo needs that
    answer is not repeated meanwhile: the repeat could do what counts as refused."""
    effects: list[SagaEffect] = field(default_factory=list)

    def ref(self, saga: str) -> SagaRef:
        return SagaRef(self.journal, saga)

    def put(self, change: SagaChange, *, lazy: bool = False) -> None:
        self.batch.put(change, self.now, lazy=lazy)

    def touch(self, saga: str) -> None:
        self.touched[saga] = None

    def reply(self, caller: SagaCaller, result: object) -> None:
        self._send(caller, "", packb(result))

    def refuse(self, caller: SagaCaller, code: str, text: str, **more: object) -> None:
        self._send(caller, code, packb({"text": text, **more}))

    def refuse_once_proven(self, caller: SagaCaller, code: str, text: str, **more: object) -> None:
        """Refuse for a reason that is true if we still lead, and no longer if another leader has gone on."""
        self.once_proven(caller, partial(self.refuse, caller, code, text, **more))

    def once_proven(
        self, caller: SagaCaller, give: Callable[[], None], *, unwanted: Callable[[], None] = lambda: None,
        done: bool = False,
    ) -> None:  # fmt: skip
        """Answer with `give` once it is proven that we lead now. `unwanted` is called if that is not done because the
        caller waits no longer. `done`: what it asked for may be done already."""
        if not self.held.hold(caller, self.now, give, unwanted=unwanted, done=done):
            unwanted()
            self.refuse(caller, "busy", f"{MAX_HELD} answers wait for a proof of leadership: ask again in a moment")

    def reply_once_proven(self, call: WaitingCall, result: object) -> None:
        """Answer with what may be told if we have led since the call came: an entry that is committed for it shows
        that."""
        if self.held.proven(call.since):
            self.reply(call.caller, result)
        else:
            self.once_proven(call.caller, partial(self.reply, call.caller, result), done=True)

    def _send(self, caller: SagaCaller, code: str, result: bytes) -> None:
        reply = SagaReply(journal=self.journal, number=caller.number, code=code, result=result)
        self.effects.append(SendSagaMessage(caller.node, reply))

    def log(self, kind: str, saga: str, **fields: str | int | float) -> None:
        self.effects.append(LogSagas(kind, (("saga", str(self.ref(saga))), *fields.items())))
