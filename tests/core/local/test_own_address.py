"""Which addresses a member announces: the present one of each family, followed whichever way it changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.core.local.own_address import with_present
from gossipreg.core.node import Node
from gossipreg.model import Address, present
from gossipreg.wire.messages import Ack, Probe
from tests.core.cluster import START, Cluster
from tests.core.speaker import HOME, Speaker, a_node

A, B, C = (Address(host, 7940) for host in ("10.1.0.1", "10.9.9.9", "10.9.9.10"))
A6, B6 = Address("fd00::1", 7940), Address("fd00::2", 7940)
LO, LO6 = Address("127.0.0.1", 7940), Address("::1", 7940)
PERIOD_S = 1.0
addresses = st.lists(st.sampled_from([A, B, C, A6, B6, LO, LO6]), max_size=5, unique=True).map(tuple)


def answer_probes(node: Node, words: dict[Speaker, Address | None], now: float, seconds: float) -> float:
    """These members answer each probe of ours, and say where they saw us, for so long; the time after it."""
    end = now + seconds
    while (now := max(now, node.next_deadline())) <= end:
        effects = node.advance(now)
        for witness, observed in words.items():
            for message in witness.received(effects):
                if isinstance(message, Probe):
                    effects += witness.send_to(node, now, Ack(message.number, node.fingerprint, observed))
    return end


def node_and_witnesses(count: int, *, address_fixed: bool = False) -> tuple[Node, list[Speaker]]:
    node, witnesses = a_node(address_fixed=address_fixed), [Speaker(number + 1) for number in range(count)]
    for witness in witnesses:
        witness.handshake(node, START)
    return node, witnesses


@pytest.mark.parametrize("n", [2, 3, 6])
def test_an_address_that_alternates_is_followed_each_time(n: int) -> None:
    cluster = Cluster(seed=4)
    hosts = cluster.grow(n)
    mover = hosts[1]
    first = mover.address
    for moved in (B, first, B, first, C, B):
        cluster.move(mover, moved)
        assert cluster.until(lambda: mover.node.addresses == (moved,), 4), moved  # noqa: B023
        cluster.run(1)
        for host in hosts:
            member = host.node.member(mover.id, cluster.now)
            assert member is not None
            assert (member.state, member.address) == ("alive", moved)
            row = host.node.table.rows[mover.id].member
            assert row is not None
            assert row.addresses == (moved,), "no former address is announced"


def test_an_address_is_followed_while_a_third_of_all_is_lost() -> None:
    cluster = Cluster(seed=9)
    hosts = cluster.grow(8)
    mover = hosts[3]
    cluster.network.loss = 0.3
    for moved in (B, mover.address, B):
        cluster.move(mover, moved)
        assert cluster.until(lambda: mover.node.addresses == (moved,), 15), moved  # noqa: B023


def test_a_host_seen_at_two_addresses_keeps_its_present_one() -> None:
    """Two uplinks: half of the members see it at one address, half at the other, and both are right."""
    node, witnesses = node_and_witnesses(6)
    successor = next(iter(node.ring.successors()))
    at_home = sorted(witnesses, key=lambda one: one.id != successor)[:3]
    words = {one: None if one in at_home else B for one in witnesses}
    now = answer_probes(node, words, START, 300)
    assert node.addresses == (HOME,)
    assert answer_probes(node, dict.fromkeys(witnesses, B), now, 6)
    assert node.addresses == (B,), "nobody sees it at home any more"


def test_a_witness_that_withdraws_its_report_moves_nothing() -> None:
    node, (one, other) = node_and_witnesses(2)
    now = answer_probes(node, {one: B, other: None}, START, 20)
    now = answer_probes(node, {one: None, other: None}, now, 20)
    answer_probes(node, {one: None, other: B}, now, 1.2)
    assert node.addresses == (HOME,)


def test_a_fixed_address_stays_whatever_others_see() -> None:
    node, witnesses = node_and_witnesses(2, address_fixed=True)
    answer_probes(node, dict.fromkeys(witnesses, B), START, 20)
    assert node.addresses == (HOME,)


def test_loopback_is_not_believed_over_an_address_of_the_network() -> None:
    """The witnesses are on this host. The others, who may join later, are not."""
    node, witnesses = node_and_witnesses(2)
    answer_probes(node, dict.fromkeys(witnesses, LO), START, 20)
    assert node.addresses == (HOME,)


def test_a_member_without_an_address_takes_the_one_it_is_seen_at() -> None:
    node, witnesses = node_and_witnesses(1)
    node.reachable_at((), START)
    assert list(node.addresses) == []
    now = answer_probes(node, dict.fromkeys(witnesses, LO), START, 3)
    assert list(node.addresses) == [LO], "whoever sees it there is on its host"
    answer_probes(node, dict.fromkeys(witnesses, B), now, 4)
    assert node.addresses == (B,)


@given(addresses)
def test_one_address_of_each_family_is_present(announced: tuple[Address, ...]) -> None:
    shown = present(announced)
    assert len({":" in one.host for one in shown}) == len(shown)
    assert shown[:1] == announced[:1]
    assert present(shown) == shown


@given(addresses.map(present), st.sampled_from([A, B, A6, B6]))
def test_a_new_address_takes_the_place_of_its_family(announced: tuple[Address, ...], new: Address) -> None:
    after = with_present(announced, new)
    assert new in after
    assert not any(one in (LO, LO6) for one in after)
    others = [one for one in announced if one not in (LO, LO6) and (":" in one.host) != (":" in new.host)]
    assert [one for one in after if one != new] == others
    assert with_present(after, new) == after
