"""A replica whose disk lost what it had acknowledged: it is found out, and replaced."""

import pytest

from gossipreg.journal.greeting import Greeting
from tests.journal.cluster import Cluster
from tests.journal.stored import Disk
from tests.journal.test_elections import opened


@pytest.mark.parametrize("greets", [True, False])
def test_a_replica_that_went_back_in_time_is_replaced(greets: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by the laboratory: the leader probed it for ever, as fast as the stream carries."""
    cluster, journal, owner = opened()
    voter = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    old, before = voter.journals.replicas[journal].data.replica, Disk(voter.disk)
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
    data = owner.journals.replicas[journal].data
    assert cluster.until(lambda: data.place_of(old) is None and not data.configuration.joint, 120.0)
    assert len(cluster.voters(journal)) == 3


def test_a_member_whose_copy_went_back_takes_a_new_one() -> None:
    """Where there is no other host it is the only one that can, and its old copy must not vote."""
    cluster, journal, owner = opened(members=3)
    voter = next(cluster.sidecars[number] for number in cluster.voters(journal) if number != owner.number)
    old, before = voter.journals.replicas[journal].data.replica, Disk(voter.disk)
    for number in range(10):
        cluster.propose(owner, journal, b"%d" % number)
        cluster.run(0.1)
    cluster.crash(voter)
    voter.disk = before
    cluster.start(voter)
    cluster.run(2.0)
    cluster.propose(owner, journal, b"after")
    data = owner.journals.replicas[journal].data
    assert cluster.until(lambda: data.place_of(old) is None and not data.configuration.joint, 5.0)
    assert (len(cluster.voters(journal)), voter.journals.replicas[journal].data.replica == old) == (3, False)


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


def test_an_owner_whose_copy_went_back_to_one_voter_takes_a_new_one() -> None:
    """Its disk says that it is the only voter. So it led without asking anybody, and kept its copy when it was
    dismissed."""
    cluster = Cluster(3, 3)
    cluster.run(1.0)
    owner = cluster.sidecars[0]
    journal = cluster.open(owner)
    while journal not in owner.disk:
        cluster.run(0.001)
    old, before = owner.disk[journal].replica, Disk(owner.disk)
    assert len(before[journal].base.configuration.voters) == 1
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 30.0)
    cluster.crash(owner)
    assert cluster.until(lambda: cluster.leader(journal) not in (None, owner), 10.0)
    leader = cluster.leader(journal)
    assert leader is not None
    cluster.start(owner)
    cluster.run(3.0)
    assert cluster.propose(leader, journal, b"acked by the owner, too")
    cluster.run(0.2)
    cluster.crash(owner)
    owner.disk = before
    cluster.start(owner)
    cluster.run(60.0)
    assert len(cluster.voters(journal)) == 3
    assert owner.journals.replicas[journal].data.replica != old


def test_an_only_voter_does_not_lead_before_its_sidecar_is_in_sync() -> None:
    """Its disk may be an older one, of before there were others; the registry says so."""
    cluster = Cluster(1, 1)
    cluster.run(1.0)
    [owner] = cluster.sidecars
    journal = cluster.open(owner)
    assert cluster.until(lambda: cluster.leader(journal) is owner, 1.0)
    cluster.crash(owner)
    cluster.start(owner)
    assert owner.view.synced_at is None
    while owner.view.synced_at is None:
        assert owner.journals.replicas[journal].leading is None
        cluster.run(0.01)
    assert cluster.until(lambda: cluster.leader(journal) is owner, 0.5)
