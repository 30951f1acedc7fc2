"""Merging a member's row, and handing it on: gaps, generations, full rows, digests."""

from dataclasses import replace

from gossipreg.core.table.facts import Merged, MergeOutcome
from gossipreg.core.table.layout import KIND_MEMBER, KIND_SERVICE
from gossipreg.model import NOTHING, BootId, Liveness, Member, Rank, Status, Version
from gossipreg.wire.messages import Claim
from gossipreg.wire.values import encode_member
from tests.core.table.tables import GENERATION, kill, node, owner, pull, table


def test_a_row_comes_whole_and_tables_are_equal() -> None:
    one, two = owner(1, b"a", b"b"), owner(2, bytes(3000))
    (merged,) = pull(two, one, one.own.id)
    assert merged == Merged(MergeOutcome.APPLIED, NOTHING, one.own.version, claim=Liveness(GENERATION, 0, Rank.ALIVE))
    assert one.fingerprint != two.fingerprint
    steps = pull(one, two, two.own.id, limit=500)
    assert [step.after > step.before for step in steps] == [False] * (len(steps) - 1) + [True]
    assert one.fingerprint == two.fingerprint
    assert one.hashes.bucket_hash == two.hashes.bucket_hash


def test_a_row_answers_once_its_first_snapshot_is_whole() -> None:
    one, two = owner(1, bytes(3000)), table(2)
    empty = two.fingerprint
    page = one.page(one.own.id, NOTHING, 500)
    assert page is not None
    two.merge_delta(page, from_owner=True, synced=True, now=0.0)
    row = two.rows[one.own.id]
    assert row.member is not None, "it can be spoken to before"
    assert (row.answers, row.shadow is None, row.content_version, two.fingerprint) == (False, False, NOTHING, empty)
    assert row.version == row.pull_from == Version(GENERATION, page.reached)
    pull(two, one, one.own.id)
    assert (row.answers, row.shadow, row.content_version) == (True, None, one.own.version)


def test_an_update_is_gossiped_on_the_version_that_others_have() -> None:
    one, two = owner(1, b"a"), table(2)
    pull(two, one, one.own.id)
    before = one.own.version
    one.write(KIND_SERVICE, 0, b"b", 0.0)
    page = one.page(one.own.id, before, 1400)
    assert page is not None
    merged = two.merge_delta(page, from_owner=True, synced=True, now=0.0)
    assert merged == Merged(MergeOutcome.APPLIED, before, one.own.version)
    assert two.merge_delta(page, from_owner=True, synced=True, now=0.0).outcome is MergeOutcome.NOTHING
    assert two.page(one.own.id, before, 1400) == page, "relays hand on the bytes as they came"


def test_a_gap_changes_nothing() -> None:
    one, two = owner(1, b"a"), table(2)
    pull(two, one, one.own.id)
    for value in (b"b", b"c"):
        one.write(KIND_SERVICE, 0, value, 0.0)
    version = two.rows[one.own.id].version
    delta = one.page(one.own.id, Version(GENERATION, one.own.version.counter - 1), 1400)
    assert delta is not None
    merged = two.merge_delta(delta, from_owner=True, synced=True, now=0.0)
    assert merged == Merged(MergeOutcome.GAP, version, version)
    assert two.rows[one.own.id].pull_from == version


def test_a_gap_in_an_unknown_row_makes_no_row() -> None:
    one, two = owner(1, b"a"), table(2)
    delta = one.page(one.own.id, Version(GENERATION, 1), 1400)
    assert delta is not None
    merged = two.merge_delta(delta, from_owner=True, synced=True, now=0.0)
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
    assert two.merge_delta(stale, from_owner=True, synced=True, now=0.0).outcome is MergeOutcome.NOTHING
    assert row.content is not None
    assert row.content.view(KIND_SERVICE, 0) == b"new"


def test_claim_of_a_newer_start_discards_pages_of_the_older() -> None:
    old, new, two = owner(1, bytes(2000)), owner(1, b"new", generation=GENERATION + 9), table(2)
    id = old.own.id
    page = old.page(id, NOTHING, 500)
    assert page is not None
    two.merge_delta(page, from_owner=True, synced=True, now=0.0)
    assert two.rows[id].pull_from == Version(GENERATION, page.reached)
    two.merge_claim(Claim(id, GENERATION + 9, 1, Rank.ALIVE, id), 0.0)
    assert two.rows[id].pull_from == Version(GENERATION + 9, 0)
    pull(two, new, id)
    assert two.rows[id].version == new.own.version


def test_nobody_writes_our_own_row() -> None:
    mine, clone = owner(1, b"mine"), owner(1, b"theirs", generation=GENERATION + 5)
    before = mine.own.version, mine.fingerprint
    (merged,) = [
        mine.merge_delta(d, from_owner=True, synced=True, now=0.0) for d in [clone.page(node(1), NOTHING, 1400)] if d
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
    two.merge_delta(page, from_owner=True, synced=True, now=0.0)
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
    assert two.merge_delta(bad, from_owner=False, synced=True, now=0.0).outcome is MergeOutcome.GAP
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
    two.merge_delta(replace(newest, digest=1), from_owner=False, synced=True, now=0.0)
    row = two.rows[node(1)]
    page = stale.page(node(1), NOTHING, 1400)
    assert page is not None
    merged = two.merge_delta(replace(page, digest=1), from_owner=False, synced=True, now=0.0)
    assert merged.outcome is MergeOutcome.GAP, "the snapshot begins again"
    pull(two, stale, node(1))
    assert row.content_version == one.own.version
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
    outcomes = [two.merge_delta(bad, from_owner=True, synced=True, now=0.0).outcome for _ in range(3)]
    assert outcomes == [MergeOutcome.GAP, MergeOutcome.APPLIED, MergeOutcome.NOTHING]
    assert dict(two.counts) == {"digest_mismatch": 1, "digest_mismatch_again": 1}
    assert not two.rows[one.own.id].answers
    one.write(KIND_SERVICE, 0, b"b", 0.0)
    pull(two, one, one.own.id)
    assert two.rows[one.own.id].answers


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
    two.merge_delta(page, from_owner=True, synced=True, now=0.0)
    assert two.page(node(1), NOTHING, 500) == page
    pull(three, two, node(1))
    assert three.rows[node(1)].pull_from == Version(GENERATION, page.reached)


def test_an_unreadable_member_entry_keeps_the_known_one() -> None:
    one, two = owner(1, b"a"), table(2)
    pull(two, one, node(1))
    member = two.rows[node(1)].member
    one.write(KIND_MEMBER, 0, b"\xff", 0.0)
    pull(two, one, node(1))
    assert two.counts["bad_member"] == 1
    assert two.rows[node(1)].member is member
