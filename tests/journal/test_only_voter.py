"""A journal with one voter: nobody else can lead it."""

import pytest

from gossipreg.journal.effects import ProposalOutcome
from tests.journal.cluster import Cluster


@pytest.mark.parametrize("hung_s", [7.0, 60.0])
def test_the_only_voter_leads_again_as_soon_as_its_disk_writes(hung_s: float) -> None:
    """Found by the laboratory: it waited for half a minute, so that somebody else could lead, and nobody can."""
    cluster = Cluster(1, 1)
    cluster.run(1.0)
    [owner] = cluster.sidecars
    journal = cluster.open(owner)
    assert cluster.until(lambda: cluster.leader(journal) is owner, 1.0)
    owner.hung = True
    ticket = cluster.propose(owner, journal, b"1")
    assert ticket is not None
    cluster.run(hung_s)
    assert cluster.leader(journal) is None
    assert owner.settled[ticket].outcome is ProposalOutcome.UNKNOWN
    owner.hung = False
    assert cluster.until(lambda: cluster.leader(journal) is owner, 0.5)
    assert owner.journals.next_deadline() == float("inf")
