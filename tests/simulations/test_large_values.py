"""The checkers of large records: a state that is being written counts as there, and a value that is gone is seen."""

import pytest

from gossipreg.journal.effects import JournalEffect, WriteJournal
from gossipreg.journal.model import JournalId
from gossipreg.journal.tuning import JournalTuning
from simulations.checkers.checker import Broken
from simulations.checkers.journals import JournalCheckers
from simulations.host import Host
from simulations.journaling.journaling import Journaling
from simulations.journaling.observer import JournalObserver
from simulations.journaling.process import JournalProcess
from simulations.world import World
from tests.simulations.test_journals import publish, start, voter


def behind() -> tuple[World, Journaling, JournalId, JournalCheckers, Host]:
    """A voter that is down, while the log of its leader begins above what it has."""
    world = World(1)
    journaling = Journaling(world, JournalTuning(cut_bytes=4096))
    checkers = JournalCheckers(journaling)
    for host in world.grow(3):
        journaling.start(host)
    world.run(0.5)
    journal = journaling.open(world.hosts[0])
    assert journal is not None
    assert world.until(lambda: journaling.is_whole(journal), 10.0)
    host = voter(journaling, journal)
    world.crash(host)
    publish(journaling, journal, 100)
    return world, journaling, journal, checkers, host


class _Resets(JournalObserver):
    """Looks at all that must hold at rest, as soon as a state with large records is asked for."""

    def __init__(self, journaling: Journaling, checkers: JournalCheckers) -> None:
        self.journaling = journaling
        self._checkers = checkers
        self._process: JournalProcess | None = None
        self.seen = 0

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        if isinstance(effect, WriteJournal) and effect.reset_stage is not None:
            self._process = process

    def after(self, process: JournalProcess) -> None:
        if process is not self._process:
            return
        self._process = None
        assert process.journals is not None
        for replica in process.journals.replicas.values():
            records = replica.data.state.records
            on_disk = {one.journal: one.large for one in process.stored.replicas()}[replica.data.journal]
            assert any(records.in_memory(key) is None and key not in on_disk for key in records.large)
        self.seen += 1
        for checker in self._checkers.all:
            if checker.name in ("state_safety", "large_values"):
                checker.at_rest()


def test_a_state_that_is_being_written_counts_as_there() -> None:
    world, journaling, journal, checkers, host = behind()
    resets = _Resets(journaling, checkers)
    journaling.observers.all.append(resets)
    start(world, journaling, host)
    assert world.until(lambda: journaling.is_whole(journal), 20.0)
    assert resets.seen == 1
    world.run(5.0)
    checkers.at_rest()


def test_a_value_that_no_write_will_bring_is_seen() -> None:
    world, journaling, journal, checkers, host = behind()
    process = start(world, journaling, host)
    assert world.until(lambda: journaling.is_whole(journal), 20.0)
    assert process.journals is not None
    replica = process.journals.replicas[journal].data
    records = replica.state.records
    key = next(key for key in records.large if records.in_memory(key) is None)
    process.submitted.apply(WriteJournal(0, journal, replica.replica, replica.owner, records=((key, None),)))
    with pytest.raises(Broken, match=f"the large record {key.hex()} of {host.name} is gone"):
        checkers.at_rest()


def test_a_large_value_that_differs_is_seen_at_rest() -> None:
    world, journaling, journal, checkers, host = behind()
    process = start(world, journaling, host)
    assert world.until(lambda: journaling.is_whole(journal), 20.0)
    world.run(5.0)
    assert process.journals is not None
    replica = process.journals.replicas[journal].data
    records = replica.state.records
    key = next(key for key in records.large if records.in_memory(key) is None)
    other = key, bytes(records.large[key])
    process.submitted.apply(WriteJournal(0, journal, replica.replica, replica.owner, records=(other,)))
    with pytest.raises(Broken, match="differ in their large records at index"):
        checkers.at_rest()
