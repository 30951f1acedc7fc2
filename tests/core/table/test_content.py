from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.core.table.content import Content
from gossipreg.core.table.layout import KIND_HEALTH, KIND_MEMBER, KIND_SERVICE, PART_BYTES, key_of, split_key
from gossipreg.core.table.own_content import OwnContent
from gossipreg.errors import TooLarge
from gossipreg.model import MAX_ROW_BYTES, MAX_VALUE_BYTES, NodeId
from gossipreg.wire.codec import encode
from gossipreg.wire.messages import MAX_KEY, MAX_VERSION, Delta
from gossipreg.wire.sizes import room_for

ID = NodeId(bytes(16))
FIELDS_BYTES = -room_for(Delta, 0)
LARGE = bytes(range(256)) * 8


def owner(*values: bytes) -> OwnContent:
    """One service a value, in slots from 0."""
    content = OwnContent(5)
    for slot, value in enumerate(values):
        content.put(KIND_SERVICE, slot, value)
    return content


def follow(content: Content, follower: Content, limit: int = 1400) -> Content:
    while follower.counter < content.counter or follower.head < 0:
        delta = content.cut(ID, follower.counter, limit)
        assert follower.accepts(delta)
        follower.apply(delta)
    return follower


def follower_of(content: Content, limit: int = 1400) -> Content:
    return follow(content, Content(content.generation), limit)


# -- keys ------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, 31), st.integers(0, 2**32 - 1), st.integers(0, 255))
def test_a_key_is_its_kind_slot_and_part(kind: int, slot: int, part: int) -> None:
    key = key_of(kind, slot, part)
    assert split_key(key) == (kind, slot, part)
    assert key <= MAX_KEY


# -- writing and following -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 389, 390, 391, 780, 781, MAX_VALUE_BYTES])
@pytest.mark.parametrize("limit", [0, 496, 1400, 8900])
def test_a_value_of_any_size_arrives_in_pages_of_any_size(size: int, limit: int) -> None:
    value = (LARGE * 33)[:size]
    follower = follower_of(owner(b"before", value, b"behind"), limit)
    assert [follower.view(KIND_SERVICE, slot) for slot in range(3)] == [b"before", value, b"behind"]
    assert follower.whole
    assert all(len(stored or b"") + 9 <= PART_BYTES for _, stored in follower.entries.values())


def test_a_change_is_one_small_entry() -> None:
    content = owner(LARGE, LARGE)
    content.put(KIND_HEALTH, 1, b"\x01")
    delta = content.cut(ID, content.counter - 1, 1400)
    assert delta.entries == ((key_of(KIND_HEALTH, 1), content.counter, b"\x00\x01"),)
    assert len(encode(delta)) < 80


def test_to_write_what_is_there_changes_nothing() -> None:
    content = owner(b"small", LARGE)
    before = content.counter
    assert not content.put(KIND_SERVICE, 0, b"small")
    assert not content.put(KIND_SERVICE, 1, LARGE)
    assert not content.remove(KIND_SERVICE, 2, 0.0)
    assert content.counter == before


def test_a_view_is_the_old_value_until_all_new_parts_are_there() -> None:
    content = owner(LARGE)
    follower = follower_of(content)
    new = LARGE[::-1] + b"longer" * 100
    content.put(KIND_SERVICE, 0, new)
    changed: list[int] = []
    while follower.counter < content.counter:
        assert follower.view(KIND_SERVICE, 0) == LARGE
        assert changed == []
        changed = follower.apply(content.cut(ID, follower.counter, 0))
    assert follower.view(KIND_SERVICE, 0) == new
    assert changed == [key_of(KIND_SERVICE, 0)]
    assert follower.whole


def test_a_head_whose_parts_are_overwritten_keeps_the_view() -> None:
    """A relay that is in the middle of a newer value still tells the old head."""
    content = owner(LARGE)
    relay = follower_of(content)
    content.put(KIND_SERVICE, 0, LARGE[::-1])
    relay.apply(content.cut(ID, relay.counter, 0))
    assert not relay.whole
    follower = Content(5)
    follower.apply(relay.cut(ID, 0, 1400))
    follower.apply(relay.cut(ID, follower.counter, 8900))
    assert follower.counter == relay.counter
    assert follower.view(KIND_SERVICE, 0) is None
    assert list(follower.slots(KIND_SERVICE)) == []
    follow(content, follower)
    assert follower.view(KIND_SERVICE, 0) == LARGE[::-1]
    assert list(follower.slots(KIND_SERVICE)) == [0]


def test_an_older_heads_digest_is_not_checked() -> None:
    """A page of the newer leaves out what is changed again behind it, so at the older head there is a hole."""
    content = owner(b"a", b"again", b"b", b"c")
    relay = follower_of(content)
    content.put(KIND_SERVICE, 1, b"AGAIN")
    follower = Content(5)
    for _ in range(2):
        follower.apply(content.cut(ID, follower.counter, 0))
    assert (follower.counter, follower.head) == (3, 5)
    follower.apply(relay.cut(ID, 3, 1400))
    assert (follower.counter, follower.head) == (4, 5)
    assert not follower.mismatched
    assert follow(content, follower).whole


@pytest.mark.parametrize("then", [b"small", LARGE[:500], None])
def test_a_new_value_or_tombstone_drops_unneeded_parts(then: bytes | None) -> None:
    content = owner(LARGE)
    follower = follower_of(content)
    if then is None:
        content.remove(KIND_SERVICE, 0, 0.0)
    else:
        content.put(KIND_SERVICE, 0, then)
    follow(content, follower)
    assert follower.view(KIND_SERVICE, 0) == then
    assert follower.entries == content.entries
    assert len(content.entries) == (3 if then == LARGE[:500] else 1)
    assert follower.whole


def test_kinds_not_known_here_are_stored_and_relayed_untouched() -> None:
    content = owner()
    content.put(31, 2**32 - 1, b"from the future")
    delta = follower_of(content).cut(ID, 0, 1400)
    assert delta == content.cut(ID, 0, 1400)


def test_a_page_names_the_slots_that_it_changes_in_order() -> None:
    content = owner()
    for kind, slot in [(KIND_HEALTH, 3), (KIND_SERVICE, 1), (KIND_HEALTH, 3), (KIND_MEMBER, 0)]:
        assert content.put(kind, slot, bytes([kind, slot, content.counter]))
    follower, page = Content(5), content.cut(ID, 0, 1400)
    assert follower.apply(page) == [key_of(KIND_SERVICE, 1), key_of(KIND_HEALTH, 3), key_of(KIND_MEMBER, 0)]
    assert follower.apply(page) == [], "nothing in it is new"


def test_a_renewed_content_says_the_same_in_a_new_generation() -> None:
    content = owner(b"a", LARGE, b"c")
    content.remove(KIND_SERVICE, 0, 0.0)
    renewed = content.renewed(6)
    follower = follower_of(renewed, 0)
    assert (renewed.generation, renewed.counter) == (6, content.counter)
    assert [follower.view(KIND_SERVICE, slot) for slot in range(3)] == [None, LARGE, b"c"]
    assert follower.whole
    assert renewed.digest == content.digest


# -- limits ----------------------------------------------------------------------------------------------------------


def test_a_value_beyond_the_limit_is_refused_and_nothing_changes() -> None:
    content = owner(b"a")
    with pytest.raises(TooLarge, match="65537 bytes"):
        content.put(KIND_SERVICE, 0, bytes(MAX_VALUE_BYTES + 1))
    assert content.view(KIND_SERVICE, 0) == b"a"
    assert content.whole


def test_a_full_row_takes_replacements_and_no_more() -> None:
    content = owner()
    for slot in range(58):
        content.put(KIND_SERVICE, slot, bytes([slot]) * MAX_VALUE_BYTES)
    with pytest.raises(TooLarge, match="deregister a service first"):
        content.put(KIND_SERVICE, 58, bytes(MAX_VALUE_BYTES))
    assert content.view(KIND_SERVICE, 58) is None
    assert MAX_ROW_BYTES * 0.95 < content.size_bytes <= MAX_ROW_BYTES
    content.put(KIND_SERVICE, 0, b"\xff" * MAX_VALUE_BYTES)
    content.remove(KIND_SERVICE, 1, 0.0)
    content.put(KIND_SERVICE, 1, b"fits")
    assert follower_of(content, 8900).whole


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 900)), min_size=1), st.integers(300, 8900))
def test_a_page_fits_its_limit_or_is_one_entry(values: list[tuple[int, int]], limit: int) -> None:
    content = OwnContent(MAX_VERSION)
    content.counter = 2**40
    for slot, size in values:
        content.put(KIND_SERVICE, slot, bytes(size))
    delta = content.cut(ID, 0, limit)
    assert len(delta.entries) == 1 or len(encode(delta)) <= limit
    rest = content.cut(ID, delta.reached, 2**20)
    assert len(delta.entries) + len(rest.entries) == len(content.entries)
    if rest.entries:
        assert len(encode(delta)) + FIELDS_BYTES + PART_BYTES + 12 > limit, "a page is used well"


@pytest.mark.parametrize("base", [0, 1, 50, 63, 64, 65, 135, 199, 200, 201])
def test_a_page_begins_after_its_base_wherever_that_is(base: int) -> None:
    content = owner(*[bytes([slot]) for slot in range(200)])
    for _ in range(2):  # by the index made the first time, and by the one kept
        delta = content.cut(ID, base, 2**20)
        assert [counter for _, counter, _ in delta.entries] == list(range(base + 1, 201))
    content.put(KIND_SERVICE, 0, b"again")
    assert content.cut(ID, 1, 2**20).entries[-1] == (key_of(KIND_SERVICE, 0), 201, b"\x00again")
    assert len(content.cut(ID, 1, 2**20).entries) == 200


# -- tombstones and floors -------------------------------------------------------------------------------------------


def test_a_removed_entry_is_gone_for_followers() -> None:
    content = owner(b"a", b"b")
    follower = follower_of(content)
    content.remove(KIND_SERVICE, 0, 0.0)
    content.remove(KIND_SERVICE, 0, 0.0)
    content.remove(KIND_SERVICE, 9, 0.0)
    assert content.counter == 3
    follow(content, follower)
    assert list(follower.slots(KIND_SERVICE)) == [1]
    assert follower.whole
    assert follower.services == 1


def test_tombstones_live_for_their_time_and_go_in_batches() -> None:
    content = owner(b"a", b"b", b"c")
    assert content.next_tombstone_due(100.0) == inf
    for slot, at in [(0, 0.0), (1, 20.0), (2, 90.0)]:
        content.remove(KIND_SERVICE, slot, at)
    assert content.next_tombstone_due(100.0) == 125.0
    assert not content.expire_tombstones(124.9, 100.0, 4096)
    assert content.expire_tombstones(125.0, 100.0, 4096)
    assert content.floor == 5
    assert list(content.entries.values()) == [(6, None)]
    assert not content.expire_tombstones(125.0, 100.0, 4096)


def test_too_many_tombstones_lose_their_older_half() -> None:
    content = owner(*[bytes([slot]) for slot in range(9)])
    for slot in range(8):
        content.remove(KIND_SERVICE, slot, 0.0)
    assert not content.expire_tombstones(0.0, 100.0, 8)
    content.remove(KIND_SERVICE, 8, 0.0)
    assert content.expire_tombstones(0.0, 100.0, 8)
    assert [counter for counter, _ in content.entries.values()] == [15, 16, 17, 18]
    assert content.floor == 14


def test_an_overwritten_tombstone_raises_no_floor() -> None:
    content = owner(b"a")
    content.remove(KIND_SERVICE, 0, 0.0)
    content.put(KIND_SERVICE, 0, b"back")
    assert not content.expire_tombstones(1000.0, 100.0, 4096)
    assert content.floor == 0
    assert content.view(KIND_SERVICE, 0) == b"back"


def test_below_the_tombstone_floor_only_a_full_row_is_merged() -> None:
    content = owner(b"a", b"b")
    behind, level = follower_of(content), follower_of(content)
    content.remove(KIND_SERVICE, 0, 0.0)
    follow(content, level)
    content.expire_tombstones(1000.0, 100.0, 4096)
    content.put(KIND_SERVICE, 1, b"B")
    delta = content.cut(ID, 2, 1400)
    assert delta.floor == 3
    assert not behind.accepts(delta)
    assert level.accepts(delta)
    level.apply(delta)
    assert level.entries == content.entries, "the tombstone goes at the floor"
    snapshot = follower_of(content)
    assert snapshot.whole
    assert snapshot.entries == content.entries


def test_pages_of_two_floors_are_not_mixed_below_the_higher() -> None:
    content = owner(b"a", b"b", b"c", b"d")
    stale = follower_of(content)
    content.remove(KIND_SERVICE, 2, 0.0)
    content.expire_tombstones(1000.0, 100.0, 4096)
    begun_new, begun_old = Content(5), Content(5)
    begun_new.apply(content.cut(ID, 0, 0))
    begun_old.apply(stale.cut(ID, 0, 0))
    assert begun_new.counter == begun_old.counter == 1
    assert not begun_new.accepts(stale.cut(ID, 1, 1400)), "it would bring back what was taken out"
    assert not begun_old.accepts(content.cut(ID, 1, 1400))
    assert follow(content, begun_new).whole
    assert follow(stale, begun_old).whole


# -- what breaks the rules -------------------------------------------------------------------------------------------

_stored = (
    st.none() | st.binary(max_size=6) | st.builds(bytes.__add__, st.sampled_from([b"\0", b"\1", b"\2"]), st.binary())
)
_keys = st.integers(0, MAX_KEY) | st.builds(key_of, st.integers(0, 2), st.integers(0, 2), st.integers(0, 3))
_counters = st.integers(0, 12) | st.integers(0, MAX_VERSION)
_deltas = st.builds(
    Delta,
    id=st.just(ID),
    generation=st.just(5),
    base=_counters,
    reached=_counters,
    head=_counters,
    digest=st.integers(0, 2**64 - 1),
    floor=_counters,
    entries=st.lists(st.tuples(_keys, _counters, _stored), max_size=6).map(tuple),
)


@settings(deadline=None)
@given(st.lists(_deltas, max_size=12), st.booleans())
def test_a_hostile_writer_makes_no_exception_and_no_disorder(deltas: list[Delta], begun: bool) -> None:
    content = follower_of(owner(b"a", LARGE)) if begun else Content(5)
    before = content.counter
    for delta in deltas:
        if content.accepts(delta):
            content.apply(delta)
        assert content.counter >= before
        before = content.counter
    counters = [counter for counter, _ in content.entries.values()]
    assert counters == sorted(set(counters))
    for key in content.entries:
        kind, slot, _ = split_key(key)
        content.view(kind, slot)
    content.cut(ID, 3, 500)


@pytest.mark.parametrize(
    "head",
    [b"\x01", b"\x01\x00\x00\x00\x00\x00", b"\x01\xff\xff\xff\xff\xff", b"\x01\x02\x00\x00\x00\x09", b"\x07new", b""],
)
def test_a_head_that_makes_no_sense_leaves_the_view(head: bytes) -> None:
    content = follower_of(owner(b"good"))
    content.apply(Delta(ID, 5, 1, 2, 2, 0, 0, ((key_of(KIND_SERVICE, 0), 2, head),)))
    assert content.view(KIND_SERVICE, 0) == b"good"
    assert content.mismatched
    content.apply(Delta(ID, 5, 2, 3, 3, 0, 0, ((key_of(KIND_SERVICE, 0), 3, b"\x00better"),)))
    assert content.view(KIND_SERVICE, 0) == b"better"
