"""The ring against a sorted list and modular arithmetic."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.core.table.ring import Ring
from gossipreg.model import NodeId
from tests.examples import examples

ids = st.integers(0, 40).map(lambda n: NodeId(n.to_bytes(16, "big")))
others = st.lists(ids, max_size=30)


def ring_of(own: NodeId, members: list[NodeId], removed: list[NodeId]) -> tuple[Ring, list[NodeId]]:
    """A ring, and the same as a sorted list."""
    ring = Ring(own)
    for id in members:
        ring.add(id)
    for id in removed:
        ring.remove(id)
    return ring, sorted({own, *members} - ({*removed} - {own}))


@settings(max_examples=examples(30), deadline=None)
@given(ids, others, others)
def test_a_ring_holds_the_added_members_and_always_ourselves(
    own: NodeId, members: list[NodeId], removed: list[NodeId]
) -> None:
    ring, model = ring_of(own, members, removed)
    assert list(ring) == model
    assert len(ring) == len(model)
    assert all((id in ring) == (id in model) for id in {own, *members, *removed})


@settings(max_examples=examples(30), deadline=None)
@given(ids, others, others)
def test_successors_are_all_the_others_once_nearest_first(
    own: NodeId, members: list[NodeId], removed: list[NodeId]
) -> None:
    ring, model = ring_of(own, members, removed)
    at = model.index(own)
    assert list(ring.successors()) == model[at + 1 :] + model[:at]


@settings(max_examples=examples(30), deadline=None)
@given(ids, others, st.integers(0, 5))
def test_neighbours_are_the_nearest_on_both_sides_each_once(own: NodeId, members: list[NodeId], each_side: int) -> None:
    ring, model = ring_of(own, members, [])
    around = list(ring.successors())
    expected = {*around[:each_side], *around[max(0, len(around) - each_side) :]} if each_side else set()
    found = ring.neighbours(each_side)
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert len(found) == min(2 * each_side, len(model) - 1)


@settings(max_examples=examples(30), deadline=None)
@given(others.filter(bool), st.integers(1, 3))
def test_neighbourhood_is_symmetric(members: list[NodeId], each_side: int) -> None:
    model = sorted(set(members))
    near = {id: set(ring_of(id, members, [])[0].neighbours(each_side)) for id in model}
    assert all((a in near[b]) == (b in near[a]) for a in model for b in model)


@settings(max_examples=examples(30), deadline=None)
@given(ids, others, ids, st.integers(0, 40))
def test_after_pages_through_everyone_in_order(own: NodeId, members: list[NodeId], place: NodeId, most: int) -> None:
    ring, model = ring_of(own, members, [])
    assert ring.after(place, most) == [id for id in model if id > place][:most]
    paged: list[NodeId] = []
    after = b""
    while page := ring.after(after, 3):
        paged += page
        after = page[-1]
    assert paged == model


@settings(max_examples=examples(30), deadline=None)
@given(ids, others, ids)
def test_the_successor_of_anyone_is_the_next_above_or_the_lowest(
    own: NodeId, members: list[NodeId], of: NodeId
) -> None:
    ring, model = ring_of(own, members, [])
    assert ring.successor_of(of) == next((id for id in model if id > of), model[0])


@settings(max_examples=examples(30), deadline=None)
@given(ids, others, st.lists(ids, max_size=12), st.integers(-1, 12), st.integers())
def test_a_sample_has_different_members_and_never_ourselves(
    own: NodeId, members: list[NodeId], but: list[NodeId], wanted: int, seed: int
) -> None:
    ring, model = ring_of(own, members, [])
    found = ring.sample(random.Random(seed), wanted, but)
    eligible = set(model) - {own, *but}
    assert len(found) == len(set(found)) == min(max(wanted, 0), len(eligible))
    assert set(found) <= eligible


def test_in_a_large_ring_everyone_is_sampled_about_equally() -> None:
    rng = random.Random(1)
    ring = Ring(NodeId(bytes(16)))
    for number in range(1, 101):
        ring.add(NodeId(number.to_bytes(16, "big")))
    times = dict.fromkeys(ring, 0)
    for _ in range(10_000):
        for id in ring.sample(rng, 2, [NodeId((1).to_bytes(16, "big"))]):
            times[id] += 1
    drawn = [times[id] for id in ring if id not in (NodeId(bytes(16)), NodeId((1).to_bytes(16, "big")))]
    assert len(drawn) == 99
    assert sum(drawn) == 20_000
    assert 130 < min(drawn) <= max(drawn) < 280, "about 202 each, give or take five deviations"


@settings(max_examples=examples(30), deadline=None)
@given(ids, others, others)
def test_neighbours_follow_each_change_of_the_ring(own: NodeId, members: list[NodeId], removed: list[NodeId]) -> None:
    ring = Ring(own)
    for change, id in [*((ring.add, id) for id in members), *((ring.remove, id) for id in removed)]:
        ring.neighbours(1)
        change(id)
        around = list(ring.successors())
        assert set(ring.neighbours(1)) == {*around[:1], *around[-1:]}
