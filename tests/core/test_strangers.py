"""Datagrams of those who have no key, or who replay: nothing escapes, nothing changes, each drop has a reason."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.core.node import Node
from gossipreg.model import Address, Rank
from gossipreg.wire import messages as m
from gossipreg.wire.messages import Claim
from tests.core.cluster import START
from tests.core.hostile import INSIDER, MEMBERS, NODE, a_cluster, state_of
from tests.core.speaker import GENERATION, Speaker, counted
from tests.examples import examples


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(max_size=120), st.sampled_from([0xA0, 0xA1, 0xA2, None]))
def test_random_bytes_change_nothing_and_are_counted(datagram: bytes, form: int | None) -> None:
    node = NODE
    before, drops = state_of(node), all_drops(node)
    node.receive(datagram if form is None else bytes([form]) + datagram, Address("10.3.3.3", 3), START)
    assert state_of(node) == before
    assert all_drops(node) == drops + 1


def all_drops(node: Node) -> int:
    return sum(int(n) for name, n in node.statistics(START).items() if name in DROPS_OF_STRANGERS)


DROPS_OF_STRANGERS = {
    f"drop.{reason}"
    for reason in ("short", "unknown_format", "clear_refused", "unknown_key", "bad_tag", "notice", "own", "replay")
}


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(0, 7), st.integers(0, 10_000), st.integers(0, 255), st.sampled_from(["set", "cut", "grow"]))
def test_mutated_datagrams_without_the_key_change_nothing(which: int, at: int, value: int, edit: str) -> None:
    node = NODE
    datagram = bytearray(REAL[which % len(REAL)])
    at %= len(datagram)
    if edit == "set":
        datagram[at] ^= value or 1
    elif edit == "cut":
        del datagram[at:]
    else:
        datagram[at:at] = bytes([value])
    if bytes(datagram) in REAL:
        return
    before = state_of(node)
    node.receive(bytes(datagram), Speaker(1).address, START)
    assert state_of(node) == before


REAL = [
    MEMBERS[0].sealed(message)
    for message in (
        m.Probe(1, 2), Claim(MEMBERS[1].id, GENERATION, 0, Rank.DEAD, MEMBERS[0].id), INSIDER.row,
        m.Pull(NODE.id, 0, 0), m.Hello("default", MEMBERS[0].id, GENERATION, 4, 0),
    )
]  # fmt: skip
"""Not received by the node: only their mutations are."""


def test_replays_change_nothing_and_get_no_answer() -> None:
    node, members, _ = a_cluster()
    seen = [
        members[0].sealed(message)
        for message in (members[0].row, Claim(members[1].id, GENERATION, 0, Rank.DEAD, members[0].id), m.Probe(1, 2))
    ]
    for datagram in seen:
        node.receive(datagram, members[0].address, START)
    node.advance(START + 0.005)
    before = state_of(node)
    for datagram in [*reversed(seen), *seen]:
        assert node.receive(datagram, members[0].address, START + 0.006) == []
    assert state_of(node) == before
    assert counted(node, "drop.replay") == 6
