"""The runtime around the journals of one sidecar: gives them inputs with the time, and carries out their effects.

Owns: when the journals are called, and the order of their effects. An exception in an input or an effect is logged as a
bug, and the rest goes on. Never knows: what an entry means; a `JournalFollower` does.

    inputs     members and announcements of the pump, the streams' inbox, results of the disk, a timer, `order`
    effects    to the streams, the disk, our own row, the log, the follower

Effects are carried out in their order, behind those that are being carried out: a claim changes our own row, and so is
another input. Without a data directory there are streams, and no replicas.
"""

import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from socket import socket
from typing import TYPE_CHECKING, TypeVar

import trio

from gossipreg.core.journal_membership import RegistryMembership
from gossipreg.daemon.journals.follower import JournalFollower
from gossipreg.daemon.journals.giving_up import GivingUp
from gossipreg.daemon.journals.journal_disk import JournalDisk
from gossipreg.daemon.journals.journal_reports import JournalReports
from gossipreg.daemon.journals.journal_setup import JournalSetup
from gossipreg.daemon.journals.leaderless_journals import LeaderlessJournals
from gossipreg.daemon.journals.led_proofs import LedProofs
from gossipreg.daemon.journals.own_journal import OwnJournal
from gossipreg.daemon.journals.results import (
    ReadDone,
    RecordsDone,
    StoreFailed,
    StoreFault,
    StoreOpened,
    StoreResult,
    WriteDone,
)
from gossipreg.daemon.journals.waiting_messages import WaitingMessages
from gossipreg.daemon.part_timers import PartTimers
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.streams.inbox import StreamClosed, StreamNews, StreamOpened, StreamReceived
from gossipreg.daemon.streams.node_streams import NodeStreams
from gossipreg.errors import RequestError
from gossipreg.journal.announced import AnnouncedHost
from gossipreg.journal.effects import (
    ClaimLeadership,
    Confirmed,
    Deposed,
    Established,
    JournalEffect,
    JournalEvent,
    ReadLog,
    ReadRecords,
    RemoveJournal,
    SendMessage,
    WithdrawClaim,
    WriteJournal,
)
from gossipreg.journal.journals import Journals
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.messages import ReplicaMessage
from gossipreg.journal.model import JournalId
from gossipreg.journal.replica_data import StoredReplica
from gossipreg.journal.request_numbers import FIRST_OF_SHOWN
from gossipreg.model import NodeId
from gossipreg.streams.values import MEMBER_GONE

if TYPE_CHECKING:
    from gossipreg.core.effects import Event
    from gossipreg.core.node import Node

REFUSED = "ECONNREFUSED"
"""The machine of a member says that nobody listens at its port."""
ENDED = (ProcessStanding.LEFT, ProcessStanding.REFUSED, ProcessStanding.SILENT)
"""The last known process of such a member does not run."""
NEWS_A_TURN = 64
"""News of streams that is taken before other tasks have their turn."""
AGAIN_S = 1.0
"""The pause before a task that failed begins anew."""
Result = TypeVar("Result")


class JournalRuntime:
    def __init__(
        self, setup: JournalSetup, node: "Node", pump: Pump, streams: NodeStreams, follower: JournalFollower,
        reports: JournalReports, *, rng: random.Random, entropy: Callable[[int], bytes],
    ) -> None:  # fmt: skip
        """Follows the pump from now on; `run` does the rest. `entropy(n)` are unpredictable bytes."""
        self.setup = setup
        self.streams = streams
        self.membership = RegistryMembership(node, pump.now())
        self.journals: Journals | None = None
        """None until the database was opened for the first time."""
        self.disk = None if setup.folder is None else JournalDisk(setup.folder, self, reports)
        self.begun = trio.Event()
        """There are journals."""
        self.counts: Counter[str] = Counter()
        self._node = node
        self._pump = pump
        self._follower = follower
        self.reports = reports
        self._rng = rng
        self._entropy = entropy
        self.own = OwnJournal(self, node.id)
        self.proofs = LedProofs(self.confirm, pump.now)
        self.leaderless = LeaderlessJournals(self.membership.announce_leaderless, pump.command, self.membership.is_led)
        self._giving_up = GivingUp(node, self.disk, reports)
        self._effects: deque[JournalEffect] = deque()
        self._acting = False
        self._waiting = WaitingMessages()
        """Messages that came before the database was open."""
        self._generations: dict[NodeId, int] = {}
        """Of the process at the other end of each stream."""
        self._announced = setup.takes_copies
        """What our row says: whether we take copies."""
        self._timers = PartTimers(pump, "journal_advance", deadline=self._deadline, advance=self._advance)
        pump.members.follow("journals", self._on_members)
        pump.announcements.follow("journals", partial(self._on_members, announced=True))
        pump.events.follow("journals", self._on_event)

    async def run(
        self, listeners: Sequence[socket], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run until cancelled. The listeners, on the gossip port, stay open."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.streams.run, listeners)
            nursery.start_soon(self._guard, "journal_streams", self._follow_streams)
            nursery.start_soon(self._guard, "journal_timer", self._timers.run)
            if self.disk is None:
                self._begin(())
            else:
                nursery.start_soon(self._guard, "journal_disk", self.disk.run)
            task_status.started()

    async def _guard(self, where: str, task: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await task()
            except Exception as error:
                self._pump.bug(where, error)
            await trio.sleep(AGAIN_S)

    # -- for what stands on the journals -----------------------------------------------------------------------------

    def command(self, call: Callable[[Journals, float], tuple[Result, list[JournalEffect]]]) -> Result:
        """Call the journals with the time, carry out what follows, return the result. What the call raises goes to the
        caller; anything but ProposalRefused is logged as a bug, too. Raises ProposalRefused if the database is not open
        yet."""
        self._retire_if_another_was_here()
        if self.journals is None:
            raise ProposalRefused("unavailable", "the journals of this sidecar are not open yet: see `gossipreg info`")
        try:
            result, effects = call(self.journals, self._pump.now())
        except (ProposalRefused, RequestError):
            raise
        except Exception as error:
            self._pump.bug("journal_command", error)
            raise
        self.act(effects)
        return result

    def order(self, call: Callable[[Journals, float], list[JournalEffect]]) -> None:
        """Call `command` with a call that has no result."""
        self.command(lambda journals, now: (None, call(journals, now)))

    def now(self) -> float:
        """The time of the pump, s."""
        return self._pump.now()

    def confirm(self, journal: JournalId, number: int) -> None:
        """`Confirmed` with this number follows if this sidecar leads. Else nothing does: whoever asks asks again."""
        with suppress(ProposalRefused):
            self.order(lambda journals, now: journals.confirm(journal, number, now))

    def need_disk(self) -> None:
        """Something is to be kept: open the database. `begun` is set when that is done."""
        if self.disk is not None:
            self.disk.need()

    def disk_hint(self) -> str:
        """What the error of a call that got no answer from our journal says beside it: empty while the disk works."""
        fails = self.disk is not None and self.disk.fails
        return "; the disk of this sidecar fails, as `gossipreg info` says" if fails else ""

    def leave(self) -> bool:
        """This sidecar is about to leave: see `Journals.leaving`. False if that failed, which is logged as a bug."""
        return self._input("journal_leaving", lambda journals, now: journals.leaving(now))

    # -- inputs ------------------------------------------------------------------------------------------------------

    def _input(self, where: str, call: Callable[[Journals, float], list[JournalEffect]]) -> bool:
        """Give the journals an input, if there are any. False if it raised."""
        self._retire_if_another_was_here()
        if self.journals is None:
            return True
        try:
            effects = call(self.journals, self._pump.now())
        except Exception as error:
            self._pump.bug(where, error)
            return False
        self.act(effects)
        return True

    def _on_members(self, ids: Sequence[NodeId], *, announced: bool = False) -> None:
        """These members changed, or, with `announced`, only what they announce. Only an announcement by which a copy
        here decides is a look at all copies: a sidecar may have 1,000 of them, and claim as many."""
        decisive = self.membership.follow(ids, self._pump.now())
        for id in ids:
            self._close_stream_if_gone(id)
        if self.journals is not None and (decisive or not announced):
            self.leaderless.look(self.journals.replicas, self._pump.now())
            self._input("journal_members", lambda journals, now: journals.members_changed(now))
        self._tell(partial(self._follower.on_members, ids))

    def _close_stream_if_gone(self, id: NodeId) -> None:
        """End the stream to a process that does not run any more: nothing else may tell for long."""
        if self.membership.member(id).standing in ENDED:
            self.streams.close(id, MEMBER_GONE)
            return
        row, generation = self._node.table.rows.get(id), self._generations.get(id)
        if generation is not None and row is not None and row.member_generation > generation:
            self.streams.close(id, "replaced")

    def _on_event(self, event: "Event") -> None:
        if event.kind in ("synced", "refuted"):
            self._on_members(())

    def _retire_if_another_was_here(self) -> None:
        if self._giving_up.another_was_here(self.journals):
            self._retire("another process used this sidecar's data directory, or a copy of it")

    def _retire(self, why: str) -> None:
        """Give up all replicas."""
        if self.journals is not None and self.journals.replicas:
            self.own.lose([] if self.journals.own is None else [self.journals.own])
            self.leaderless.lose(self._giving_up.give_up(self.journals, why), self._pump.now())
            self._input("journal_retire", lambda journals, now: journals.retire(now))

    # -- the disk (see DiskOwner) ------------------------------------------------------------------------------------

    def on_opened(self, opened: StoreOpened) -> None:
        lost = self._giving_up.lost_in(opened)
        self.own.lose(lost)
        self.leaderless.lose(lost, self._pump.now())
        if self.journals is None:
            self._begin(opened.replicas)
        else:
            self._input("journal_reopened", lambda journals, now: journals.reopened(opened.replicas, now))
            self._retire_if_noted()
        self._announce(takes_copies=self.setup.takes_copies)

    def _begin(self, stored: Sequence[StoredReplica]) -> None:
        setup, now = self.setup, self._pump.now()
        self.journals = Journals(
            setup.tuning, node=self._node.id, host=setup.host, membership=self.membership,
            machine=self._follower.machine, stored=stored,
            foreign_space_bytes=0 if self.disk is None else setup.foreign_space_bytes, rng=self._rng,
            entropy=self._entropy, now=now,
        )  # fmt: skip
        self._retire_if_noted()
        self._input("journal_start", lambda journals, now: journals.start(now))
        self.begun.set()
        for news in self._waiting.take():
            self._on_message(news)

    def _retire_if_noted(self) -> None:
        if self._giving_up.noted:
            self._retire("they were to be forgotten (--forget-journals, or a data directory that was used elsewhere)")

    def on_done(self, result: StoreResult) -> None:
        match result:
            case WriteDone():
                self._input("journal_written", lambda one, now: one.written(result.number, result.journal, now))
            case ReadDone():
                self._input("journal_read", lambda one, now: one.read(result.journal, result.entries, now))
            case RecordsDone():
                self._input(
                    "journal_records_read",
                    lambda one, now: one.records_read(result.journal, result.number, result.values, now),
                )
            case StoreFailed():
                if result.fault is StoreFault.UNLINKED and self.journals is not None:
                    self._giving_up.unlinked(self.journals)
                self._input("journal_write_failed", lambda one, now: one.write_failed(now))
                self._announce(takes_copies=False)

    def _announce(self, *, takes_copies: bool) -> None:
        """Say in our row whether others may ask us for a copy."""
        if takes_copies == self._announced:
            return
        self._announced = takes_copies
        host = AnnouncedHost(self.setup.host, takes_copies)
        self._attempt("journal_host", lambda: self._pump.order(lambda now: self.membership.announce_host(host, now)))

    # -- streams -----------------------------------------------------------------------------------------------------

    async def _follow_streams(self) -> None:
        while True:
            self._on_news(await self.streams.inbox.receive())
            with suppress(trio.WouldBlock):
                for _ in range(NEWS_A_TURN):
                    self._on_news(self.streams.inbox.receive_nowait())

    def _on_news(self, news: StreamNews) -> None:
        match news:
            case StreamReceived() if isinstance(news.message, ReplicaMessage):
                self._on_message(news)
                return
            case StreamOpened():
                self._generations[news.node] = news.generation
                self.need_disk()
            case StreamClosed():
                self._generations.pop(news.node, None)
                if self.membership.member(news.node).standing in ENDED:
                    self.streams.forget(news.node)
                refused = news.reason == REFUSED
                self._input("journal_closed", lambda one, now: one.closed(news.node, now, refused=refused))
        self._tell(partial(self._follower.on_stream, news))

    def _on_message(self, news: StreamReceived) -> None:
        message = news.message
        assert isinstance(message, ReplicaMessage)
        if self.journals is not None:
            self._input("journal_message", lambda journals, now: journals.receive(news.node, message, now))
        elif not self._waiting.put(news):
            self.counts["journal.not_open"] += 1

    # -- time --------------------------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        return inf if self.journals is None else min(self.journals.next_deadline(), self.leaderless.next_look)

    def _advance(self, now: float) -> None:
        self._retire_if_another_was_here()
        if self.journals is not None:
            self.leaderless.advance(self.journals.replicas, now)
            self.act(self.journals.advance(now))

    # -- effects -----------------------------------------------------------------------------------------------------

    def act(self, effects: Sequence[JournalEffect]) -> None:
        """Carry out these effects, behind those that are being carried out."""
        self._effects.extend(effects)
        if self._acting:
            return
        self._acting = True
        try:
            while self._effects:
                self._attempt("journal_effect", partial(self._carry_out, self._effects.popleft()))
        finally:
            self._acting = False
        self._timers.wake()

    def _carry_out(self, effect: JournalEffect) -> None:
        match effect:
            case SendMessage():
                self.streams.send(effect.node, effect.message)
            case WriteJournal() | RemoveJournal() | ReadLog() | ReadRecords():
                assert self.disk is not None, "without a data directory there are no replicas"
                self.disk.submit(effect)
            case ClaimLeadership():
                self._pump.order(lambda now: self.membership.claim(effect.journal, effect.ballot, now))
            case WithdrawClaim():
                self._pump.order(lambda now: self.membership.withdraw(effect.journal, now))
            case JournalEvent():
                self.counts[f"journal.{effect.kind.removeprefix('journal_')}"] += 1
                self.reports.event(effect)
            case Established():
                self.counts["journal.led"] += 1
                self.reports.leads(effect.journal.hex(), str(effect.ballot))
                self._follower.on_journal(effect)
            case Confirmed() if effect.number >= FIRST_OF_SHOWN:
                self.proofs.confirmed(effect)
            case Deposed():
                self.proofs.lost(effect.journal)
                self.leaderless.look_soon(self._pump.now())
                self.reports.leads_no_more(effect.journal.hex(), str(effect.ballot), effect.reason)
                self._follower.on_journal(effect)
            case _:
                self._follower.on_journal(effect)

    def _tell(self, call: Callable[[], None]) -> None:
        self._attempt("journal_follower", call)

    def _attempt(self, where: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            self._pump.bug(where, error)
