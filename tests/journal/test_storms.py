"""Storms of faults over whole clusters, each from one seed."""

import pytest

from tests.journal.cluster import Cluster
from tests.journal.storm import Storm


@pytest.mark.parametrize("seed", range(12))
def test_a_storm_loses_nothing_that_was_acknowledged(seed: int) -> None:
    storm = Storm(seed)
    storm.run()
    assert len(storm.acked) > 50, "the storm left time to publish"


def test_a_journal_gets_three_voters_and_is_silent_then() -> None:
    cluster = Cluster(1, 5)
    cluster.run(1.0)
    journal = cluster.open(cluster.sidecars[0])
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 5.0)
    leader = cluster.sidecars[0]
    tickets = [cluster.propose(leader, journal, b"%d" % number) for number in range(100)]
    cluster.run(5.0)
    assert all(ticket is not None and leader.settled[ticket].copies >= 2 for ticket in tickets)
    before = cluster.messages
    cluster.run(3600.0)
    assert cluster.messages == before
    assert all(sidecar.journals.next_deadline() == float("inf") for sidecar in cluster.sidecars)
