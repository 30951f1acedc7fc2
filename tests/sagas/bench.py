"""Sidecars with sagas over one journal that a test moves, and participants that it writes, in virtual time.

Owns: the journal (which is a list: an entry commits after a while, or when the test says), who leads, and the network.
What the contract says of every attempt is checked as it is made: `Bench.faults` has what was wrong.

    program -> Sagas of a sidecar -> Sagas of the leader -> entries, proofs -> commands -> participants
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

import msgpack

from gossipreg.journal.effects import (
    AppliedEntry,
    Confirmed,
    Deposed,
    Established,
    Pausing,
    ProposalOutcome,
    RecordsFound,
    Resumed,
    Settled,
)
from gossipreg.journal.model import Ballot, JournalId, LogEntry, ReplicaId
from gossipreg.journal.state import Records
from gossipreg.model import NodeId
from gossipreg.sagas.machine import SagasMachine
from gossipreg.sagas.saga_effects import (
    CommandDone,
    CommandsUnderWay,
    LogSagas,
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
from gossipreg.sagas.saga_model import SagaRef
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.sagas.sagas import Sagas
from tests.sagas.bench_parts import (
    COMMIT_S,
    JOURNAL,
    NETWORK_S,
    START,
    Answer,
    Attempt,
    BenchJournals,
    BenchView,
    Participant,
    SagaSidecar,
    Ticket,
    attempt_faults,
    step,
)


class Bench:
    def __init__(self, members: int = 1, tuning: SagaTuning | None = None, seed: int = 1) -> None:
        self.tuning = tuning or SagaTuning()
        self.rng = random.Random(seed)
        self.now = START
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self.sidecars: list[SagaSidecar] = []
        self.by_node: dict[NodeId, SagaSidecar] = {}
        self.log: list[LogEntry] = []
        """What is committed."""
        self.waiting: deque[tuple[SagaSidecar, ProposeSagas]] = deque()
        self.leader: SagaSidecar | None = None
        """Who leads in truth, whatever others believe."""
        self.led_since = self.now
        self.round = 0
        self.auto = True  # entries commit by themselves
        self.proves = True
        self.refuses: Callable[[ProposeSagas], tuple[str, str] | None] = lambda _: None
        self.participants: dict[str, Participant] = {}
        self.attempts: list[Attempt] = []
        self.under_way: dict[tuple[bytes, int], Attempt] = {}
        self.answers: dict[Ticket, tuple[str, Any]] = {}
        self.logged: list[LogSagas] = []
        self.acts: list[int] = []
        self.claimed: set[JournalId] = set()
        self.ended: dict[NodeId, set[JournalId]] = {}
        self.closed = False  # their disks can be read
        self.keepers: dict[JournalId, list[NodeId]] = {}
        self.whereabouts: dict[JournalId, str] = {}
        self.cut: set[frozenset[NodeId]] = set()
        self.faults: list[str] = []
        self.entries = 0
        self.proofs = 0
        for _ in range(members):
            self._add()
        self.lead(self.sidecars[0])

    # -- processes -----------------------------------------------------------------------------------------------------

    def _add(self) -> None:
        place = len(self.sidecars)
        node = NodeId(bytes([place + 1]) * 16)
        sidecar = SagaSidecar(
            node, self.rng.randbytes(8), self._sagas(node, place), SagasMachine(self.tuning), Records({})
        )
        sidecar.machine.load(sidecar.records)
        self.sidecars.append(sidecar)
        self.by_node[node] = sidecar

    def _sagas(self, node: NodeId, place: int) -> Sagas:
        return Sagas(
            self.tuning, node=node, journals=BenchJournals(self, place), membership=BenchView(self),
            rng=random.Random(self.rng.random()), now_wall_ms=lambda: int(self.now * 1000) + 1_700_000_000_000,
            whereabouts=lambda journal: self.whereabouts.get(journal, ""),
        )  # fmt: skip

    def crash(self, sidecar: SagaSidecar) -> None:
        """End the process; what it has asked others for is lost."""
        sidecar.up = sidecar.leads = False
        sidecar.effects.clear()
        if self.leader is sidecar:
            self.waiting.clear()
            self.leader = None
        for other in self.sidecars:
            if other is not sidecar and other.up:
                self.act(other, other.sagas.closed(sidecar.node, self.now))
        self.members_changed()

    def restart(self, sidecar: SagaSidecar) -> None:
        place = self.sidecars.index(sidecar)
        sidecar.up, sidecar.boot = True, self.rng.randbytes(8)
        sidecar.sagas, sidecar.wake_at = self._sagas(sidecar.node, place), float("inf")
        sidecar.effects.clear()
        self.members_changed()

    def members_changed(self) -> None:
        for sidecar in self.sidecars:
            if sidecar.up:
                self.act(sidecar, sidecar.sagas.members_changed(self.now))

    # -- who leads -----------------------------------------------------------------------------------------------------

    def lead(self, sidecar: SagaSidecar, *, fenced: bool = False) -> None:
        """Another leader; `fenced`: the one of before does not know it yet."""
        before, self.leader = self.leader, None
        self.waiting.clear()
        self.round += 1
        for one in {id(one): one for one in (before, sidecar) if one is not None}.values():
            if one.leads and not (fenced and one is not sidecar):
                self.depose(one)
        self.leader, self.led_since = sidecar, self.now
        self._apply(sidecar)
        sidecar.leads = True
        ballot = Ballot(self.round, ReplicaId(sidecar.node))
        self.act(sidecar, sidecar.sagas.on_journal(Established(JOURNAL, ballot), self.now))
        self.members_changed()

    def depose(self, sidecar: SagaSidecar) -> None:
        sidecar.leads = False
        ballot = Ballot(self.round, ReplicaId(sidecar.node))
        self.act(sidecar, sidecar.sagas.on_journal(Deposed(JOURNAL, ballot, "another one leads"), self.now))

    def led_ms(self, now: float) -> int:
        """Somebody leads at any time, for led time."""
        return int((now - START) * 1000)

    def pause(self) -> None:
        assert self.leader is not None
        self._tell(Pausing(JOURNAL, Ballot(self.round, ReplicaId(self.leader.node))))

    def resume(self) -> None:
        assert self.leader is not None
        self._tell(Resumed(JOURNAL, Ballot(self.round, ReplicaId(self.leader.node))))

    def _tell(self, effect: Pausing | Resumed) -> None:
        assert self.leader is not None
        self.act(self.leader, self.leader.sagas.on_journal(effect, self.now))

    # -- time ----------------------------------------------------------------------------------------------------------

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + seconds, next(self._order), call))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self.now, _, call = heapq.heappop(self._heap)
            call()
        self.now = end

    def until(self, condition: Callable[[], bool], limit_s: float = 30.0) -> None:
        end = self.now + limit_s
        while not condition():
            assert self.now < end, "it does not come"
            self.now = min(self._heap[0][0], end) if self._heap else end
            self.run(0.0)

    def _arm(self, sidecar: SagaSidecar) -> None:
        due = max(sidecar.sagas.next_deadline(), self.now)
        if due < sidecar.wake_at:
            sidecar.wake_at = due
            self.after(due - self.now, lambda: self._wake(sidecar, due, sidecar.boot))

    def _wake(self, sidecar: SagaSidecar, due: float, boot: bytes) -> None:
        if sidecar.up and sidecar.boot == boot and sidecar.wake_at == due:
            sidecar.wake_at = float("inf")
            self.act(sidecar, sidecar.sagas.advance(self.now) if sidecar.sagas.next_deadline() <= self.now else [])

    # -- effects -------------------------------------------------------------------------------------------------------

    def act(self, sidecar: SagaSidecar, effects: list[SagaEffect]) -> None:
        """Carry these out, in their order, behind those that are being carried out."""
        sidecar.effects.extend(effects)
        if sidecar.acting:
            return
        sidecar.acting = True
        while sidecar.effects:
            self._carry_out(sidecar, sidecar.effects.popleft())
        sidecar.acting = False
        if sidecar.up:
            self._arm(sidecar)

    def _carry_out(self, sidecar: SagaSidecar, effect: SagaEffect) -> None:
        match effect:
            case ProposeSagas():
                self._propose(sidecar, effect)
            case ProveLeadership():
                self.proofs += 1
                if sidecar is self.leader and self.proves:
                    self._prove(sidecar, effect.number)
            case SendCommand():
                self._send(sidecar, effect)
            case SendSagaMessage():
                self._message(sidecar, effect)
            case OpenSagaJournal():
                self.act(sidecar, sidecar.sagas.opened(JOURNAL, self.now))
            case ReadEndedSagas():
                values = tuple(map(sidecar.records.in_memory, effect.keys))
                found = RecordsFound(JOURNAL, effect.number, values)
                self.act(sidecar, sidecar.sagas.on_journal(found, self.now))
            case SagaCallAnswered():
                self.answers[sidecar.boot, effect.ticket] = effect.code, msgpack.unpackb(effect.result)
            case CommandsUnderWay():
                self.acts.append(effect.count)
            case LogSagas():
                self.logged.append(effect)

    def _prove(self, sidecar: SagaSidecar, number: int) -> None:
        confirmed = Confirmed(JOURNAL, number)
        self.after(NETWORK_S, lambda: self._to(sidecar, lambda: sidecar.sagas.on_journal(confirmed, self.now)))

    def _to(self, sidecar: SagaSidecar, call: Callable[[], list[SagaEffect]]) -> None:
        if sidecar.up:
            self.act(sidecar, call())

    def _message(self, sidecar: SagaSidecar, effect: SendSagaMessage) -> None:
        other, boot, sender = self.by_node[effect.node], self.by_node[effect.node].boot, sidecar.boot

        def arrive() -> None:
            if other.up and other.boot == boot and frozenset((sidecar.node, other.node)) not in self.cut:
                self.act(other, other.sagas.received(sidecar.node, effect.message, self.now, sender))
            else:
                self._to(sidecar, lambda: sidecar.sagas.closed(other.node, self.now))

        self.after(NETWORK_S, arrive)

    def break_stream(self, one: SagaSidecar, other: SagaSidecar) -> None:
        self._to(one, lambda: one.sagas.closed(other.node, self.now))
        self._to(other, lambda: other.sagas.closed(one.node, self.now))

    # -- the journal ---------------------------------------------------------------------------------------------------

    def _propose(self, sidecar: SagaSidecar, effect: ProposeSagas) -> None:
        refused = self.refuses(effect)
        if not sidecar.leads:
            refused = "unavailable", "this sidecar does not lead that journal"
        if refused is not None:
            self.act(sidecar, sidecar.sagas.refused(JOURNAL, effect.ticket, *refused, self.now))
        elif sidecar is self.leader:
            self.waiting.append((sidecar, effect))
            if self.auto:
                self.after(COMMIT_S, self.commit)

    def commit(self) -> None:
        """Commit the entry that waits the longest."""
        if not self.waiting:
            return
        sidecar, effect = self.waiting.popleft()
        led_ms = self.led_ms(self.now)
        ballot = Ballot(self.round, ReplicaId(sidecar.node))
        entry = LogEntry(len(self.log) + 1, ballot, led_ms, SAGA_ENTRY, effect.data)
        self.log.append(entry)
        self.entries += 1
        self._apply(sidecar, effect.ticket)

    def _apply(self, sidecar: SagaSidecar, ticket: int | None = None) -> None:
        for entry in self.log[sidecar.applied :]:
            facts = sidecar.machine.apply(entry, sidecar.records)
            sidecar.applied = entry.index
            self.act(sidecar, sidecar.sagas.on_journal(AppliedEntry(JOURNAL, entry, facts), self.now))
        if ticket is not None:
            settled = Settled(JOURNAL, ticket, ProposalOutcome.COMMITTED, len(self.log), 3)
            self.act(sidecar, sidecar.sagas.on_journal(settled, self.now))

    @property
    def truth(self) -> SagasMachine:
        """What is committed."""
        leader = self.leader or max(self.sidecars, key=lambda sidecar: sidecar.applied)
        self._apply(leader)
        return leader.machine

    # -- participants --------------------------------------------------------------------------------------------------

    def _send(self, sidecar: SagaSidecar, effect: SendCommand) -> None:
        command = effect.command
        attempt = Attempt(
            self.now, sidecar.node, sidecar.boot, effect.number, command.service, command.method, command.path,
            command.body, {**dict(command.headers), **dict(effect.headers)}, effect.timeout_s, effect.avoid,
        )  # fmt: skip
        late_s = 0.0 if sidecar is self.leader else self.now - self.led_since
        self.faults += attempt_faults(attempt, self.truth, self.under_way.values(), late_s)
        self.attempts.append(attempt)
        self.under_way[attempt.boot, attempt.number] = attempt
        participant = self.participants.get(attempt.service)
        answer = Answer() if participant is None else participant(attempt)
        if answer is None or answer.lost or answer.after_s >= effect.timeout_s:
            self.after(effect.timeout_s, lambda: self.answer(attempt, Answer(0, b"")))
        else:
            self.after(answer.after_s, lambda: self.answer(attempt, answer))

    def answer(self, attempt: Attempt, answer: Answer) -> None:
        """An attempt is over, unless it was."""
        sidecar = self.by_node[attempt.node]
        if self.under_way.pop((attempt.boot, attempt.number), None) is None or attempt.boot != sidecar.boot:
            return
        done = CommandDone(
            attempt.number, answer.sent, answer.status, answer.body, False, "application/json", answer.retry_after_s,
            f"{attempt.service}:1" if answer.sent else "", "" if answer.status else "no answer came",
        )  # fmt: skip
        self._to(sidecar, lambda: sidecar.sagas.command_done(done, self.now))

    def sent(self, name: str) -> list[Attempt]:
        """The attempts of a step, or `STEP/undo`."""
        return [attempt for attempt in self.attempts if attempt.name == name]

    @property
    def names(self) -> list[str]:
        """Of all attempts, in their order."""
        return [attempt.name for attempt in self.attempts]

    # -- programs ------------------------------------------------------------------------------------------------------

    def call(
        self, method: str, at: SagaSidecar | None = None, begins_in: JournalId | None = None, **params: Any
    ) -> Ticket:
        sidecar = at or self.sidecars[0]
        ticket, effects = sidecar.sagas.call(method, params, self.now, begins_in)
        self.act(sidecar, effects)
        return sidecar.boot, ticket

    def ask(self, method: str, at: SagaSidecar | None = None, **params: Any) -> tuple[str, Any]:
        """Call, and wait for (code, answer)."""
        ticket = self.call(method, at, **params)
        self.until(lambda: ticket in self.answers, 600.0)
        return self.answers[ticket]

    def ok(self, method: str, at: SagaSidecar | None = None, **params: Any) -> Any:
        code, answer = self.ask(method, at, **params)
        assert not code, (code, answer)
        return answer

    def begin(self, id: str = "s1", at: SagaSidecar | None = None, **params: Any) -> str:
        """A saga by code; returns its full name."""
        saga = self.ok("begin", at, name="create-order", id=id, **params)["saga"]
        assert isinstance(saga, str)
        sidecar = at or self.sidecars[0]
        self.act(sidecar, sidecar.sagas.program_here([SagaRef(JOURNAL, id)], self.now))
        return saga

    def step(self, saga: str, name: str, at: SagaSidecar | None = None, **fields: Any) -> tuple[str, Any]:
        return self.ask("step", at, saga=saga, step=step(name, **fields))

    def lose_program(self, saga: str, at: SagaSidecar | None = None) -> None:
        sidecar = at or self.sidecars[0]
        ref = SagaRef(JOURNAL, saga.partition(".")[2])
        self.act(sidecar, sidecar.sagas.program_lost([ref], self.now))

    def story(self, saga: str) -> Any:
        return self.ok("show", saga=saga)


def is_over(bench: Bench) -> bool:
    return not bench.truth.open
