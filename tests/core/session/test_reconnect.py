"""Members known before a restart are called when no seed is given, and kept for the next one."""

import random

from gossipreg.model import Address, NodeId, Rank
from gossipreg.wire.messages import Claim
from tests.core.cluster import START, Cluster
from tests.core.speaker import HOME, Speaker, a_node


def test_remembered_members_lead_to_the_cluster_without_a_seed() -> None:
    cluster = Cluster(seed=5)
    hosts = cluster.grow(5)
    remembered = hosts[2].node.worth_remembering()
    assert set(remembered) == {host.id for host in hosts if host is not hosts[2]}
    cluster.crash(hosts[2])
    cluster.run(5)
    cluster.join(id=hosts[2].id, address=Address("10.8.8.8", 7940), remembers=remembered)
    assert cluster.until(cluster.converged, 5)


def test_a_member_without_seeds_waits_for_those_remembered() -> None:
    cluster = Cluster(seed=7)
    late = Address("10.1.1.1", 7940)
    host = cluster.join(remembers={NodeId(bytes(16)): late})
    cluster.run(3)
    assert not host.node.synced
    within = "; without an answer within 2 s this sidecar is the first of its cluster"
    assert host.node.why_not_synced(host.local(cluster.now)) == f"no other member has answered yet{within}"
    cluster.run(5)
    assert host.node.synced
    assert host.node.why_not_synced(host.local(cluster.now)) == ""
    cluster.run(600)
    cluster.join(address=late, id=NodeId(bytes(16)))
    assert cluster.until(cluster.converged, 10), "they are called on"


def test_remembered_members_are_bounded_without_ourselves() -> None:
    cluster = Cluster(seed=6)
    [host, *_] = cluster.grow(12)
    first = host.node.worth_remembering()
    cluster.run(5)
    assert list(host.node.worth_remembering()) == list(first)
    many = {NodeId(random.Random(number).randbytes(16)): Address("10.1.1.1", 1 + number) for number in range(500)}
    host.node.remember({**many, host.id: host.address}, cluster.now)
    kept = host.node.worth_remembering()
    assert len(kept) == host.node.config.lost_max // 2 + 11
    assert host.id not in kept


def test_a_restart_does_not_greet_its_former_self_for_ever() -> None:
    """Found by swarm: without a data directory the former self is another member, dead, and at our own address."""
    node, teller = a_node(), Speaker(1)
    teller.handshake(node, START)
    former, other = Speaker(2, address=HOME), Speaker(3)
    for gone in (former, other):
        teller.send_to(node, START, gone.row)
        teller.send_to(node, START, Claim(gone.id, gone.generation, 0, Rank.DEAD, teller.id))
    assert list(node.worth_remembering().values()) == [other.address, teller.address]
