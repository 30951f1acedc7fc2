"""The doer: faults that overlap, and their ends."""

import pytest

from simulations.doer import Doer
from simulations.plan import Action
from simulations.world import START, World


def doing(*plan: Action) -> World:
    """Four members, to whom this is done."""
    world = World(1)
    hosts = world.form(4)
    Doer(world, {host.number: host for host in hosts}, 0.001).begin(plan)
    return world


def overlapping(what: str, first: float = 0.0, second: float = 0.0, hosts: tuple[int, ...] = (1,)) -> World:
    """One fault from 1 to 3 s, another of the same kind from 2 to 5 s."""
    return doing(
        Action(number=1, at_s=1.0, what=what, hosts=hosts, for_s=2.0, value=first),
        Action(number=2, at_s=2.0, what=what, hosts=hosts, for_s=3.0, value=second),
    )


@pytest.mark.parametrize("what", ["stall", "block"])
def test_who_is_slow_for_two_reasons_is_slow_until_both_are_over(what: str) -> None:
    world = overlapping(what)
    host = world.hosts[1]
    for second, slow in ((1.5, True), (2.5, True), (4.0, True), (5.5, False)):
        world.run(START + second - world.now)
        assert (host.stalled or host.blocked) is slow


def test_a_blocked_member_that_was_stalled_is_blocked_again() -> None:
    world = doing(
        Action(number=1, at_s=1.0, what="block", hosts=(1,), for_s=6.0),
        Action(number=2, at_s=2.0, what="stall", hosts=(1,), for_s=2.0),
    )
    host = world.hosts[1]
    world.run(3.0)
    held = len(host.held)
    assert host.stalled
    world.run(2.5)
    assert (host.stalled, host.blocked) == (False, True)
    assert len(host.held) > held, "its period went on"
    assert host.inbox
    world.run(3.0)
    assert host.open
    assert not host.held


def test_a_stall_ends_with_its_process_and_wakes_no_later_one() -> None:
    world = doing(
        Action(number=1, at_s=1.0, what="stall", hosts=(1,), for_s=4.0),
        Action(number=2, at_s=2.0, what="crash", hosts=(1,), for_s=1.0, seeds=(0,)),
        Action(number=3, at_s=4.0, what="stall", hosts=(1,), for_s=2.0),
    )
    host = world.hosts[1]
    for second, stalled in ((1.5, True), (3.5, False), (4.5, True), (5.5, True), (6.5, False)):
        world.run(START + second - world.now)
        assert host.stalled is stalled


def test_of_two_faults_of_a_kind_the_worse_one_holds() -> None:
    world = overlapping("slow", 0.002, 0.001)
    seen = []
    for second in (1.5, 2.5, 4.0, 5.5):
        world.run(START + second - world.now)
        seen.append(world.hosts[1].processing_s)
    assert seen == [0.002, 0.002, 0.001, 0.0]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("loss", [0.3, 0.3, 0.1, 0.001]),
        ("duplication", [0.3, 0.3, 0.1, 0.0]),
        ("reorder", [0.3, 0.3, 0.1, 0.0]),
    ],
)
def test_the_end_of_a_network_fault_leaves_other_faults(what: str, expected: list[float]) -> None:
    world = overlapping(what, 0.3, 0.1, ())
    seen = []
    for second in (1.5, 2.5, 4.0, 5.5):
        world.run(START + second - world.now)
        seen.append(getattr(world.network, what))
    assert seen == expected


def test_the_narrowest_line_and_the_smallest_mtu_hold() -> None:
    mtu, bandwidth = overlapping("mtu", 600, 1200, ()), overlapping("bandwidth", 30_000, 60_000, ())
    seen: list[tuple[int, float | None]] = []
    for second in (1.5, 2.5, 4.0, 5.5):
        for world in (mtu, bandwidth):
            world.run(START + second - world.now)
        link = bandwidth.network.link
        seen.append((mtu.network.mtu, None if link is None else link.bytes_s))
    assert seen == [(600, 30_000), (600, 30_000), (1200, 60_000), (65_535, None)]


def test_once_all_is_healed_the_end_of_a_fault_is_nothing() -> None:
    world = World(1)
    hosts = world.form(4)
    doer = Doer(world, {host.number: host for host in hosts}, 0.0)
    doer.begin((Action(number=1, at_s=1.0, what="stall", hosts=(1,), for_s=4.0),))
    world.run(2.0)
    doer.heal()
    world.stall(hosts[1])
    world.run(4.0)
    assert hosts[1].stalled


def test_a_moved_member_is_found_whether_it_returns_or_stays() -> None:
    world = doing(
        Action(number=1, at_s=1.0, what="move", hosts=(1,), for_s=8.0, flags=("and back",)),
        Action(number=2, at_s=3.0, what="move", hosts=(1,), for_s=2.0, flags=("and back",)),  # it is away already
        Action(number=3, at_s=1.0, what="move", hosts=(2,), for_s=8.0, flags=("for good",)),
    )
    back, gone = world.hosts[1:3]
    home = back.address
    world.run(START + 8.5 - world.now)
    assert back.address == (home._replace(host="10.99.0.1"))
    assert all(host.node.table.rows[back.id].member.addresses == (back.address,) for host in world.hosts)  # type: ignore[union-attr]
    world.run(START + 15 - world.now)
    assert (back.address, gone.address.host) == (home, "10.99.0.2")
    for mover in (back, gone):
        assert all(host.node.table.rows[mover.id].member.addresses == (mover.address,) for host in world.hosts)  # type: ignore[union-attr]
    assert world.converged()
