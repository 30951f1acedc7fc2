"""The limits of a table: rows, bytes, bytes of a row, services of a member."""

import pytest

from gossipreg.core.table import table as replica_module
from gossipreg.core.table.facts import Merged, MergeOutcome
from gossipreg.core.table.layout import KIND_SERVICE
from gossipreg.core.table.own_content import OwnContent
from gossipreg.core.table.table import Table
from gossipreg.errors import TooLarge
from gossipreg.model import NOTHING
from gossipreg.wire.messages import Delta
from tests.core.table.tables import CONFIG, GENERATION, kill, node, owner, pull, table


def test_at_the_limit_of_rows_the_dead_make_room_and_then_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "MAX_ROWS", 4)
    two = table(2)
    for number in (3, 4, 5):
        pull(two, owner(number, b"a"), node(number))
    kill(two, node(4), now=1.0)
    kill(two, node(3), now=2.0)
    pull(two, owner(6, b"a"), node(6), now=3.0)
    assert list(two.rows) == [node(2), node(3), node(5), node(6)], "who is dead longest goes first"
    assert node(4) in two.changes.ids
    assert two.expire(3.0) == [], "it is forgotten already"
    pull(two, owner(7, b"a"), node(7), now=3.0)
    page = owner(8, b"a").page(node(8), NOTHING, 1400)
    assert page is not None
    merged = two.merge_delta(page, from_owner=True, synced=True, now=3.0)
    assert merged.outcome is MergeOutcome.FULL
    assert list(two.rows) == [node(2), node(5), node(6), node(7)]
    assert dict(two.counts) == {"evicted": 2, "table_full": 1}


def test_a_full_table_is_full_until_a_row_can_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "MAX_ROWS", 3)
    two = table(2)
    for number in (3, 4):
        pull(two, owner(number, b"a"), node(number))
    assert (_full(two), two.has_room_again()) == (False, False), "nobody was refused"
    page = owner(5, b"a").page(node(5), NOTHING, 1400)
    assert page is not None
    assert two.merge_delta(page, from_owner=True, synced=True, now=0.0).outcome is MergeOutcome.FULL
    assert (_full(two), two.has_room_again()) == (True, False)
    kill(two, node(3))
    assert (two.has_room_again(), _full(two), two.has_room_again()) == (True, False, False), "it is said once"
    pull(two, owner(5, b"a"), node(5))
    assert list(two.rows) == [node(2), node(4), node(5)]


def test_a_row_beyond_its_own_limit_makes_no_table_full(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = owner(1, bytes(3000)), table(2)
    monkeypatch.setattr(replica_module, "MAX_ROW_BYTES", 1000)
    assert [step.outcome for step in _pages(two, one)][-1] is MergeOutcome.REFUSED
    assert not _full(two)
    page = owner(5, b"a").page(node(5), NOTHING, 1400)
    assert page is not None
    monkeypatch.setattr(replica_module, "MAX_ROWS", 2)
    assert two.merge_delta(page, from_owner=True, synced=True, now=0.0).outcome is MergeOutcome.FULL
    again = one.page(node(1), two.rows[node(1)].pull_from, 1400)
    assert again is not None
    refused = two.merge_delta(again, from_owner=True, synced=True, now=0.0).outcome
    assert (refused, _full(two)) == (MergeOutcome.REFUSED, True), "the full table is not why"


def test_at_the_byte_limit_a_dead_row_is_not_evicted_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    two, one = table(2), owner(1, bytes(1000))
    pull(two, one, node(1))
    kill(two, node(1))
    monkeypatch.setattr(replica_module, "MAX_TABLE_BYTES", two.size_bytes + 100)
    one.write(KIND_SERVICE, 1, bytes(300), 0.0)
    page = one.page(node(1), two.rows[node(1)].version, 1400)
    assert page is not None
    assert two.merge_delta(page, from_owner=True, synced=True, now=0.0).outcome is MergeOutcome.FULL
    assert not two.has_room_again(), "the only dead row is that which was refused"
    assert two.expire(CONFIG.dead_row_brief_s) == [node(1)], "it is still forgotten in its time"
    assert two.has_room_again()


def test_a_row_beyond_its_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = owner(1, bytes(3000)), table(2)
    monkeypatch.setattr(replica_module, "MAX_ROW_BYTES", 1000)
    steps = [step.outcome for step in _pages(two, one)]
    assert steps[-1] is MergeOutcome.REFUSED
    assert two.counts["row_too_large"] == 1
    assert two.rows[node(1)].size_bytes < 2 * 1000 + replica_module.ROW_BYTES


def _full(of: Table) -> bool:
    """Whether the table has refused something for which it has had no room since."""
    return of._refused is not None


def _pages(to: Table, source: Table) -> list[Merged]:
    content = source.own.content
    assert content is not None
    steps: list[Merged] = []
    base = 0
    while not steps or steps[-1].outcome is MergeOutcome.APPLIED:
        delta = content.cut(source.own.id, base, 500)
        steps.append(to.merge_delta(delta, from_owner=True, synced=True, now=0.0))
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
    two, content = table(2), OwnContent(GENERATION)
    for slot in range(20):
        content.put(KIND_SERVICE, slot, bytes([slot]))
    monkeypatch.setattr(replica_module, "MAX_SERVICES_A_ROW", 5)
    half = Delta(node(1), GENERATION, 0, 10, 20, 0, 0, content.cut(node(1), 0, 9000).entries[:10])
    rest = content.cut(node(1), 10, 9000)
    outcomes = [two.merge_delta(delta, from_owner=True, synced=True, now=0.0).outcome for delta in (half, rest)]
    assert outcomes == [MergeOutcome.APPLIED, MergeOutcome.REFUSED]
    assert two.counts["too_many_services"] == 1
