"""Sidecars with journals, in this process: real sockets on loopback, a real disk, and a follower that takes notes."""

import io
import os
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import trio

from gossipreg.config import Config, local
from gossipreg.core.node import Node
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.clock import boot_s, wall_ms
from gossipreg.daemon.journals.runtime import JournalRuntime
from gossipreg.daemon.logs import Log
from gossipreg.daemon.orchestration import Orchestration
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.settings import Settings
from gossipreg.daemon.start import OpenedSidecar, opened
from gossipreg.daemon.streams.inbox import StreamNews
from gossipreg.daemon.troubles import Troubles
from gossipreg.journal.effects import AppliedEntry, Deposed, Established, JournalEffect, ProposalOutcome, Settled
from gossipreg.journal.model import EntryKind, JournalId, LogEntry
from gossipreg.journal.state import Records, StateMachine
from gossipreg.model import Address, NodeId

BOUND_S = 60.0
SOON_ALONE = replace(local, alone_small_s=2.0)
"""For a test that stops all other members at once: the one that is left takes them for gone after so long."""


class Notes:
    """Notes at which index each datum came."""

    kinds: Collection[int] = (EntryKind.DATA,)

    def load(self, records: Records) -> None:
        pass

    def is_empty(self, records: Records) -> bool:
        return not len(records)

    def apply(self, entry: LogEntry, records: Records) -> object:
        if entry.kind == EntryKind.DATA:
            records.put(entry.data, str(entry.index).encode())
        return None


class Follows:
    """What became of the journals of one sidecar."""

    def __init__(self) -> None:
        self.leads: dict[JournalId, str] = {}
        self.settled: dict[int, ProposalOutcome] = {}
        self.applied: list[bytes] = []
        self.news: list[StreamNews] = []
        self.fails = False

    def machine(self, journal: JournalId) -> StateMachine:
        del journal
        return Notes()

    def on_journal(self, effect: JournalEffect) -> None:
        match effect:
            case Established():
                self.leads[effect.journal] = str(effect.ballot)
            case Deposed():
                self.leads.pop(effect.journal, None)
            case Settled():
                self.settled[effect.ticket] = effect.outcome
            case AppliedEntry() if effect.entry.kind == EntryKind.DATA:
                self.applied.append(effect.entry.data)
        if self.fails:
            raise RuntimeError("this follower fails")

    def on_stream(self, news: StreamNews) -> None:
        self.news.append(news)

    def on_members(self, ids: Collection[NodeId]) -> None:
        pass


class LiveSidecar:
    """A sidecar without local socket and gateways; its pump and journals run in the nursery of the test."""

    def __init__(self, open_things: OpenedSidecar, config: Config = local) -> None:
        self.opened = open_things
        self.log = io.StringIO()
        log = Log(stream=self.log)
        self.node = Node(
            replace(config, cluster=open_things.settings.cluster), member=open_things.member,
            id=open_things.identity.id, generation=open_things.generation,
            generation_before=open_things.generation_before,
            own_generations=open_things.own_generations, keyring=open_things.keyring,
            rng=random.Random(os.urandom(16)), entropy=os.urandom, now=boot_s(), wall_ms=wall_ms(), address_fixed=True,
            speaks=open_things.transport.speaks,
        )  # fmt: skip
        self.pump = Pump(self.node, open_things.transport, log, now=boot_s, stall_s=config.stall_s)
        self.troubles = Troubles(boot_s)
        self.follows = Follows()
        self.orchestration = Orchestration(
            open_things, self.node, self.pump, log, self.troubles, Audit(boot_s), follower=lambda: self.follows
        )
        self.address = open_things.transport.local_addresses[0]
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    async def run(self, seeds: tuple[Address, ...] = ()) -> None:
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self.pump.run)
                    nursery.start_soon(self.orchestration.run)
                    self.pump.order(lambda now: self.node.seek(seeds, now))
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """As a kill of the process: nobody is told."""
        self._scope.cancel()
        await self._ended.wait()

    @property
    def runtime(self) -> JournalRuntime:
        assert self.orchestration.runtime is not None, "not loaded"
        return self.orchestration.runtime

    async def open_journal(self) -> JournalId:
        """Its own journal, which it leads when this returns."""
        runtime = await self.orchestration.wanted()
        await until(lambda: self.node.synced)
        journal = await runtime.own.open_waiting()
        await until(lambda: journal in self.follows.leads)
        return journal

    def propose(self, journal: JournalId, data: bytes, ticket: int) -> None:
        self.runtime.order(lambda journals, now: journals.propose(journal, data, ticket, now))

    async def commit(self, journal: JournalId, data: bytes, ticket: int) -> None:
        self.propose(journal, data, ticket)
        await until(lambda: ticket in self.follows.settled)
        assert self.follows.settled[ticket] is ProposalOutcome.COMMITTED

    def voters(self, journal: JournalId) -> int:
        """How many voters the journal has, as far as this replica knows; 0 without one, or while they change."""
        journals = self.orchestration.runtime.journals if self.orchestration.runtime else None
        replica = None if journals is None else journals.replicas.get(journal)
        if replica is None or replica.data.configuration.joint:
            return 0
        return len(replica.data.configuration.voters)

    def state(self, journal: JournalId) -> dict[bytes, bytes]:
        """What the replica here has applied."""
        journals = self.runtime.journals
        replica = None if journals is None else journals.replicas.get(journal)
        return {} if replica is None else replica.data.state.records.all()

    def shown_troubles(self) -> str:
        return "\n".join(str(one["message"]) for one in self.troubles.shapes())


@contextmanager
def a_sidecar(
    folder: Path, name: str, *, durable: bool = True, config: Config = local, **chosen: Any
) -> Iterator[LiveSidecar]:
    """Its data directory is `folder/name`, and its machine is called as it is."""
    settings = Settings(
        bind="127.0.0.1:0", name=name, host_id=chosen.pop("host_id", name), profile="local",
        data_dir=str(folder / name) if durable else None, socket=chosen.pop("socket", str(folder / f"{name}.sock")),
        **chosen,
    )  # fmt: skip
    with opened(settings) as open_things:
        try:
            yield LiveSidecar(open_things, config)
        finally:
            if open_things.data is not None:
                with open_things.data._one_at_a_time:  # the write that a cancelled store may have left to its thread
                    pass


@asynccontextmanager
async def alone(folder: Path, name: str, **chosen: Any) -> AsyncIterator[LiveSidecar]:
    """This sidecar by itself, for as long as the block runs; then it is killed."""
    with a_sidecar(folder, name, **chosen) as one, trio.fail_after(BOUND_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.run)
            await until(lambda: one.node.synced)
            yield one
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def cluster(folder: Path, *names: str, **chosen: Any) -> AsyncIterator[tuple[trio.Nursery, list[LiveSidecar]]]:
    """These sidecars, which know each other."""
    with ExitStack() as stack, trio.fail_after(BOUND_S):
        sidecars = [stack.enter_context(a_sidecar(folder, name, **chosen)) for name in names]
        async with trio.open_nursery() as nursery:
            for number, one in enumerate(sidecars):
                nursery.start_soon(one.run, (sidecars[0].address,) if number else ())
            await until(lambda: all(one.node.synced and len(one.node.ring) == len(names) for one in sidecars))
            yield nursery, sidecars
            nursery.cancel_scope.cancel()
        for one in sidecars:
            assert not one.pump.counts, one.log.getvalue()


async def until(holds: Callable[[], object]) -> None:
    """Look again at each turn of the loop, for what no event tells of."""
    while not holds():
        await trio.sleep(0.005)
