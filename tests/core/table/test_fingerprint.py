"""The fingerprint of a table: what is hashed, and what makes no difference."""

import pytest

from gossipreg.core.table.fingerprint import row_hash
from gossipreg.core.table.layout import KIND_MEMBER, KIND_SERVICE
from gossipreg.model import BootId, Member, Rank, Status, Version
from gossipreg.wire.messages import Claim
from gossipreg.wire.values import encode_member
from tests.core.table.tables import CONFIG, GENERATION, kill, node, owner, pull, table


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
    assert row.hash == row_hash(CONFIG.cluster, node(1), row.content_version, row.content.digest)
    if way == "a part":
        one.write(KIND_SERVICE, 0, bytes(2000), 0.0)
        page = one.page(node(1), row.content_version, 500)
        assert page is not None
        two.merge_delta(page, from_owner=True, synced=True, now=0.0)
    else:
        two.merge_claim(Claim(node(1), GENERATION + 1, 0, Rank.ALIVE, node(1)), 0.0)
    assert row.version < row.pull_from or row.content.counter < row.content.head
    assert row.hash == row_hash(CONFIG.cluster, node(1), row.content_version, 0)


def test_a_bucket_knows_when_it_changed_last() -> None:
    one, two = owner(1, b"a"), table(2)
    pull(two, one, one.own.id, now=7.0)
    bucket = one.own.id[0]
    assert two.hashes.bucket_changed_at[bucket] == 7.0
    assert (one.own.id, two.rows[one.own.id].hash) in two.hashes.rows_in(bucket)
