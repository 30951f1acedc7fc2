"""The journals of a sidecar on a real store: what was committed is there at the next start, and after a failure."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from gossipreg.daemon.journals.results import ReadDone, RecordsDone, StoreFailed, WriteDone
from gossipreg.daemon.journals.store import JournalStore
from gossipreg.journal.effects import (
    JournalEffect,
    ProposalOutcome,
    ReadLog,
    ReadRecords,
    RecordsFound,
    RemoveJournal,
    Settled,
    WriteJournal,
)
from gossipreg.journal.journals import Journals
from gossipreg.journal.membership import ProcessStanding, SeenMember
from gossipreg.journal.model import JournalId
from gossipreg.journal.state import StateMachine
from gossipreg.journal.tuning import FOREIGN_SPACE_BYTES, JournalTuning
from gossipreg.model import BootId, NodeId
from tests.daemon.journals.test_journal_store import BOUND_S, broken
from tests.journal.cluster import Collects
from tests.journal.test_large_records import Payloads, key
from tests.journal.view import View

ME = NodeId(b"m" * 16)


class Host:
    """A sidecar that is alone, so each journal has one voter. Time passes when nothing waits for the disk."""

    def __init__(self, store: JournalStore, machine: Callable[[], StateMachine]) -> None:
        self.store = store
        self.now = 0.0
        self.settled: dict[int, ProposalOutcome] = {}
        self.failures = 0
        self.found: dict[int, tuple[bytes | None, ...]] = {}
        view = View()
        view.synced_at = 0.0
        view.members[ME] = SeenMember(ProcessStanding.LIVES, BootId(b"b" * 16), 0.0)
        rng = random.Random(1)
        self.journals = Journals(
            JournalTuning(cut_bytes=20_000), node=ME, host=b"host", membership=view, machine=lambda _: machine(),
            stored=(), foreign_space_bytes=FOREIGN_SPACE_BYTES, rng=rng, entropy=rng.randbytes, now=0.0,
        )  # fmt: skip

    async def open(self) -> None:
        self.act(self.journals.reopened((await self.store.open()).replicas, self.now))

    def act(self, effects: list[JournalEffect]) -> None:
        for effect in effects:
            if isinstance(effect, WriteJournal | RemoveJournal | ReadLog | ReadRecords):
                self.store.submit(effect)
            elif isinstance(effect, Settled):
                self.settled[effect.ticket] = effect.outcome
            elif isinstance(effect, RecordsFound):
                self.found[effect.number] = effect.values

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            if not self.store.statistics().waiting:
                self.now = max(self.now, self.journals.next_deadline())
                self.act(self.journals.advance(self.now))
                continue
            for result in await self.store.results():
                match result:
                    case WriteDone():
                        self.act(self.journals.written(result.number, result.journal, self.now))
                    case ReadDone():
                        self.act(self.journals.read(result.journal, result.entries, self.now))
                    case RecordsDone():
                        self.act(self.journals.records_read(result.journal, result.number, result.values, self.now))
                    case StoreFailed():
                        self.failures += 1
                        self.act(self.journals.write_failed(self.now))

    def leads(self, journal: JournalId) -> bool:
        leading = self.journals.replicas[journal].leading
        return leading is not None and leading.established

    def state(self, journal: JournalId) -> dict[bytes, bytes]:
        return self.journals.replicas[journal].data.state.records.all()


@asynccontextmanager
async def host(folder: Path, machine: Callable[[], StateMachine] = Collects) -> AsyncIterator[Host]:
    with trio.fail_after(BOUND_S):
        async with JournalStore(folder) as store:
            one = Host(store, machine)
            await one.open()
            yield one


async def test_what_was_committed_is_there_at_the_next_start(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        journal, effects = one.journals.open(one.now)
        one.act(effects)
        await one.until(lambda: one.leads(journal))
        for ticket in range(100):
            one.act(one.journals.propose(journal, b"%d" % ticket + bytes(1_000), ticket, one.now))
        await one.until(lambda: len(one.settled) == 100)
        assert {*one.settled.values()} == {ProposalOutcome.COMMITTED}
        state = one.state(journal)
        assert len(state) == 100
    async with host(tmp_path) as again:
        assert again.journals.own == journal
        await again.until(lambda: again.leads(journal))
        assert again.state(journal) == state


async def test_a_failed_disk_is_opened_again_and_loses_nothing(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        journal, effects = one.journals.open(one.now)
        one.act(effects)
        await one.until(lambda: one.leads(journal))
        one.act(one.journals.propose(journal, b"before", 1, one.now))
        await one.until(lambda: 1 in one.settled)
        with broken(OSError("the disk is gone")):
            one.act(one.journals.propose(journal, b"meanwhile", 2, one.now))
            await one.until(lambda: one.failures == 1)
        assert not one.leads(journal)
        await one.open()
        await one.until(lambda: one.leads(journal))
        one.act(one.journals.propose(journal, b"after", 3, one.now))
        await one.until(lambda: 3 in one.settled)
        assert one.state(journal).keys() - {b"meanwhile"} == {b"before", b"after"}
        assert one.settled[3] is ProposalOutcome.COMMITTED


async def test_large_records_are_found_on_the_disk_also_after_a_start(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(40)]
    payloads = {name: name.encode() * 20_000 for name in names}
    async with host(tmp_path, Payloads) as one:
        journal, effects = one.journals.open(one.now)
        one.act(effects)
        await one.until(lambda: one.leads(journal))
        for ticket, (name, payload) in enumerate(payloads.items()):
            one.act(one.journals.propose(journal, b"+" + name.encode() + b"=" + payload, ticket, one.now))
        one.act(one.journals.propose(journal, b"-n7", 40, one.now))
        await one.until(lambda: len(one.settled) == 41)
        one.act(one.journals.propose(journal, b"-nothing", 41, one.now))
        await one.until(lambda: len(one.settled) == 42)
        one.act(one.journals.read_records(journal, [key(name) for name in names], 1, one.now))
        await one.until(lambda: 1 in one.found)
    async with host(tmp_path, Payloads) as again:
        await again.until(lambda: again.leads(journal))
        again.act(again.journals.read_records(journal, [key(name) for name in names], 2, again.now))
        await again.until(lambda: 2 in again.found)
    del payloads["n7"]
    assert one.found[1] == again.found[2] == tuple(payloads.get(name) for name in names)
