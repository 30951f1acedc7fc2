"""How long a table keeps the rows of members that died or left."""

import pytest

from gossipreg.core.table.layout import KIND_MEMBER
from gossipreg.model import NOTHING, BootId, Member, Status
from gossipreg.wire.messages import Claim
from gossipreg.wire.values import encode_member
from tests.core.table.tables import CONFIG, GENERATION, kill, node, owner, pull, table


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
    two.merge_delta(page, from_owner=True, synced=True, now=5.0)
    assert two.expire(4.0 + CONFIG.dead_row_brief_s) == []
    assert two.expire(5.0 + CONFIG.dead_row_brief_s) == [node(1)]


def test_our_own_row_stays_after_leaving() -> None:
    one = owner(1, b"a")
    one.write(KIND_MEMBER, 0, encode_member(Member("m1", BootId(bytes(8)), (), status=Status.LEFT)), 0.0)
    assert one.own.left
    assert one.expire(1e9) == []
    assert one.rows == {node(1): one.own}
