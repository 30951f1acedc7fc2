"""A leader that is not the owner gives the journal back."""

import pytest

from gossipreg.journal.effects import ProposalOutcome
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.membership import ProcessStanding
from tests.journal.test_elections import another_leads, opened


def test_what_ends_something_is_taken_until_the_owner_is_asked() -> None:
    """Acknowledgements of deliveries that were under way: else the owner would deliver these once more."""
    cluster, journal, owner = opened()
    cluster.crash(owner, ProcessStanding.SILENT)
    assert cluster.until(lambda: another_leads(cluster, journal, owner), 5.0)
    leader = cluster.leader(journal)
    assert leader is not None
    leading = leader.journals.replicas[journal].leading
    assert leading is not None
    cluster.start(owner)
    cluster.act(leader, leader.journals.acts(journal, 1, cluster.now))
    assert cluster.until(lambda: not leading.accepts, 60.0)
    with pytest.raises(ProposalRefused):
        leader.journals.propose(journal, b"new", 1, cluster.now)
    cluster.act(leader, leader.journals.propose(journal, b"ends", 2, cluster.now, ends=True))
    cluster.act(leader, leader.journals.acts(journal, 0, cluster.now))
    assert cluster.until(lambda: cluster.leader(journal) is owner, 5.0)
    assert leader.settled[2].outcome is ProposalOutcome.COMMITTED
    assert not leading.accepts_ends
