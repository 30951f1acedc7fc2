"""Journals in the laboratory: what a process does with its disk, its streams and its node's table."""

from collections.abc import Callable

import pytest

from gossipreg.journal.effects import AppliedEntry, JournalEffect, RemoveJournal, WriteJournal
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId
from gossipreg.journal.tuning import JournalTuning, default
from simulations.checkers.checker import Broken
from simulations.checkers.journals import JournalCheckers
from simulations.checkers.journals.liveness import JournalSilence
from simulations.host import Host
from simulations.journaling.journaling import Journaling
from simulations.journaling.observer import JournalObserver
from simulations.journaling.process import JournalProcess
from simulations.world import World
from tests.journal.stored import Disk, apply_write


def opened(
    count: int = 4, seed: int = 1, tuning: JournalTuning = default
) -> tuple[World, Journaling, JournalId]:  # fmt: skip
    """A cluster in which the first member has a journal with three voters."""
    world = World(seed)
    journaling = Journaling(world, tuning)
    JournalCheckers(journaling)
    for host in world.grow(count):
        journaling.start(host)
    world.run(0.5)
    journal = journaling.open(world.hosts[0])
    assert journal is not None
    assert world.until(lambda: journaling.is_whole(journal), 10.0)
    return world, journaling, journal


def start(world: World, journaling: Journaling, host: Host) -> JournalProcess:
    seeds = [other for other in world.hosts if other.up]
    world.start(host, seeds)
    return journaling.start(host)


def voter(journaling: Journaling, journal: JournalId) -> Host:
    """A voter that does not lead."""
    replica, leader = journaling.replica(journal), journaling.leader(journal)
    assert replica is not None
    assert leader is not None
    places = replica.data.configuration.voters
    return next(journaling.world.by_id[place.node] for place in places if place.node != leader.host.id)


def publish(journaling: Journaling, journal: JournalId, count: int) -> None:
    for _ in range(count):
        leader = journaling.leader(journal)
        assert leader is not None
        assert journaling.propose(leader, journal)
        journaling.world.run(0.05)


def test_what_is_acknowledged_is_on_the_disks_of_a_majority() -> None:
    world, journaling, journal = opened()
    publish(journaling, journal, 20)
    assert len(journaling.acked) == 20
    for host in world.hosts:
        world.lose_power(host)
    for host in world.hosts:
        start(world, journaling, host)
    assert world.until(lambda: journaling.leader(journal) is not None, 20.0)
    replica = journaling.replica(journal)
    assert replica is not None
    assert all(replica.data.state.records.get(one.data) == str(one.index).encode() for one in journaling.acked)


def test_a_disk_holds_what_the_unit_tests_say_it_holds() -> None:
    """Two ways to carry out transactions, over all of a run."""
    world, journaling, journal = opened()
    disks: dict[int, Disk] = {}

    class Both(JournalObserver):
        def on_durable(self, process: JournalProcess, write: WriteJournal | RemoveJournal) -> None:
            if process.host.number not in disks:
                disks[process.host.number] = Disk({one.journal: one for one in process.stored.replicas()})
            else:
                apply_write(disks[process.host.number], write)
            assert [*disks[process.host.number].opened().values()] == process.stored.replicas()

    journaling.observers.all.append(Both())
    publish(journaling, journal, 10)
    leader = journaling.leader(journal)
    assert leader is not None
    world.crash(leader.host)
    assert world.until(lambda: journaling.leader(journal) is not None, 10.0)
    publish(journaling, journal, 10)
    assert len(disks) >= 3


def test_an_unlinked_database_takes_the_replicas_out() -> None:
    world, journaling, journal = opened()
    host = voter(journaling, journal)
    process = journaling.processes[host.number]
    assert process.journals is not None
    former = process.journals.replicas[journal].data.replica
    world.disk(host).unlink()
    publish(journaling, journal, 3)
    world.run(5.0)
    assert former not in {one.data.replica for one in process.journals.replicas.values()}
    assert not process.failed, "it takes copies again"


def test_a_failed_fsync_is_followed_by_reopening() -> None:
    world, journaling, journal = opened()
    host = voter(journaling, journal)
    process = journaling.processes[host.number]
    world.disk(host).fail_fsync()
    publish(journaling, journal, 1)
    assert process.failed
    world.run(5.0)
    assert not process.failed
    publish(journaling, journal, 3)
    assert world.until(lambda: journaling.is_whole(journal), 10.0)


def test_a_full_disk_is_tried_again_until_there_is_space() -> None:
    world, journaling, journal = opened()
    host = voter(journaling, journal)
    process = journaling.processes[host.number]
    world.disk(host).full = True
    publish(journaling, journal, 1)
    world.run(20.0)
    assert process.failed
    world.disk(host).full = False
    assert world.until(lambda: journaling.is_whole(journal), 40.0)


def test_a_restored_process_gives_up_its_replicas_when_synced() -> None:
    world, journaling, journal = opened()
    host = voter(journaling, journal)
    backup = world.disk(host).backup()
    before = journaling.processes[host.number].journals
    assert before is not None
    given_up = before.replicas[journal].data.replica
    publish(journaling, journal, 5)
    world.crash(host)
    world.disk(host).restore(backup)
    journaling.restored[host.number] = None
    process = start(world, journaling, host)
    world.run(3.0)
    assert process.journals is not None
    assert given_up not in {replica.data.replica for replica in process.journals.replicas.values()}
    assert not journaling.restored


def test_a_replica_that_is_being_given_up_does_not_count_as_kept() -> None:
    """Else the disk of another voter might be lost before this one has removed what it has given up."""
    world, journaling, journal = opened()
    host = voter(journaling, journal)
    world.crash(host)
    journaling.restored[host.number] = None
    process = start(world, journaling, host)
    world.disk(host).latency_s = 1.0, 1.0
    assert world.until(lambda: process.journals is not None and not process.journals.replicas, 5.0, 0.0001)
    assert process.stored.replicas(), "they are on the disk yet"
    assert journaling.restored, "and would be in use again if they could not be removed"
    assert not journaling.has_all_disks(journal)


@pytest.mark.parametrize(
    ("go", "standing"),
    [
        (lambda world, host: world.crash(host, refuses=False), ProcessStanding.SILENT),
        (lambda world, host: world.leave(host), ProcessStanding.LEFT),
        (lambda world, host: world.leave(host, 30.0), ProcessStanding.RESTARTING),
    ],
    ids=["silent", "left", "restarting"],
)
def test_journals_see_how_a_member_went(go: Callable[[World, Host], None], standing: ProcessStanding) -> None:
    world, journaling, _ = opened()
    gone = world.hosts[3]
    before = journaling.processes[0].membership.member(gone.id)
    assert before.standing is ProcessStanding.LIVES
    go(world, gone)
    world.run(6.0)
    seen = journaling.processes[0].membership.member(gone.id)
    assert (seen.standing, seen.boot_id) == (standing, before.boot_id)
    world.crash(gone)
    start(world, journaling, gone)
    world.run(3.0)
    seen = journaling.processes[0].membership.member(gone.id)
    assert seen.standing is ProcessStanding.LIVES
    assert seen.boot_id != before.boot_id


def test_whoever_declares_a_refused_port_dead_tells_journals_so() -> None:
    world, journaling, _ = opened()
    world.crash(world.hosts[3])
    world.run(6.0)
    standings = {journaling.processes[n].membership.member(world.hosts[3].id).standing for n in range(3)}
    assert ProcessStanding.REFUSED in standings


def test_a_claim_is_gossiped_and_ends_with_its_process() -> None:
    world, journaling, journal = opened()
    world.run(1.0)
    for number in (1, 2, 3):
        claims = [*journaling.processes[number].membership.claims(journal)]
        assert [(claim.node, claim.ballot.round) for claim in claims] == [(world.hosts[0].id, 1)]
    world.crash(world.hosts[0])
    assert world.until(lambda: journaling.leader(journal) is not None, 10.0)
    world.run(1.0)
    leader = journaling.leader(journal)
    assert leader is not None
    for process in journaling.running():
        claims = [*process.membership.claims(journal)]
        running = [claim.node for claim in claims if process.membership.member(claim.node).runs]
        assert running == [leader.host.id] or process is leader


def test_effects_of_an_input_within_an_input_come_behind() -> None:
    """A claim changes our own row, so the journals look again while the effects of their election are carried out."""
    world, journaling, journal = opened()
    numbers: dict[int, list[int]] = {}

    class Order(JournalObserver):
        def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
            if isinstance(effect, WriteJournal):
                numbers.setdefault(process.host.number, []).append(effect.number)

    journaling.observers.all.append(Order())
    world.crash(world.hosts[0])
    assert world.until(lambda: journaling.leader(journal) is not None, 10.0)
    publish(journaling, journal, 5)
    assert numbers
    assert all(given == sorted(given) for given in numbers.values())


def test_a_journal_at_rest_is_silent() -> None:
    world, journaling, journal = opened()
    silence = JournalSilence(journaling)
    publish(journaling, journal, 5)
    assert world.until(lambda: not journaling.has_timers, 60.0)
    world.run(2.0)
    silence.begin()
    world.run(600.0)
    silence.at_rest()
    publish(journaling, journal, 1)
    with pytest.raises(Broken, match=r"journal_silence: .*at rest"):
        silence.at_rest()


def test_entries_are_applied_in_order_and_once_a_process() -> None:
    world, journaling, journal = opened()
    applied: dict[int, list[int]] = {}

    class Applied(JournalObserver):
        def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
            if isinstance(effect, AppliedEntry):
                applied.setdefault(process.host.number, []).append(effect.entry.index)

    journaling.observers.all.append(Applied())
    publish(journaling, journal, 10)
    world.run(1.0)
    assert len(applied) == 3
    assert all(indexes == [*range(indexes[0], indexes[-1] + 1)] for indexes in applied.values())
