"""Whether another member goes on if the leader is lost: what publishers are told, while the copies are being made."""

from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId
from tests.journal.cluster import Cluster, Sidecar


def said_too_early(cluster: Cluster, journal: JournalId, owner: Sidecar) -> list[int]:
    """Stop at the first moment at which the leader says so, lose it for good, and see who leads."""
    while not owner.journals.has_takeover(journal):
        cluster.run(0.0001)
    cluster.crash(owner, ProcessStanding.SILENT)
    cluster.lose_disk(owner)
    cluster.run(20.0)
    return [one.number for one in cluster.sidecars if one.up and journal in one.established]


def test_another_member_leads_where_the_leader_said_so() -> None:
    for seed in range(20):
        cluster = Cluster(seed, 3)
        cluster.run(1.0)
        owner = cluster.sidecars[0]
        journal = cluster.open(owner)
        assert said_too_early(cluster, journal, owner), f"seed {seed}: nobody leads"
