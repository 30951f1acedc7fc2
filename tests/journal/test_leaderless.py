"""Every way in which a journal becomes leaderless ends with a leader: a state is looked at, not an edge."""

import pytest

from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import NO_BALLOT
from tests.journal.cluster import Cluster, Sidecar
from tests.journal.test_elections import another_leads, opened

PROMISED_S = 10.0


def followers(cluster: Cluster, journal: bytes, owner: Sidecar) -> list[Sidecar]:
    numbers = cluster.voters(journal) - {owner.number}  # type: ignore[arg-type]
    return [cluster.sidecars[number] for number in sorted(numbers)]


def test_a_leader_that_restarts_before_its_death_is_noticed() -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner, None)
    cluster.run(0.2)
    cluster.start(owner)
    assert cluster.until(lambda: cluster.leader(journal) is not None, PROMISED_S)


def test_the_leader_of_a_takeover_restarts_unnoticed() -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner)
    assert cluster.until(lambda: another_leads(cluster, journal, owner), PROMISED_S)
    leader = cluster.leader(journal)
    assert leader is not None
    cluster.crash(leader, None)
    cluster.run(0.2)
    cluster.start(leader)
    assert cluster.until(lambda: cluster.leader(journal) is not None, PROMISED_S)


@pytest.mark.parametrize("standing", [one for one in ProcessStanding if one.value not in ("lives", "restarting")])
def test_whatever_became_of_the_leader_another_follows(standing: ProcessStanding) -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner, standing)
    assert cluster.until(lambda: another_leads(cluster, journal, owner), PROMISED_S)


def test_nobody_stands_while_the_leader_is_restarting() -> None:
    cluster, journal, owner = opened()
    cluster.crash(owner, ProcessStanding.RESTARTING)
    cluster.run(20.0)
    assert not another_leads(cluster, journal, owner)
    assert max(ballot.round for _, ballot in cluster.ballots) == 1


def test_after_a_power_loss_two_of_three_voters_are_enough() -> None:
    cluster, journal, owner = opened()
    for sidecar in cluster.sidecars:
        cluster.crash(sidecar)
    cluster.run(3.0)
    for sidecar in cluster.sidecars:
        if sidecar is not owner:
            cluster.start(sidecar)
    assert cluster.until(lambda: cluster.leader(journal) is not None, PROMISED_S)


def test_a_winner_that_dies_before_it_said_so_is_followed() -> None:
    cluster, journal, owner = opened()
    one, two = followers(cluster, journal, owner)
    cluster.crash(owner, ProcessStanding.SILENT)

    def led() -> Sidecar | None:
        return next((sidecar for sidecar in (one, two) if journal in sidecar.claims), None)

    end = cluster.now + PROMISED_S
    while led() is None and cluster.now < end:
        cluster.run(0.0005)
    winner = led()
    assert winner is not None
    other = two if winner is one else one
    assert winner.node not in {claim.node for claim in other.view.claims(journal)}
    cluster.crash(winner, ProcessStanding.SILENT)
    cluster.start(owner)
    assert cluster.until(lambda: cluster.leader(journal) is not None, PROMISED_S)


def test_a_lost_vote_is_asked_for_again() -> None:
    cluster, journal, owner = opened()
    one, two = followers(cluster, journal, owner)
    cluster.crash(owner, ProcessStanding.SILENT)
    everybody = {sidecar.number for sidecar in cluster.sidecars}

    def standing() -> Sidecar | None:
        for sidecar in (one, two):
            promised = sidecar.journals.replicas[journal].data.promised
            if promised != NO_BALLOT and promised.round > 1:
                return sidecar
        return None

    end = cluster.now + PROMISED_S
    while standing() is None and cluster.now < end:
        cluster.run(0.0005)
    candidate = standing()
    assert candidate is not None
    cluster.partition({candidate.number}, everybody - {candidate.number})
    cluster.run(0.5)
    cluster.partition()
    assert cluster.until(lambda: cluster.leader(journal) is not None, PROMISED_S)


def test_a_voter_that_restarts_after_the_verdict_stands_too() -> None:
    cluster, journal, owner = opened()
    one, two = followers(cluster, journal, owner)
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.run(0.2)
    for sidecar in (one, two):
        cluster.crash(sidecar, None)
        cluster.start(sidecar)
    assert cluster.until(lambda: cluster.leader(journal) is not None, PROMISED_S)


def test_streams_that_failed_for_long_delay_no_election_once_they_work() -> None:
    """A firewall let datagrams pass and no streams: no change of the members says when it ends."""
    cluster, journal, owner = opened()
    cluster.cut_streams(owner)
    cluster.propose(owner, journal, b"cannot be committed")
    for other in followers(cluster, journal, owner):
        cluster.cut_streams(other)
    assert cluster.until(lambda: cluster.leader(journal) is None, 10.0)
    cluster.run(300.0)
    assert cluster.leader(journal) is None
    cluster.mend_streams()
    assert cluster.until(lambda: cluster.leader(journal) is not None, PROMISED_S)


@pytest.mark.parametrize("seed", range(1, 9))
def test_both_followers_that_stand_at_once_do_not_split_the_vote(seed: int) -> None:
    cluster, journal, owner = opened(seed)
    cluster.crash(owner, ProcessStanding.LEFT)
    for sidecar in followers(cluster, journal, owner):
        sidecar.journals.replicas[journal]._candidacy.stand_at_once()
        cluster.act(sidecar, sidecar.journals.members_changed(cluster.now))
    assert cluster.until(lambda: another_leads(cluster, journal, owner), PROMISED_S)


def test_a_voter_in_a_minority_does_not_raise_its_ballot() -> None:
    cluster, journal, owner = opened()
    one, _ = followers(cluster, journal, owner)
    others = {sidecar.number for sidecar in cluster.sidecars} - {one.number}
    cluster.partition({one.number}, others)
    cluster.run(120.0)
    assert one.journals.replicas[journal].data.promised.round == 1
    cluster.partition()
    cluster.run(5.0)
    assert cluster.leader(journal) is owner
