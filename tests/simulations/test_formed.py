"""A cluster that is there at once is the same as one that grew."""

import pytest

from gossipreg.model import NOTHING
from gossipreg.wire.messages import Delta
from simulations.host import Host
from simulations.world import World


def what_is_held(hosts: list[Host]) -> list[object]:
    """All that a member holds of the others, without what differs from start to start."""
    return [
        (
            len(host.node.ring),
            host.node.ring.neighbours(2),
            sorted(host.node.table.rows),
            [len(list(host.node.table.hashes.rows_in(bucket))) for bucket in range(256)],
            [(one.id, one.name, one.address, one.state, one.services) for one in host.node.members(0.0)],
            [(one.node, one.service, one.health) for one in host.node.catalog.instances()],
            host.node.inspect().sessions,
            host.node.table.size_bytes,
        )
        for host in hosts
    ]


def test_a_formed_cluster_holds_what_one_that_grew_holds() -> None:
    grown, formed = World(3), World(3)
    there = grown.grow(12)
    for number in range(4):
        grown.register(there[number], f"base-{number}")
    grown.run(3)
    here = formed.form(12, services=4)
    assert what_is_held(there) == what_is_held(here)
    assert formed.converged()
    assert grown.converged()


def test_a_formed_cluster_has_nothing_to_say_but_probes_and_acks() -> None:
    world = World(1)
    hosts = world.form(40, services=10)
    world.run(40)
    kinds = {kind for host in hosts for kind in host.node.statistics(world.now) if kind.startswith("sent.")}
    assert kinds - {"sent.datagrams", "sent.bytes", "sent.withheld", "sent.throttled"} == {"sent.Probe", "sent.Ack"}


@pytest.mark.parametrize("changed", [0, 7])
def test_a_shared_row_that_changes_changes_for_one_table_alone(changed: int) -> None:
    world = World(1)
    hosts = world.form(10, services=10)
    one, others = hosts[changed], [host for host in hosts if host is not hosts[changed]]
    rows = [host.node.table.rows[one.id] for host in others]
    assert all(row is rows[0] for row in rows)
    world.register(one, "new")
    others[0].node.table.merge_delta(_page(one), from_owner=True, synced=True, now=world.now)
    assert others[0].node.table.rows[one.id] is not rows[0]
    assert rows[0].version < one.node.table.own.version
    assert all(host.node.table.rows[one.id] is rows[0] for host in others[1:])
    world.run(1)
    assert world.converged()
    assert all(host.node.catalog.lookup("new") for host in hosts)


def _page(host: Host) -> Delta:
    page = host.node.table.page(host.id, NOTHING, 1400)
    assert page is not None
    return page
