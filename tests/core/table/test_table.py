from dataclasses import replace

import pytest

from gossipreg.config import lan
from gossipreg.core.table import table as replica_module
from gossipreg.core.table.content import KIND_MEMBER, KIND_SERVICE, Content
from gossipreg.core.table.table import Merged, MergeOutcome, Table, row_hash
from gossipreg.errors import TooLarge
from gossipreg.model import NOTHING, Address, BootId, Liveness, Member, NodeId, Rank, Status, Version
from gossipreg.wire.messages import Claim, Delta
from gossipreg.wire.values import encode_member

WALL_MS = 1_700_000_000_000
HOUR_MS = 3600_000
CONFIG = replace(lan, dead_row_s=24 * 3600.0, dead_row_brief_s=600.0, tombstone_s=100.0)


def node(number: int) -> NodeId:
    return NodeId(number.to_bytes(2, "big") * 8)


def generation_at(ms: int) -> int:
    return ms << 16


GENERATION = generation_at(WALL_MS)


def table(number: int = 0, generation: int = GENERATION) -> Table:
    return Table(CONFIG, node(number), generation, 0.0, WALL_MS)


def owner(number: int, *values: bytes, generation: int = GENERATION, durable: bool = False) -> Table:
    """Another member's own table, with one service a value."""
    own = table(number, generation)
    member = Member(f"m{number}", BootId(bytes([number]) * 8), (Address("127.0.0.1", 1),), durable=durable)
    own.write(KIND_MEMBER, 0, encode_member(member), 0.0)
    for slot, value in enumerate(values):
        own.write(KIND_SERVICE, slot, value, 0.0)
    return own


def pull(
    to: Table, source: Table, id: NodeId, *, now: float = 0.0, limit: int = 1400, in_step: bool = True,
    from_owner: bool = True,
) -> list[Merged]:  # fmt: skip
    """Page by page, until there is nothing more."""
    steps: list[Merged] = []
    for _ in range(1000):
        row = to.rows.get(id)
        page = source.page(id, NOTHING if row is None else row.pull_from, limit)
        if page is None:
            return steps
        steps.append(to.merge_delta(page, from_owner=from_owner, in_step=in_step, now=now))
    raise AssertionError("pulling never ends")


def kill(table: Table, id: NodeId, now: float = 0.0) -> None:
    row = table.rows[id]
    table.merge_claim(Claim(id, *row.liveness[:2], Rank.DEAD, table.own.id), now)


# -- merging ---------------------------------------------------------------------------------------------------------


def test_a_row_comes_whole_and_tables_are_equal() -> None:
    one, two = owner(1, b"a", b"b"), owner(2, bytes(3000))
    (merged,) = pull(two, one, one.own.id)
    assert merged == Merged(
        MergeOutcome.APPLIED, NOTHING, one.own.version, news=True, claim=Liveness(GENERATION, 0, Rank.ALIVE)
    )
    assert one.fingerprint != two.fingerprint
    steps = pull(one, two, two.own.id, limit=500)
    assert [step.news for step in steps] == [False] * (len(steps) - 1) + [True]
    assert one.fingerprint == two.fingerprint
    assert one.bucket_hash == two.bucket_hash


def test_a_row_answers_once_its_first_snapshot_is_whole() -> None:
    one, two = owner(1, bytes(3000)), table(2)
    empty = two.fingerprint
    page = one.page(one.own.id, NOTHING, 500)
    assert page is not None
    two.merge_delta(page, from_owner=True, in_step=True, now=0.0)
    row = two.rows[one.own.id]
    assert row.member is not None, "it can be spoken to before"
    assert (row.answers, row.behind, row.told, two.fingerprint) == (False, True, NOTHING, empty)
    assert row.version == row.pull_from == Version(GENERATION, page.reached)
    pull(two, one, one.own.id)
    assert (row.answers, row.behind, row.told) == (True, False, one.own.version)


def test_an_update_is_gossiped_on_the_version_that_others_have() -> None:
    one, two = owner(1, b"a"), table(2)
    pull(two, one, one.own.id)
    before = one.own.version
    one.write(KIND_SERVICE, 0, b"b", 0.0)
    page = one.page(one.own.id, before, 1400)
    assert page is not None
    merged = two.merge_delta(page, from_owner=True, in_step=True, now=0.0)
    assert merged == Merged(MergeOutcome.APPLIED, before, one.own.version, news=True)
    assert two.merge_delta(page, from_owner=True, in_step=True, now=0.0).outcome is MergeOutcome.NOTHING
    assert two.page(one.own.id, before, 1400) == page, "relays hand on the bytes as they came"


def test_a_gap_changes_nothing() -> None:
    one, two = owner(1, b"a"), table(2)
    pull(two, one, one.own.id)
    for value in (b"b", b"c"):
        one.write(KIND_SERVICE, 0, value, 0.0)
    version = two.rows[one.own.id].version
    delta = one.page(one.own.id, Version(GENERATION, one.own.version.counter - 1), 1400)
    assert delta is not None
    merged = two.merge_delta(delta, from_owner=True, in_step=True, now=0.0)
    assert merged == Merged(MergeOutcome.GAP, version, version)
    assert two.rows[one.own.id].pull_from == version


def test_a_gap_in_an_unknown_row_makes_no_row() -> None:
    one, two = owner(1, b"a"), table(2)
    delta = one.page(one.own.id, Version(GENERATION, 1), 1400)
    assert delta is not None
    merged = two.merge_delta(delta, from_owner=True, in_step=True, now=0.0)
    assert merged == Merged(MergeOutcome.GAP, NOTHING, NOTHING)
    assert one.own.id not in two.rows


def test_a_newer_generation_replaces_an_older_one_when_whole() -> None:
    old, new, two = owner(1, b"old"), owner(1, b"new", bytes(2000), generation=GENERATION + 9), table(2)
    id = old.own.id
    pull(two, old, id)
    row = two.rows[id]
    steps = pull(two, new, id, limit=500)
    assert len(steps) > 2
    assert steps[0].claim == Liveness(GENERATION + 9, 0, Rank.ALIVE)
    assert {step.after for step in steps[:-1]} == {old.own.version}
    assert steps[-1].after == new.own.version == row.version
    stale = old.page(id, NOTHING, 1400)
    assert stale is not None
    assert two.merge_delta(stale, from_owner=True, in_step=True, now=0.0).outcome is MergeOutcome.NOTHING
    assert row.content is not None
    assert row.content.view(KIND_SERVICE, 0) == b"new"


def test_claim_of_a_newer_start_discards_pages_of_the_older() -> None:
    old, new, two = owner(1, bytes(2000)), owner(1, b"new", generation=GENERATION + 9), table(2)
    id = old.own.id
    page = old.page(id, NOTHING, 500)
    assert page is not None
    two.merge_delta(page, from_owner=True, in_step=True, now=0.0)
    assert two.rows[id].pull_from == Version(GENERATION, page.reached)
    two.merge_claim(Claim(id, GENERATION + 9, 1, Rank.ALIVE, id), 0.0)
    assert two.rows[id].pull_from == Version(GENERATION + 9, 0)
    pull(two, new, id)
    assert two.rows[id].version == new.own.version


def test_nobody_writes_our_own_row() -> None:
    mine, clone = owner(1, b"mine"), owner(1, b"theirs", generation=GENERATION + 5)
    before = mine.own.version, mine.fingerprint
    (merged,) = [
        mine.merge_delta(d, from_owner=True, in_step=True, now=0.0) for d in [clone.page(node(1), NOTHING, 1400)] if d
    ]
    assert merged.outcome is MergeOutcome.NOTHING
    assert (mine.own.version, mine.fingerprint) == before


def test_a_new_generation_of_our_own_row_replaces_it_at_others() -> None:
    one, two = owner(1, b"a", b"b"), table(2)
    one.write(KIND_SERVICE, 0, None, 0.0)
    pull(two, one, one.own.id)
    one.next_generation(GENERATION + 1, 0.0)
    pull(two, one, one.own.id)
    row = two.rows[one.own.id]
    assert row.version == one.own.version == Version(GENERATION + 1, 4)
    assert row.member_generation == GENERATION + 1
    assert row.hash == one.own.hash != 0


def test_below_the_tombstone_floor_a_full_row_is_swapped_in() -> None:
    one, two = owner(1, b"a", bytes(2000)), table(2)
    id = one.own.id
    pull(two, one, id)
    row = two.rows[id]
    before = row.version
    one.write(KIND_SERVICE, 0, None, 0.0)
    one.expire(1000.0)
    assert one.own.content is not None
    assert one.own.content.floor > before.counter
    steps = pull(two, one, id, limit=500)
    assert steps[0].outcome is MergeOutcome.GAP
    assert {step.after for step in steps[:-1]} == {before}, "the old content answers until the snapshot is whole"
    assert row.shadow is None
    assert row.content is not None
    assert row.content.entries == one.own.content.entries
    assert row.hash == one.own.hash


def test_a_full_row_whose_floor_rises_on_the_way_begins_again() -> None:
    one, two = owner(1, b"a", b"b", bytes(2000)), table(2)
    page = one.page(node(1), NOTHING, 0)
    assert page is not None
    two.merge_delta(page, from_owner=True, in_step=True, now=0.0)
    one.write(KIND_SERVICE, 1, None, 0.0)
    one.expire(1000.0)
    steps = pull(two, one, node(1), limit=500)
    assert steps[0].outcome is MergeOutcome.GAP
    assert two.rows[node(1)].hash == one.own.hash


def test_a_full_row_goes_on_below_a_floor_that_stands() -> None:
    one, two = owner(1, *[bytes([slot]) * 300 for slot in range(20)]), table(2)
    one.write(KIND_SERVICE, 19, None, 0.0)
    one.expire(1000.0)
    steps = pull(two, one, node(1), limit=500)
    assert len(steps) > 10
    assert two.rows[node(1)].answers
    assert {step.outcome for step in steps} == {MergeOutcome.APPLIED}


def test_a_row_that_does_not_match_its_digest_is_fetched_again() -> None:
    one, two = owner(1, b"a"), table(2)
    id = one.own.id
    pull(two, one, id)
    one.write(KIND_SERVICE, 0, b"b", 0.0)
    good = one.page(id, two.rows[id].version, 1400)
    assert good is not None
    row = two.rows[id]
    bad = replace(good, entries=tuple((key, counter, b"\x00forged") for key, counter, _ in good.entries))
    assert two.merge_delta(bad, from_owner=False, in_step=True, now=0.0).outcome is MergeOutcome.GAP
    assert row.pull_from == Version(GENERATION, 0)
    assert row.hash != one.own.hash
    pull(two, one, id)
    assert row.hash == one.own.hash
    assert row.content is not None
    assert row.content.view(KIND_SERVICE, 0) == b"b"
    assert two.counts["digest_mismatch"] == 1


def test_a_full_row_below_the_held_version_is_not_swapped_in() -> None:
    one, two, stale = owner(1, b"a"), table(2), table(3)
    pull(stale, one, node(1))
    one.write(KIND_SERVICE, 0, b"b", 0.0)
    pull(two, one, node(1))
    one.write(KIND_SERVICE, 0, b"c", 0.0)
    newest = one.page(node(1), two.rows[node(1)].version, 1400)
    assert newest is not None
    two.merge_delta(replace(newest, digest=1), from_owner=False, in_step=True, now=0.0)
    row = two.rows[node(1)]
    page = stale.page(node(1), NOTHING, 1400)
    assert page is not None
    merged = two.merge_delta(replace(page, digest=1), from_owner=False, in_step=True, now=0.0)
    assert merged.outcome is MergeOutcome.GAP, "the snapshot begins again"
    pull(two, stale, node(1))
    assert row.told == one.own.version
    assert row.shadow is not None
    assert row.pull_from == stale.rows[node(1)].version
    pull(two, one, node(1))
    assert row.shadow is None
    assert row.hash == one.own.hash


def test_a_row_that_never_matches_its_digest_is_fetched_twice() -> None:
    one, two = owner(1, b"a"), table(2)
    page = one.page(one.own.id, NOTHING, 1400)
    assert page is not None
    bad = replace(page, digest=page.digest ^ 1)
    outcomes = [two.merge_delta(bad, from_owner=True, in_step=True, now=0.0).outcome for _ in range(3)]
    assert outcomes == [MergeOutcome.GAP, MergeOutcome.APPLIED, MergeOutcome.NOTHING]
    assert dict(two.counts) == {"digest_mismatch": 1, "digest_mismatch_again": 1}
    assert not two.rows[one.own.id].answers
    one.write(KIND_SERVICE, 0, b"b", 0.0)
    pull(two, one, one.own.id)
    assert two.rows[one.own.id].answers


# -- the fingerprint -------------------------------------------------------------------------------------------------


def test_dead_and_left_rows_are_not_in_the_fingerprint() -> None:
    absent, dead, left, one = table(2), table(2), table(2), owner(1, b"a")
    pull(dead, one, one.own.id)
    kill(dead, one.own.id)
    member = Member("m1", BootId(bytes(8)), (), status=Status.LEFT)
    one.write(KIND_MEMBER, 0, encode_member(member), 0.0)
    pull(left, one, one.own.id)
    assert left.rows[one.own.id].left
    assert one.fingerprint == 0
    assert absent.fingerprint == dead.fingerprint == left.fingerprint != 0


def test_a_suspicion_is_no_difference_to_the_fingerprint() -> None:
    one, two = owner(1, b"a"), table(2)
    pull(two, one, one.own.id)
    before = two.fingerprint
    two.merge_claim(Claim(one.own.id, GENERATION, 3, Rank.SUSPECT, node(9)), 0.0)
    assert two.fingerprint == before


def test_clusters_have_different_hashes() -> None:
    assert row_hash("a", node(1), Version(1, 2), 3) != row_hash("b", node(1), Version(1, 2), 3)
    assert row_hash("a", node(1), Version(1, 2), 3) != row_hash("a", node(1), Version(1, 2), 0)


@pytest.mark.parametrize("way", ["a part", "a newer generation is known"])
def test_a_row_that_is_not_whole_is_hashed_without_its_digest(way: str) -> None:
    one, two = owner(1, b"a"), table(2)
    pull(two, one, node(1))
    row = two.rows[node(1)]
    assert row.content is not None
    assert row.hash == row_hash(CONFIG.cluster, node(1), row.told, row.content.digest)
    if way == "a part":
        one.write(KIND_SERVICE, 0, bytes(2000), 0.0)
        page = one.page(node(1), row.told, 500)
        assert page is not None
        two.merge_delta(page, from_owner=True, in_step=True, now=0.0)
    else:
        two.merge_claim(Claim(node(1), GENERATION + 1, 0, Rank.ALIVE, node(1)), 0.0)
    assert row.behind
    assert row.hash == row_hash(CONFIG.cluster, node(1), row.told, 0)


def test_a_bucket_knows_when_it_changed_last() -> None:
    one, two = owner(1, b"a"), table(2)
    pull(two, one, one.own.id, now=7.0)
    bucket = one.own.id[0]
    assert two.bucket_changed_at[bucket] == 7.0
    assert (one.own.id, two.rows[one.own.id].hash) in two.rows_in(bucket)


def test_touched_rows_are_named_once_in_order_and_those_gone_too() -> None:
    two, others = table(2), [owner(number, b"a") for number in (5, 4)]
    assert two.drain_touched() == [node(2)]
    for other in (*others, others[0]):
        pull(two, other, other.own.id)
    kill(two, node(5))
    assert two.drain_touched() == [node(5), node(4)]
    assert two.expire(CONFIG.dead_row_brief_s) == [node(5)]
    assert two.drain_touched() == [node(5)]
    assert two.drain_touched() == []


# -- relaying --------------------------------------------------------------------------------------------------------


def test_dead_rows_are_not_handed_on_and_departed_ones_are() -> None:
    one, two = owner(1, b"a"), table(2)
    pull(two, one, one.own.id)
    kill(two, one.own.id)
    assert two.page(one.own.id, NOTHING, 1400) is None
    three = table(3)
    one.write(KIND_MEMBER, 0, encode_member(Member("m1", BootId(bytes(8)), (), status=Status.LEFT)), 0.0)
    pull(three, one, one.own.id)
    assert three.page(one.own.id, NOTHING, 1400) is not None


def test_there_is_no_page_beyond_what_is_held() -> None:
    one = owner(1, b"a")
    generation, counter = one.own.version
    assert one.page(node(9), NOTHING, 1400) is None
    assert one.page(node(1), one.own.version, 1400) is None
    assert one.page(node(1), Version(generation, counter + 1), 1400) is None
    assert one.page(node(1), Version(generation + 1, 0), 1400) is None
    older = one.page(node(1), Version(generation - 1, 99), 1400)
    assert older is not None
    assert (older.base, older.reached) == (0, counter)


def test_pages_of_an_incomplete_generation_are_handed_on() -> None:
    one, two, three = owner(1, b"a", bytes(2000)), table(2), table(3)
    page = one.page(node(1), NOTHING, 500)
    assert page is not None
    two.merge_delta(page, from_owner=True, in_step=True, now=0.0)
    assert two.page(node(1), NOTHING, 500) == page
    pull(three, two, node(1))
    assert three.rows[node(1)].pull_from == Version(GENERATION, page.reached)


# -- keeping and forgetting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("durable", "kept_s"), [(True, CONFIG.dead_row_s), (False, CONFIG.dead_row_brief_s)])
@pytest.mark.parametrize("way", ["dead", "left"])
def test_dead_and_departed_rows_are_kept_for_their_time(durable: bool, kept_s: float, way: str) -> None:
    one, two = owner(1, b"a", durable=durable), table(2)
    pull(two, one, node(1))
    if way == "dead":
        kill(two, node(1), now=10.0)
    else:
        member = Member("m1", BootId(bytes(8)), (), durable=durable, status=Status.LEFT)
        one.write(KIND_MEMBER, 0, encode_member(member), 0.0)
        pull(two, one, node(1), now=10.0)
    assert two.expire(9.0 + kept_s) == []
    assert two.rows[node(1)].state.value == way
    assert two.expire(10.0 + kept_s) == [node(1)]
    assert list(two.rows) == [node(2)]
    assert two.size_bytes == two.own.size_bytes


def test_a_member_that_comes_back_is_not_forgotten() -> None:
    one, two = owner(1, b"a"), table(2)
    pull(two, one, node(1))
    kill(two, node(1))
    refuted = one.refute(GENERATION, 0, 0.0)
    assert refuted is not None
    two.merge_claim(Claim(node(1), *refuted, by=node(1)), 5.0)
    assert two.expire(1e9) == []
    assert two.rows[node(1)].answers


def test_a_row_of_a_join_that_never_ended_is_forgotten() -> None:
    one, two = owner(1, bytes(3000)), table(2)
    page = one.page(node(1), NOTHING, 500)
    assert page is not None
    two.merge_delta(page, from_owner=True, in_step=True, now=5.0)
    assert two.expire(4.0 + CONFIG.dead_row_brief_s) == []
    assert two.expire(5.0 + CONFIG.dead_row_brief_s) == [node(1)]


def test_our_own_row_stays_after_leaving() -> None:
    one = owner(1, b"a")
    one.write(KIND_MEMBER, 0, encode_member(Member("m1", BootId(bytes(8)), (), status=Status.LEFT)), 0.0)
    assert one.own.left
    assert one.expire(1e9) == []
    assert one.rows == {node(1): one.own}


# -- unproven rows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age_ms", "durable", "proven"),
    [
        (0, False, True), (HOUR_MS // 7, False, True), (HOUR_MS // 5, False, False), (23 * HOUR_MS, True, True),
        (25 * HOUR_MS, True, False), (-4_000, True, True), (-6_000, True, False),
    ],
)  # fmt: skip
def test_a_row_of_a_plausible_generation_is_not_quarantined(age_ms: int, durable: bool, proven: bool) -> None:
    one, two = owner(1, b"a", generation=generation_at(WALL_MS - age_ms), durable=durable), table(2)
    pull(two, one, node(1), from_owner=False)
    row = two.rows[node(1)]
    assert (not row.unproven, row.active, row.answers) == (proven, proven, proven)
    assert (two.fingerprint == table(2).fingerprint) == (not proven)
    assert (two.page(node(1), NOTHING, 1400) is None) == (not proven)


@pytest.mark.parametrize("way", ["from its owner", "not in step", "known"])
def test_a_row_from_its_owner_or_before_sync_is_not_quarantined(way: str) -> None:
    one, two = owner(1, b"a", generation=7), table(2)
    if way == "known":
        pull(two, owner(1, generation=6), node(1), in_step=False)
    pull(two, one, node(1), in_step=way != "not in step", from_owner=way == "from its owner")
    assert two.rows[node(1)].answers


@pytest.mark.parametrize("way", ["admitted", "spoke itself"])
def test_a_quarantined_row_that_is_admitted_answers(way: str) -> None:
    one, two = owner(1, b"a", generation=7), table(2)
    pull(two, one, node(1), from_owner=False)
    if way == "admitted":
        two.admit(node(1), 0.0)
    else:
        one.write(KIND_SERVICE, 0, b"b", 0.0)
        pull(two, one, node(1))
    assert two.rows[node(1)].answers
    pull(one, two, node(2), in_step=False)
    assert one.fingerprint == two.fingerprint


def test_only_a_row_that_was_never_whole_can_be_quarantined() -> None:
    large = b"x" * 5000
    one, three, two = owner(1, large), owner(3, b"c"), table(2)
    first = one.page(node(1), Version(0, 0), 600)
    assert first is not None
    two.merge_delta(first, from_owner=False, in_step=True, now=0.0)
    pull(two, three, node(3))
    assert two.rows[node(1)].active
    for id in (node(1), node(2), node(3), node(4)):
        two.doubt(id, 0.0)
    assert [id for id, row in two.rows.items() if row.unproven] == [node(1)]
    pull(two, one, node(1))
    assert two.rows[node(1)].active, "its owner has spoken"


def test_a_silent_quarantined_row_is_forgotten() -> None:
    one, two = owner(1, b"a", generation=7), table(2)
    pull(two, one, node(1), from_owner=False)
    assert two.expire(CONFIG.dead_row_brief_s) == [node(1)]


# -- limits ----------------------------------------------------------------------------------------------------------


def test_at_the_limit_of_rows_the_dead_make_room_and_then_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "MAX_ROWS", 4)
    two = table(2)
    for number in (3, 4, 5):
        pull(two, owner(number, b"a"), node(number))
    kill(two, node(4), now=1.0)
    kill(two, node(3), now=2.0)
    pull(two, owner(6, b"a"), node(6), now=3.0)
    assert list(two.rows) == [node(2), node(3), node(5), node(6)], "who is dead longest goes first"
    assert two.expire(3.0) == [node(4)]
    pull(two, owner(7, b"a"), node(7), now=3.0)
    page = owner(8, b"a").page(node(8), NOTHING, 1400)
    assert page is not None
    merged = two.merge_delta(page, from_owner=True, in_step=True, now=3.0)
    assert merged.outcome is MergeOutcome.REFUSED
    assert list(two.rows) == [node(2), node(5), node(6), node(7)]
    assert dict(two.counts) == {"evicted": 2, "table_full": 1}


def test_at_the_byte_limit_a_dead_row_is_not_evicted_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    two, one = table(2), owner(1, bytes(1000))
    pull(two, one, node(1))
    kill(two, node(1))
    monkeypatch.setattr(replica_module, "MAX_TABLE_BYTES", two.size_bytes + 100)
    one.write(KIND_SERVICE, 1, bytes(300), 0.0)
    page = one.page(node(1), two.rows[node(1)].version, 1400)
    assert page is not None
    assert two.merge_delta(page, from_owner=True, in_step=True, now=0.0).outcome is MergeOutcome.REFUSED
    assert two.expire(CONFIG.dead_row_brief_s) == [node(1)], "it is still forgotten in its time"


def test_a_row_beyond_its_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = owner(1, bytes(3000)), table(2)
    monkeypatch.setattr(replica_module, "MAX_ROW_BYTES", 1000)
    steps = [step.outcome for step in _pages(two, one)]
    assert steps[-1] is MergeOutcome.REFUSED
    assert two.counts["row_too_large"] == 1
    assert two.rows[node(1)].size_bytes < 2 * 1000 + replica_module.ROW_BYTES


def _pages(to: Table, source: Table) -> list[Merged]:
    content = source.own.content
    assert content is not None
    steps: list[Merged] = []
    base = 0
    while not steps or steps[-1].outcome is MergeOutcome.APPLIED:
        delta = content.cut(source.own.id, base, 500)
        steps.append(to.merge_delta(delta, from_owner=True, in_step=True, now=0.0))
        base = delta.reached
    return steps


def test_a_member_has_only_so_many_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "MAX_SERVICES_A_ROW", 2)
    one = owner(1, b"a", b"b")
    before = one.own.version
    with pytest.raises(TooLarge, match="2 services"):
        one.write(KIND_SERVICE, 2, b"c", 0.0)
    assert one.own.version == before
    one.write(KIND_SERVICE, 1, b"B", 0.0)
    one.write(KIND_SERVICE, 0, None, 0.0)
    one.write(KIND_SERVICE, 2, b"c", 0.0)


def test_others_refuse_a_row_of_too_many_services(monkeypatch: pytest.MonkeyPatch) -> None:
    two, content = table(2), Content(GENERATION).own()
    for slot in range(20):
        content.put(KIND_SERVICE, slot, bytes([slot]))
    monkeypatch.setattr(replica_module, "MAX_SERVICES_A_ROW", 5)
    half = Delta(node(1), GENERATION, 0, 10, 20, 0, 0, content.cut(node(1), 0, 9000).entries[:10])
    rest = content.cut(node(1), 10, 9000)
    outcomes = [two.merge_delta(delta, from_owner=True, in_step=True, now=0.0).outcome for delta in (half, rest)]
    assert outcomes == [MergeOutcome.APPLIED, MergeOutcome.REFUSED]
    assert two.counts["too_many_services"] == 1


def test_an_unreadable_member_entry_keeps_the_known_one() -> None:
    one, two = owner(1, b"a"), table(2)
    pull(two, one, node(1))
    member = two.rows[node(1)].member
    assert one.own.content is not None
    one.own.content.put(KIND_MEMBER, 0, b"\xff")
    pull(two, one, node(1))
    assert two.counts["bad_member"] == 1
    assert two.rows[node(1)].member is member
