"""The sagas of one process, beside its journals: composed as the daemon does it.

Owns: how effects are carried out, and when timers fire. Never knows: what programs and participants do, or what must
hold (`simulations/checkers/sagas/`).

A program's call gets to the sidecar, and its answer to the program, at once: the local socket takes no time. What
programs say waits while the process is stalled.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Protocol

from msgpack import unpackb

from gossipreg.core.event_membership import EventRegistry
from gossipreg.events.machine import EventsMachine
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.combined import CombinedMachine, part_of
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
from gossipreg.journal.journals import Journals
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId
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
from gossipreg.sagas.saga_messages import SagaMessage
from gossipreg.sagas.saga_model import SagaRef
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.sagas.sagas import Sagas
from simulations.journaling.follower import Follower
from simulations.journaling.process import JournalProcess
from simulations.orchestrating.command_wire import CommandWire
from simulations.orchestrating.observer import SagaObserver
from simulations.orchestrating.saga_run import Told
from simulations.world import START, WALL_MS

_ENDED = (ProcessStanding.LEFT, ProcessStanding.REFUSED, ProcessStanding.SILENT)
_TOLD = AppliedEntry | Confirmed | Deposed | Established | Pausing | RecordsFound | Resumed | Settled
"""What the journals tell those that stand on them."""

_YEARS_MS = 3 * 365 * 86_400_000
"""How wrong the clocks of the walls are, at most."""

Answered = Callable[[str, Any], None]
"""Called with the code and the result of a call."""


class Users(Protocol):
    """The programs of all hosts."""

    def begin(self, process: "SagaProcess") -> None:
        """The sagas of this process are there."""


@dataclass(frozen=True, slots=True)
class _ProcessJournals:
    """What sagas ask of the journals."""

    process: JournalProcess

    @property
    def _journals(self) -> Journals:
        assert self.process.journals is not None, "sagas begin behind the journals"
        return self.process.journals

    def machine(self, journal: JournalId) -> object:
        return part_of(self._journals.machine(journal), SagasMachine)

    def has_takeover(self, journal: JournalId) -> bool:
        return self._journals.has_takeover(journal)

    def kept(self) -> Collection[JournalId]:
        return [id for id, one in self._journals.replicas.items() if not one.data.ended]

    def closed(self) -> bool:
        return False

    def ended(self) -> Collection[JournalId]:
        return [id for id, one in self._journals.replicas.items() if one.data.ended]

    def led_ms(self, journal: JournalId, now: float) -> int:
        return self._journals.led_ms(journal, now)


class SagaProcess(Follower):
    def __init__(
        self, process: JournalProcess, tuning: SagaTuning, users: Users, wire: CommandWire, watcher: SagaObserver
    ) -> None:
        self.process = process
        self.host = process.host
        self.registry = EventRegistry(process.host.node, process.membership)
        self.begun = False
        self.commands: dict[int, SendCommand] = {}
        """Requests that are under way, by number."""
        self.wakes = 0
        """Timers that fired."""
        self._tuning = tuning
        self._users = users
        self._wire = wire
        self._watcher = watcher
        self._waiting: dict[int, Answered] = {}
        """By ticket."""
        self._boots: dict[NodeId, bytes] = {}
        """The process of each member, as far as its row says."""
        self._effects: deque[SagaEffect] = deque()
        self._acting = False
        self._wake_at = inf
        walls = process.world.randomness.of("wall", self.host.number, process.starts)
        self._wall_error_ms = walls.choice([0, walls.randint(-_YEARS_MS, _YEARS_MS)])
        rng = process.world.randomness.of("sagas", self.host.number, process.starts)
        self.sagas = Sagas(
            tuning, node=self.host.id, journals=_ProcessJournals(process), membership=self.registry, rng=rng,
            now_wall_ms=self._wall_ms,
        )  # fmt: skip

    @property
    def runs(self) -> bool:
        return self.begun and self.process.runs

    @property
    def now(self) -> float:
        return self.process.now

    def _wall_ms(self) -> int:
        return WALL_MS + int((self.process.world.now - START) * 1000) + self._wall_error_ms

    # -- the journals ------------------------------------------------------------------------------------------------

    def machine(self, journal: JournalId) -> CombinedMachine:  # noqa: ARG002  all journals have the same
        return CombinedMachine((EventsMachine(EventsTuning()), SagasMachine(self._tuning)))

    def begin(self) -> None:
        self.begun = True
        if self.runs:
            self._users.begin(self)

    def on_journal(self, effect: JournalEffect) -> None:
        if isinstance(effect, _TOLD) and self.process.runs:
            self._watcher.on_journal(self, effect)
            self.act(self.sagas.on_journal(effect, self.now))

    def on_message(self, node: NodeId, message: object) -> None:
        assert isinstance(message, SagaMessage)
        if self.runs:
            self._watcher.on_message(self, node, message)
            boot_id = self.process.membership.member(
                node
            ).boot_id  # also of one that is held for dead: its stream is here
            self.act(self.sagas.received(node, message, self.now, boot_id))

    def on_closed(self, node: NodeId) -> None:
        if self.runs:
            self._watcher.on_closed(self, node)
            self.act(self.sagas.closed(node, self.now))

    def on_members(self, ids: Iterable[NodeId]) -> None:
        ids = tuple(ids)
        self.registry.follow(ids)
        for id in ids:
            self._close_stream_if_gone(id)
        if self.runs:
            self.act(self.sagas.members_changed(self.now))

    def _close_stream_if_gone(self, id: NodeId) -> None:
        """End the stream to a process that does not run any more, as the daemon does."""
        member, peer = self.process.membership.member(id), self.process.world.by_id.get(id)
        before = self._boots.get(id)
        self._boots[id] = member.boot_id
        gone = member.standing in _ENDED or before not in (None, b"", member.boot_id)
        streams = self.process.world.connections
        if gone and peer is not None:
            had = streams.has(self.host, peer)
            streams.close(self.host, peer)
            if had:
                self.process.closed(peer, refused=False)

    # -- for programs ------------------------------------------------------------------------------------------------

    def call(self, method: str, params: Mapping[str, Any], answered: Answered) -> int:
        """Call a method; `answered` is called with what comes of it, unless this process ends before. Returns the
        ticket."""
        self._watcher.on_call(self, method, params)
        ticket, effects = self.sagas.call(method, dict(params), self.now)
        self._waiting[ticket] = answered
        self.act(effects)
        return ticket

    def abandon(self, ticket: int) -> None:
        """The connection of whoever called is closed: nobody waits for this answer any more."""
        if self._waiting.pop(ticket, None) is not None:
            self._watcher.on_abandon(self, ticket)
            self.act(self.sagas.abandon(ticket, self.now))

    def program(self, saga: SagaRef, *, here: bool) -> None:
        """The program of this saga is connected to this sidecar now, or not any more."""
        self._watcher.on_program(self, str(saga), here=here)
        told = self.sagas.program_here if here else self.sagas.program_lost
        self.act(told((saga,), self.now))

    def told(self, told: Told) -> None:
        """A program got this answer."""
        self._watcher.on_told(self, told)

    # -- effects -----------------------------------------------------------------------------------------------------

    def act(self, effects: Iterable[SagaEffect]) -> None:
        """Carry out these effects, behind those that are being carried out."""
        self._effects.extend(effects)
        if self._acting:
            return
        self._acting = True
        while self._effects and self.process.runs:
            self._carry_out(self._effects.popleft())
        self._acting = False
        if self.process.runs:
            self._watcher.after(self)
            self._set_timer()

    def _carry_out(self, effect: SagaEffect) -> None:
        match effect:
            case SendCommand():
                self._send_command(effect)
            case SendSagaMessage():
                self._send(effect)
            case ProposeSagas():
                self._propose(effect)
            case ProveLeadership():
                self._prove(effect)
            case SagaCallAnswered():
                if (answered := self._waiting.pop(effect.ticket, None)) is not None:
                    answered(effect.code, unpackb(effect.result))
            case CommandsUnderWay():
                self.process.input(lambda journals: journals.acts(effect.journal, effect.count, self.now))
            case ReadEndedSagas():
                self.process.input(
                    lambda journals: journals.read_records(effect.journal, effect.keys, effect.number, self.now)
                )
            case OpenSagaJournal():
                self._open()
            case LogSagas():
                self._watcher.on_log(self, effect)

    def _send(self, effect: SendSagaMessage) -> None:
        if effect.node == self.host.id:
            deliver = partial(self.on_message, effect.node, effect.message)
            world = self.process.world
            world.after(0.0, lambda: world.to_process(self.host, deliver, network=False) if self.runs else None)
        else:
            self._watcher.on_send(self, effect.node, effect.message)
            self.process.send(effect.node, effect.message)

    def _send_command(self, effect: SendCommand) -> None:
        self._watcher.on_command(self, effect)
        self.commands[effect.number] = effect
        world = self.process.world

        def done(result: CommandDone) -> None:
            world.to_process(self.host, partial(self._command_done, result), network=True)

        self._wire.send(self.host, effect, done)

    def _command_done(self, done: CommandDone) -> None:
        if self.runs and (command := self.commands.pop(done.number, None)) is not None:
            self._watcher.on_command_done(self, command, done)
            self.act(self.sagas.command_done(done, self.now))

    def _propose(self, effect: ProposeSagas) -> None:
        self._watcher.on_propose(self, effect)
        try:
            self.process.input(
                lambda journals: journals.propose(
                    effect.journal, effect.data, effect.ticket, self.now, kind=SAGA_ENTRY, ends=effect.ends
                )
            )
        except ProposalRefused as refusal:
            self.act(self.sagas.refused(effect.journal, effect.ticket, refusal.code, str(refusal), self.now))

    def _prove(self, effect: ProveLeadership) -> None:
        self._watcher.on_prove(self, effect)
        with suppress(ProposalRefused):  # no proof comes: they ask again
            self.process.input(lambda journals: journals.confirm(effect.journal, effect.number, self.now))

    def _open(self) -> None:
        journals = self.process.journals
        assert journals is not None, "sagas begin behind the journals"
        try:
            journal, effects = journals.open(self.now)
        except ProposalRefused as refusal:
            self.act(self.sagas.not_opened(refusal.code, str(refusal), self.now))
        else:
            self.process.act(effects)
            self.act(self.sagas.opened(journal, self.now))

    # -- time --------------------------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        due = self.sagas.next_deadline()
        if due < self._wake_at:
            self._wake_at = due
            world, wake = self.process.world, partial(self._on_wake, due)
            when = max(self.host.world_time(due), world.now)
            world.at(when, lambda: world.to_process(self.host, wake, network=False) if self.runs else None)

    def _on_wake(self, due: float) -> None:
        if due != self._wake_at or not self.runs:
            return
        self._wake_at = inf
        if self.sagas.next_deadline() > due:
            self._set_timer()  # the timer was cancelled
            return
        self.wakes += 1
        self.act(self.sagas.advance(max(self.now, due)))
