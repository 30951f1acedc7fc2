"""Rows that a table keeps in quarantine until their owner has answered."""

import pytest

from gossipreg.core.table.layout import KIND_SERVICE
from gossipreg.model import NOTHING, Version
from tests.core.table.tables import CONFIG, HOUR_MS, WALL_MS, generation_at, node, owner, pull, table


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
    assert (not row.quarantined, row.active, row.answers) == (proven, proven, proven)
    assert (two.fingerprint == table(2).fingerprint) == (not proven)
    assert (two.page(node(1), NOTHING, 1400) is None) == (not proven)


@pytest.mark.parametrize("way", ["from its owner", "not synced", "known"])
def test_a_row_from_its_owner_or_before_sync_is_not_quarantined(way: str) -> None:
    one, two = owner(1, b"a", generation=7), table(2)
    if way == "known":
        pull(two, owner(1, generation=6), node(1), synced=False)
    pull(two, one, node(1), synced=way != "not synced", from_owner=way == "from its owner")
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
    pull(one, two, node(2), synced=False)
    assert one.fingerprint == two.fingerprint


def test_only_a_row_that_was_never_whole_can_be_quarantined() -> None:
    large = b"x" * 5000
    one, three, two = owner(1, large), owner(3, b"c"), table(2)
    first = one.page(node(1), Version(0, 0), 600)
    assert first is not None
    two.merge_delta(first, from_owner=False, synced=True, now=0.0)
    pull(two, three, node(3))
    assert two.rows[node(1)].active
    for id in (node(1), node(2), node(3), node(4)):
        two.quarantine(id, 0.0)
    assert [id for id, row in two.rows.items() if row.quarantined] == [node(1)]
    pull(two, one, node(1))
    assert two.rows[node(1)].active, "its owner has spoken"


def test_a_silent_quarantined_row_is_forgotten() -> None:
    one, two = owner(1, b"a", generation=7), table(2)
    pull(two, one, node(1), from_owner=False)
    assert two.expire(CONFIG.dead_row_brief_s) == [node(1)]
