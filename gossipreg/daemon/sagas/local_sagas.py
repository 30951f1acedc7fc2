"""The sagas of this sidecar, over its journals, its streams and its local clients.

Owns: who waits for the answer of a call, and the commands that are under way here. Never knows: how a saga is kept,
decided or undone; `gossipreg/sagas/` does. It follows the journals beside the events (`events_and_sagas.py`), and each
of its effects is carried out in their order, behind those that are being carried out.
"""

import os
import random
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from gossipreg.daemon.clock import wall_ms
from gossipreg.daemon.journals.journal_share import JournalShare
from gossipreg.daemon.journals.led_journals import JournalsOfRuntime
from gossipreg.daemon.part_timers import PartTimers
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.sagas.saga_answer import (
    SENT_ANYWAY,
    SagaAnswer,
    raise_error,
    saga_answer_untrusted,
    unwanted_answer,
)
from gossipreg.daemon.sagas.saga_programs import SagaPrograms
from gossipreg.daemon.sagas.saga_reports import SagaReports
from gossipreg.daemon.sagas.saga_spans import SagaSpans
from gossipreg.daemon.sagas.sagas_shown import SagasShown
from gossipreg.daemon.sagas.secrets_folder import SecretsFolder
from gossipreg.daemon.socket_client import Params, SocketClient
from gossipreg.daemon.streams.inbox import StreamClosed, StreamNews, StreamReceived
from gossipreg.errors import REQUEST_ERRORS, NoDataDirectory, NotFound, NotSynced, Unavailable
from gossipreg.journal.effects import JournalEffect
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.sagas import saga_tuning
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
    TellSagaOver,
)
from gossipreg.sagas.saga_entries import SAGA_ENTRY
from gossipreg.sagas.saga_membership import SagaMembership
from gossipreg.sagas.saga_messages import SagaMessage
from gossipreg.sagas.saga_model import SagaRef
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.sagas.sagas import Sagas
from gossipreg.tracing import NO_TRACER, Tracer

if TYPE_CHECKING:
    from gossipreg.core.node import Node
    from gossipreg.daemon.audit import Audit
    from gossipreg.daemon.logs import Log
    from gossipreg.daemon.sagas.command_sender import CommandSender
    from gossipreg.daemon.troubles import Troubles
    from gossipreg.rights import Rights
    from gossipreg.wire.shapes import Shape

SagaMethod = Callable[["LocalSagas", Params, SocketClient], Awaitable[bytes]]

_NO_DISK = "this sidecar has no disk to keep sagas on: start it with --data-dir DIR"
_NO_SAGA = "-"
"""An id that no saga has: whoever leads a journal answers `not_found`."""


class _Waiter:
    __slots__ = ("answer", "event")

    def __init__(self) -> None:
        self.event = trio.Event()
        self.answer: SagaCallAnswered | None = None


class LocalSagas:
    def __init__(
        self, node: "Node", pump: Pump, log: "Log", troubles: "Troubles", *, rights: "Rights", audit: "Audit",
        secrets: str | None, methods: "Mapping[str, SagaMethod]", tuning: SagaTuning = saga_tuning.default,
        tracer: Tracer = NO_TRACER,
    ) -> None:  # fmt: skip
        """`secrets` is the folder of `--secrets`; `methods` are those of the local socket, by name. `begin` comes
        next."""
        self.rights = rights
        self.audit = audit
        self.tuning = tuning
        self.name = node.name(node.id)
        self.reports = SagaReports(log, troubles)
        self._spans = SagaSpans(tracer)
        self.programs = SagaPrograms(self._program_here, self._program_lost)
        self._methods = methods
        self._node = node
        self._pump = pump
        self._secrets = SecretsFolder(secrets)
        self._rng = random.Random(os.urandom(16))
        self._share: JournalShare | None = None
        self._sagas: Sagas | None = None
        self._shown: SagasShown | None = None
        self._sender: CommandSender | None = None
        self._commands: trio.Nursery | None = None
        self._waiters: dict[int, _Waiter] = {}
        self._effects: deque[SagaEffect] = deque()
        self._acting = False
        self._timers = PartTimers(
            pump, "sagas_advance", deadline=lambda: self.sagas.next_deadline(), advance=self._advance
        )  # fmt: skip

    def begin(
        self, share: JournalShare, membership: SagaMembership, whereabouts: Callable[[JournalId], str] = lambda _: ""
    ) -> None:
        """The runtime that this follows is there; it has no journals yet. `whereabouts`: as for `Sagas`."""
        self._share = share
        journals = JournalsOfRuntime(share.runtime, SagasMachine)
        self._sagas = Sagas(
            self.tuning, node=self._node.id, journals=journals, membership=membership, rng=self._rng,
            now_wall_ms=wall_ms, whereabouts=whereabouts,
        )  # fmt: skip
        self._shown = SagasShown(
            self._sagas, journals, self.programs, self.reports.counts, calls=lambda: len(self._waiters),
            commands=lambda: 0 if self._sender is None else self._sender.running,
        )  # fmt: skip

    @property
    def synced(self) -> bool:
        """Whether this sidecar knows the cluster, and so whom to ask."""
        return not self._node.knowledge.partial

    @property
    def why_not_synced(self) -> str:
        """In words; empty where it is."""
        return self._node.why_not_synced(self._pump.now())

    def member_name(self, node: NodeId) -> str:
        return self._node.name(node)

    @property
    def share(self) -> JournalShare:
        assert self._share is not None, "begin comes first"
        return self._share

    @property
    def sagas(self) -> Sagas:
        assert self._sagas is not None, "begin comes first"
        return self._sagas

    # -- what people see ---------------------------------------------------------------------------------------------

    def section(self) -> "Shape":
        """The section `sagas` of `info`; empty where nothing here has used sagas."""
        return {} if self._shown is None else self._shown.section(self._pump.now())

    def figures(self) -> dict[str, int]:
        """Figures and counters, for `info` and the metrics."""
        return {} if self._shown is None else self._shown.counts()

    def look(self) -> None:
        """See what an operator should know: now and then."""
        if self._shown is not None:
            self.reports.stuck(self._shown.stuck())

    # -- for local clients -------------------------------------------------------------------------------------------

    async def call(self, method: str, params: Params, client: SocketClient) -> bytes:
        """A method of the local socket about sagas."""
        return await self._methods[method](self, params, client)

    async def own_journal(self, client: SocketClient) -> JournalId:
        """Where the sagas of programs here begin; opened if there is none. It is named once a leader answers for it: it
        is on the disk then, and a restart does not forget what a program has written down. Raises RequestError."""
        if self.share.runtime.disk is None:
            raise NoDataDirectory(_NO_DISK)
        hint = self.share.runtime.disk_hint()
        try:
            journal = self._open_own()
        except ProposalRefused as refusal:
            raise REQUEST_ERRORS.get(refusal.code, Unavailable)(f"{refusal}{hint}") from None
        answer = await self._answer("show", {"saga": str(SagaRef(journal, _NO_SAGA))}, client, None)
        if answer.code not in ("", NotFound.code):
            raise_error(answer.with_hint(hint))
        return journal

    async def ask(
        self, method: str, params: Mapping[str, Any], client: SocketClient, journal: JournalId | None = None
    ) -> SagaAnswer:
        """Make a call, and wait for what comes of it. A client that hangs up meanwhile is noticed: it may be the
        program of sagas. Nothing is waited for on behalf of one that is gone, but what it has begun or decided.
        `journal`: where a saga begins; None: in that of this sidecar. Raises RequestError."""
        if method in ("begin", "run") and journal is None and self.share.runtime.disk is None:
            raise NoDataDirectory(_NO_DISK)
        given = dict(params)
        with self._spans.begin(method, given) as span:
            answer = await self._answer(method, given, client, journal)
            if answer.code and answer.code != "exists":
                span.end(answer.code)
        if answer.code == NotSynced.code and not self.synced:
            answer = answer.with_hint(f": {self.why_not_synced}", (NotSynced.code,))
        return answer.with_hint(self.share.runtime.disk_hint()) if method in ("begin", "run") else answer

    async def _answer(
        self, method: str, params: dict[str, Any], client: SocketClient, journal: JournalId | None
    ) -> SagaAnswer:
        ticket, effects = self.sagas.call(method, params, self._pump.now(), journal)
        waiter = self._waiters[ticket] = _Waiter()
        self._carry_out(effects)
        try:
            async with trio.open_nursery() as nursery:
                over = nursery.cancel_scope
                nursery.start_soon(self._notice_end, client, None if method in SENT_ANYWAY else over)
                await waiter.event.wait()
                over.cancel()
        finally:
            del self._waiters[ticket]
            if waiter.answer is None:
                self._carry_out(self.sagas.abandon(ticket, self._pump.now()))
        if waiter.answer is None:
            return unwanted_answer(method)
        return saga_answer_untrusted(method, waiter.answer.code, waiter.answer.result)

    async def _notice_end(self, client: SocketClient, waiting: trio.CancelScope | None) -> None:
        await client.hung_up()
        self.client_gone(client)
        if waiting is not None:
            await client.closed()
            waiting.cancel()

    def client_gone(self, client: SocketClient) -> None:
        """This connection has ended. It may be called again."""
        self.programs.gone(client)

    def _program_here(self, sagas: Sequence[SagaRef]) -> None:
        self._carry_out(self.sagas.program_here(sagas, self._pump.now()))

    def _program_lost(self, sagas: Sequence[SagaRef]) -> None:
        self._carry_out(self.sagas.program_lost(sagas, self._pump.now()))

    # -- the journals (see JournalFollower) --------------------------------------------------------------------------

    def machine(self, journal: JournalId) -> SagasMachine:
        del journal
        return SagasMachine(self.tuning)

    def on_journal(self, effect: JournalEffect) -> None:
        self._carry_out(self.sagas.on_journal(effect, self._pump.now()))

    def on_stream(self, news: StreamNews) -> None:
        match news:
            case StreamClosed():
                self._carry_out(self.sagas.closed(news.node, self._pump.now()))
            case StreamReceived() if isinstance(news.message, SagaMessage):
                self._carry_out(self.sagas.received(news.node, news.message, self._pump.now(), news.boot_id))

    def on_members(self, ids: Collection[NodeId]) -> None:
        del ids
        self._carry_out(self.sagas.members_changed(self._pump.now()))

    # -- tasks -------------------------------------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Fire the timers, and send commands, until cancelled."""
        try:
            async with trio.open_nursery() as self._commands:
                task_status.started()
                await self._timers.run()
        finally:
            self._commands = None
            if self._sender is not None:
                self._sender.close()

    def _advance(self, now: float) -> None:
        self._carry_out(self.sagas.advance(now))

    async def _send(self, sent: SendCommand) -> None:
        span, headers = self._spans.attempt(sent)
        try:
            if self._sender is None:
                await self._load_sender()
            assert self._sender is not None, "it was just loaded"
            done = await self._sender.send(replace(sent, headers=headers))
        except Exception as error:
            self._pump.bug("saga_command", error)
            text = "this failed inside the sidecar, and its log says how"
            done = CommandDone(sent.number, True, 0, b"", False, "", 0.0, "", text)
        self.reports.command(done)
        self._spans.answered(span, done)
        try:
            effects = self.sagas.command_done(done, self._pump.now())
        except Exception as error:
            self._pump.bug("saga_command_done", error)
        else:
            self._carry_out(effects)

    async def _load_sender(self) -> None:
        """Reading its modules from the disk takes some tens of ms, so that is in a thread."""
        make = await trio.to_thread.run_sync(_load_sender)
        if self._sender is None:
            self._sender = make(
                self._node, self._secrets, self._rng, missing=self.reports.secret_missing,
                found=self.reports.secret_found,
            )  # fmt: skip

    # -- effects -----------------------------------------------------------------------------------------------------

    def _carry_out(self, effects: Iterable[SagaEffect]) -> None:
        self._effects.extend(effects)
        if self._acting:
            return
        self._acting = True
        try:
            while self._effects:
                effect = self._effects.popleft()
                try:
                    self._carry_out_one(effect)
                except Exception as error:
                    self._pump.bug("sagas_effect", error)
        finally:
            self._acting = False
        self._timers.wake()

    def _carry_out_one(self, effect: SagaEffect) -> None:
        match effect:
            case SendSagaMessage():
                self.share.runtime.streams.send(effect.node, effect.message)
            case ProposeSagas():
                self._propose(effect)
            case SendCommand():
                if self._commands is not None:  # else this process is about to end
                    self._commands.start_soon(self._send, effect)
            case ProveLeadership():
                self.share.confirm(effect.journal, effect.number)
            case CommandsUnderWay():
                self.share.acts(effect.journal, effect.count)
            case SagaCallAnswered():
                if (waiter := self._waiters.get(effect.ticket)) is not None:
                    waiter.answer = effect
                    waiter.event.set()
            case ReadEndedSagas():
                self._read(effect)
            case OpenSagaJournal():
                self._open()
            case LogSagas():
                self.reports.event(effect)
            case TellSagaOver():
                self._spans.over(effect)

    def _propose(self, effect: ProposeSagas) -> None:
        try:
            self.share.propose(effect.journal, effect.data, effect.ticket, kind=SAGA_ENTRY, ends=effect.ends)
        except ProposalRefused as refusal:
            now = self._pump.now()
            self._carry_out(self.sagas.refused(effect.journal, effect.ticket, refusal.code, str(refusal), now))

    def _read(self, effect: ReadEndedSagas) -> None:
        try:
            self.share.read_records(effect.journal, effect.keys, effect.number)
        except ProposalRefused as refusal:
            now = self._pump.now()
            self._carry_out(self.sagas.refused(effect.journal, effect.number, refusal.code, str(refusal), now))

    def _open(self) -> None:
        try:
            journal = self._open_own()
        except ProposalRefused as refusal:
            self._carry_out(self.sagas.not_opened(refusal.code, str(refusal), self._pump.now()))
        else:
            self._carry_out(self.sagas.opened(journal, self._pump.now()))

    def _open_own(self) -> JournalId:
        """Raises ProposalRefused."""
        runtime = self.share.runtime
        runtime.need_disk()
        return runtime.own.open()


def _load_sender() -> "type[CommandSender]":
    from gossipreg.daemon.sagas.command_sender import CommandSender

    return CommandSender
