"""Sidecars with sagas over real journals: real `Journals`, in-memory disks and streams, a membership that comes late.

Owns: what is carried out for the sagas of each process, and the participants. Never knows: who leads, or what is
committed: the journals say so. `bench.py` has the same over a journal that a test moves by hand.
"""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Any

import msgpack

from gossipreg.journal.copies import candidates
from gossipreg.journal.effects import (
    AppliedEntry,
    Confirmed,
    Deposed,
    Established,
    JournalEffect,
    Pausing,
    RecordsFound,
    Resumed,
    Settled,
)
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.messages import ReplicaMessage
from gossipreg.journal.model import Configuration, JournalId
from gossipreg.model import BootId, NodeId
from gossipreg.sagas.machine import SagasMachine
from gossipreg.sagas.saga_effects import (
    CommandDone,
    CommandsUnderWay,
    OpenSagaJournal,
    ProposeSagas,
    ProveLeadership,
    ReadEndedSagas,
    SagaCallAnswered,
    SagaEffect,
    SendCommand,
    SendSagaMessage,
)
from gossipreg.sagas.saga_entries import SAGA_ENTRY
from gossipreg.sagas.saga_message_codec import decode_saga_message_untrusted, encode_saga_message
from gossipreg.sagas.saga_messages import SagaMessage
from gossipreg.sagas.saga_model import SagaRef, read_saga
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.sagas.sagas import Sagas
from tests.journal.cluster import Cluster, Sidecar
from tests.sagas.bench_parts import Answer, Attempt, Participant

_TOLD = AppliedEntry | Confirmed | Deposed | Established | Pausing | RecordsFound | Resumed | Settled
WALL_MS = 1_700_000_000_000


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a program, which may be answered."""

    process: "SagaProcess"
    ticket: int

    @property
    def answer(self) -> tuple[str, Any] | None:
        return self.process.answers.get(self.ticket)


class _Members:
    """See `SagaMembership`: from the rows that its sidecar has seen."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar

    @property
    def synced(self) -> bool:
        return self._sidecar.view.synced_at is not None

    def leader(self, journal: JournalId) -> NodeId | None:
        claims = [one for one in self._sidecar.view.claims(journal) if self.process(one.node) == one.boot_id]
        return max(claims).node if claims else None

    def leaders(self) -> list[NodeId]:
        return [node for node, (_, claims) in self._sidecar.view.rows.items() if claims and self.process(node)]

    def claimed(self) -> set[JournalId]:
        return {journal for _, claims in self._sidecar.view.rows.values() for journal in claims}

    def may_remember(self, journal: JournalId) -> list[NodeId]:
        return [host.node for host in candidates(journal, Configuration(()), (), self._sidecar.view.hosts())]

    def process(self, node: NodeId) -> bytes:
        seen = self._sidecar.view.member(node)
        return seen.boot_id if seen.standing is ProcessStanding.LIVES else b""


class _Journals:
    """See `SagaJournals`."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar = sidecar

    def machine(self, journal: JournalId) -> object:
        return self._sidecar.journals.machine(journal)

    def has_takeover(self, journal: JournalId) -> bool:
        return self._sidecar.journals.has_takeover(journal)

    def kept(self) -> list[JournalId]:
        return [id for id, one in self._sidecar.journals.replicas.items() if not one.data.ended]

    def closed(self) -> bool:
        return False

    def ended(self) -> list[JournalId]:
        return [id for id, one in self._sidecar.journals.replicas.items() if one.data.ended]

    def led_ms(self, journal: JournalId, now: float) -> int:
        return self._sidecar.journals.led_ms(journal, now)


class SagaCluster(Cluster):
    def __init__(self, seed: int, members: int = 3, tuning: SagaTuning | None = None) -> None:
        self.saga_tuning = tuning or SagaTuning()
        self.processes: dict[int, SagaProcess] = {}
        """By number of the sidecar: the sagas of its present, or last, process."""
        self.participants: dict[str, Participant] = {}
        self.attempts: list[Attempt] = []
        super().__init__(seed, members, machine=lambda: SagasMachine(self.saga_tuning))

    # -- what goes to the sagas, beside the journals -------------------------------------------------------------------

    def start(self, sidecar: Sidecar) -> None:
        self.processes[sidecar.number] = SagaProcess(self, sidecar)
        super().start(sidecar)

    def act(self, sidecar: Sidecar, effects: list[JournalEffect]) -> None:
        super().act(sidecar, effects)
        self.processes[sidecar.number].told(effects)

    def _told(self, viewer: Sidecar, about: Sidecar, boot: BootId, standing: ProcessStanding) -> None:
        super()._told(viewer, about, boot, standing)
        self.processes[viewer.number].members_changed()

    def _sync(self, sidecar: Sidecar, boot: BootId) -> None:
        super()._sync(sidecar, boot)
        self.processes[sidecar.number].members_changed()

    def _failed(self, sidecar: Sidecar, boot: BootId, other: Sidecar, *, refused: bool = False) -> None:
        super()._failed(sidecar, boot, other, refused=refused)
        if sidecar.up and sidecar.boot == boot:
            self.processes[sidecar.number].closed(other.node)

    def send(self, sender: Sidecar, node: NodeId, message: SagaMessage) -> None:
        """Over the stream on which the journals speak, too."""
        self._send(sender, self.by_node[node], message)  # type: ignore[arg-type]  # it takes the messages of all

    def _deliver(
        self, pair: tuple[int, int], generation: int, sender: Sidecar, receiver: Sidecar, message: ReplicaMessage
    ) -> None:
        if not isinstance(message, SagaMessage):
            super()._deliver(pair, generation, sender, receiver, message)
        elif self.streams.get(pair) == generation and receiver.up:
            self._closed(receiver, receiver.boot, sender)
            self.processes[receiver.number].received(sender, message)

    # -- for tests -----------------------------------------------------------------------------------------------------

    def call(self, at: Sidecar, method: str, begins_in: JournalId | None = None, **params: Any) -> Call:
        return self.processes[at.number].call(method, params, begins_in)

    def ask(self, at: Sidecar, method: str, **params: Any) -> tuple[str, Any]:
        """Call, and wait for (code, answer)."""
        call = self.call(at, method, **params)
        assert self.until(lambda: call.answer is not None, 60.0), f"{method} is not answered"
        assert call.answer is not None
        return call.answer

    def begin(self, at: Sidecar, id: str) -> SagaRef:
        """A saga whose program is connected to this sidecar."""
        code, answer = self.ask(at, "begin", name="create-order", id=id)
        assert not code, (code, answer)
        saga = read_saga(answer["saga"])
        assert saga is not None
        self.connect(at, saga)
        return saga

    def connect(self, at: Sidecar, saga: SagaRef) -> None:
        """The program of this saga speaks over this sidecar from now on."""
        process = self.processes[at.number]
        process.act(process.sagas.program_here([saga], self.now))

    def machine_of(self, at: Sidecar, journal: JournalId) -> SagasMachine:
        machine = at.journals.machine(journal)
        assert isinstance(machine, SagasMachine)
        return machine

    def sent(self, name: str) -> list[Attempt]:
        """The attempts of a step, or `STEP/undo`."""
        return [attempt for attempt in self.attempts if attempt.name == name]


class SagaProcess:
    """The sagas of one process of a sidecar."""

    def __init__(self, cluster: SagaCluster, sidecar: Sidecar) -> None:
        self._cluster = cluster
        self.sidecar = sidecar
        self._starts = sidecar.starts + 1
        self._effects: deque[SagaEffect] = deque()
        self._told: deque[JournalEffect] = deque()
        self._acting = False
        self._wake_at = inf
        self.answers: dict[int, tuple[str, Any]] = {}
        self.sagas = Sagas(
            cluster.saga_tuning, node=sidecar.node, journals=_Journals(sidecar), membership=_Members(sidecar),
            rng=cluster.rng, now_wall_ms=lambda: WALL_MS + int(cluster.now * 1000),
        )  # fmt: skip

    @property
    def runs(self) -> bool:
        return self.sidecar.up and self.sidecar.starts == self._starts

    # -- inputs --------------------------------------------------------------------------------------------------------

    def told(self, effects: Iterable[JournalEffect]) -> None:
        """What the journals say; behind what they said before, and what follows from that."""
        self._told.extend(effect for effect in effects if isinstance(effect, _TOLD))
        self.act([])

    def members_changed(self) -> None:
        self._input(lambda: self.sagas.members_changed(self._cluster.now))

    def closed(self, node: NodeId) -> None:
        self._input(lambda: self.sagas.closed(node, self._cluster.now))

    def received(self, sender: Sidecar, message: SagaMessage) -> None:
        """As the bytes that it is on a stream."""
        decoded = decode_saga_message_untrusted(encode_saga_message(message))
        assert decoded == message
        self._input(lambda: self.sagas.received(sender.node, decoded, self._cluster.now, sender.boot))

    def call(self, method: str, params: dict[str, Any], begins_in: JournalId | None = None) -> Call:
        assert self.runs, "a program speaks to a sidecar that runs"
        ticket, effects = self.sagas.call(method, params, self._cluster.now, begins_in)
        self.act(effects)
        return Call(self, ticket)

    def _input(self, give: Callable[[], list[SagaEffect]]) -> None:
        if self.runs:
            self.act(give())

    # -- effects -------------------------------------------------------------------------------------------------------

    def act(self, effects: Iterable[SagaEffect]) -> None:
        self._effects.extend(effects)
        if self._acting:
            return
        self._acting = True
        while self.runs and (self._effects or self._told):
            if self._effects:
                self._carry_out(self._effects.popleft())
            else:
                self._effects.extend(self.sagas.on_journal(self._told.popleft(), self._cluster.now))
        self._acting = False
        self._arm()

    def _carry_out(self, effect: SagaEffect) -> None:
        cluster, sidecar, now = self._cluster, self.sidecar, self._cluster.now
        match effect:
            case ProposeSagas():
                self._propose(effect)
            case ProveLeadership():
                with suppress(ProposalRefused):  # it is asked for again
                    cluster.act(sidecar, sidecar.journals.confirm(effect.journal, effect.number, now))
            case CommandsUnderWay():
                cluster.act(sidecar, sidecar.journals.acts(effect.journal, effect.count, now))
            case ReadEndedSagas():
                cluster.act(sidecar, sidecar.journals.read_records(effect.journal, effect.keys, effect.number, now))
            case OpenSagaJournal():
                self._open()
            case SendCommand():
                self._send_command(effect)
            case SendSagaMessage():
                cluster.send(sidecar, effect.node, effect.message)
            case SagaCallAnswered():
                self.answers[effect.ticket] = effect.code, msgpack.unpackb(effect.result)

    def _propose(self, effect: ProposeSagas) -> None:
        sidecar, now = self.sidecar, self._cluster.now
        try:
            proposed = sidecar.journals.propose(
                effect.journal, effect.data, effect.ticket, now, kind=SAGA_ENTRY, ends=effect.ends
            )
        except ProposalRefused as refusal:
            self._effects.extend(self.sagas.refused(effect.journal, effect.ticket, refusal.code, str(refusal), now))
        else:
            self._cluster.act(sidecar, proposed)

    def _open(self) -> None:
        now = self._cluster.now
        try:
            journal, effects = self.sidecar.journals.open(now)
        except ProposalRefused as refusal:
            self._effects.extend(self.sagas.not_opened(refusal.code, str(refusal), now))
        else:
            self._cluster.act(self.sidecar, effects)
            self._effects.extend(self.sagas.opened(journal, now))

    def _send_command(self, sent: SendCommand) -> None:
        cluster, command = self._cluster, sent.command
        attempt = Attempt(
            cluster.now, self.sidecar.node, self.sidecar.boot, sent.number, command.service, command.method,
            command.path, command.body, {**dict(command.headers), **dict(sent.headers)}, sent.timeout_s, sent.avoid,
        )  # fmt: skip
        cluster.attempts.append(attempt)
        participant = cluster.participants.get(command.service)
        answer = Answer() if participant is None else participant(attempt)
        if answer is None or answer.lost or answer.after_s >= sent.timeout_s:
            cluster.after(sent.timeout_s, lambda: self._done(sent, Answer(0, b"")))
        else:
            cluster.after(answer.after_s, lambda: self._done(sent, answer))

    def _done(self, sent: SendCommand, answer: Answer) -> None:
        done = CommandDone(
            sent.number, answer.sent, answer.status, answer.body, False, "application/json", answer.retry_after_s,
            f"{sent.command.service}:1", "" if answer.status else "no answer came",
        )  # fmt: skip
        self._input(lambda: self.sagas.command_done(done, self._cluster.now))

    # -- time ----------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        if not self.runs:
            return
        due = max(self.sagas.next_deadline(), self._cluster.now)
        if due < self._wake_at:
            self._wake_at = due
            self._cluster.after(due - self._cluster.now, lambda: self._wake(due))

    def _wake(self, due: float) -> None:
        if self._wake_at == due:
            self._wake_at = inf
            self._input(lambda: self.sagas.advance(self._cluster.now))
