"""A replica whose disk lost what it had acknowledged: it is found out, and replaced."""

import pytest

from gossipreg.journal.greeting import Greeting
from tests.journal.stored import Disk
from tests.journal.test_elections import opened


@pytest.mark.parametrize("greets", [True, False])
def test_a_replica_that_went_back_in_time_is_replaced(greets: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by the laboratory: the leader probed it for ever, as fast as the stream carries."""
    cluster, journal, owner = opened()
    voter = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    before = Disk(voter.disk)
    for number in range(10):
        cluster.propose(owner, journal, b"%d" % number)
        cluster.run(0.1)
    cluster.crash(voter)
    voter.disk = before
    if not greets:
        monkeypatch.setattr(Greeting, "look", lambda _: None)
    cluster.start(voter)
    messages = cluster.messages
    cluster.run(2.0)
    cluster.propose(owner, journal, b"after")
    cluster.run(28.0)
    assert cluster.messages - messages < 60
    assert cluster.until(lambda: voter.number not in cluster.voters(journal), 120.0)
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 10.0)


def test_a_leader_does_not_ask_for_ever_whether_a_lost_owner_is_near() -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner)
    assert cluster.until(lambda: cluster.leader(journal) not in (None, owner), 5.0)
    cluster.lose_disk(owner)
    cluster.start(owner)
    leader = cluster.leader(journal)
    assert leader is not None
    cluster.propose(leader, journal, b"1")
    cluster.run(20.0)
    assert leader.journals.next_deadline() - cluster.now > 10.0, "the next step is to replace it"
