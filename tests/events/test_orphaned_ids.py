"""Ids of events in a journal whose owner stays away: it is not ended before the time is over for which they count."""

import pytest

from gossipreg.events.entries import EventEntryKind, encode_publish
from gossipreg.events.machine import EventsMachine
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId
from gossipreg.journal.tuning import JournalTuning
from tests.events.machines import new_event
from tests.journal.cluster import Cluster, Sidecar

ORPHAN_S, DEDUP_S = 90.0, 60.0
"""In the proportion of the settings."""


def test_an_orphan_outlives_the_time_of_its_ids() -> None:
    assert ORPHAN_S / DEDUP_S == JournalTuning().orphan_s / EventsTuning().dedup_s > 1


def left_by_its_owner() -> tuple[Cluster, JournalId]:
    """Five members, and a journal of the first whose last event was published just before it went."""
    tuning = EventsTuning(dedup_s=DEDUP_S)
    cluster = Cluster(1, 5, JournalTuning(orphan_s=ORPHAN_S, replace_s=6000.0), lambda: EventsMachine(tuning))
    cluster.run(1.0)
    owner = cluster.sidecars[0]
    journal = cluster.open(owner)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 10.0)
    entry = encode_publish((), (new_event("a"),))
    cluster.act(owner, owner.journals.propose(journal, entry, 1, cluster.now, kind=EventEntryKind.PUBLISH))
    assert cluster.until(lambda: 1 in owner.settled, 5.0)
    cluster.crash(owner, ProcessStanding.SILENT)
    return cluster, journal


def led_ms(cluster: Cluster, journal: JournalId) -> int | None:
    """The led time of the journal, while it is led and there."""
    leader = next((one for one in cluster.sidecars if one.up and leads(one, journal)), None)
    return None if leader is None else leader.journals.led_ms(journal, cluster.now)


def leads(sidecar: Sidecar, journal: JournalId) -> bool:
    replica = sidecar.journals.replicas.get(journal)
    return replica is not None and not replica.data.ended and replica.leading is not None


def ended(cluster: Cluster, journal: JournalId) -> bool:
    replicas = [one.journals.replicas.get(journal) for one in cluster.sidecars if one.up]
    return all(replica is None or replica.data.ended for replica in replicas)


@pytest.mark.parametrize("gap_s", [0.0, 40.0, 400.0])
def test_a_journal_without_events_keeps_its_ids_for_their_time(gap_s: float) -> None:
    """Also where nobody leads it for a while: led time stands still then."""
    cluster, journal = left_by_its_owner()
    cluster.run(5.0)
    if gap_s:
        other = next(one for one in cluster.sidecars if one.up and leads(one, journal))
        cluster.crash(other, ProcessStanding.SILENT)
        cluster.run(gap_s)
        assert led_ms(cluster, journal) is None
        cluster.start(other)
    last_ms, end = 0, cluster.now + 4 * ORPHAN_S
    while not ended(cluster, journal):
        last_ms = led_ms(cluster, journal) or last_ms
        cluster.run(0.5)
        assert cluster.now < end, "it is ended some time"
    assert last_ms >= DEDUP_S * 1000
