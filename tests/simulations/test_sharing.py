"""A row that tables share is changed by none of them: each change is made to a copy."""

from collections.abc import Callable

import pytest

from gossipreg.core.table.layout import KIND_SERVICE
from gossipreg.core.table.row import Row
from gossipreg.core.table.table import Table
from gossipreg.model import NOTHING
from simulations.sharing import SharedRow, SharingTable, shared
from tests.core.table.tables import CONFIG, GENERATION, WALL_MS, kill, node, owner, pull

NOW = 5.0
Change = Callable[[Table, Table], object]
"""What one table, which shares the row of the other's owner, does to it."""


def take_a_page(table: Table, other: Table) -> None:
    other.write(KIND_SERVICE, 0, b"changed", NOW)
    pull(table, other, other.own.id, now=NOW)


def take_a_claim(table: Table, other: Table) -> None:
    kill(table, other.own.id, now=NOW)


def hide(table: Table, other: Table) -> None:
    table.hide(other.own.id, True)


def admit(table: Table, other: Table) -> None:
    table.admit(other.own.id, NOW)


def what_it_says(row: Row) -> list[object]:
    content = row.content
    inner = [] if content is None else [content.counter, content.digest, dict(content.entries)]
    return [*(getattr(row, name) for name in Row.__slots__), *inner]


@pytest.mark.parametrize("change", [take_a_page, take_a_claim, hide, admit])
def test_a_change_of_a_shared_row_leaves_it_as_it_was(change: Change) -> None:
    other, table = owner(1, b"a"), SharingTable(CONFIG, node(2), GENERATION, 0.0, WALL_MS)
    pull(table, other, node(1))
    table.rows[node(1)].quarantined = change is admit
    row = table.rows[node(1)] = shared(table.rows[node(1)])
    before = what_it_says(row)
    change(table, other)
    assert what_it_says(row) == before
    assert not isinstance(table.rows[node(1)], SharedRow)
    assert what_it_says(table.rows[node(1)]) != before


def test_a_shared_row_that_is_quarantined_leaves_it_as_it_was() -> None:
    other, table = owner(1, b"a"), SharingTable(CONFIG, node(2), GENERATION, 0.0, WALL_MS)
    pull(table, other, node(1))
    table.rows[node(1)].content = None
    row = table.rows[node(1)] = shared(table.rows[node(1)])
    table.quarantine(node(1), NOW)
    assert not row.quarantined
    assert table.rows[node(1)].quarantined


def test_a_shared_row_that_one_table_forgets_stays_in_the_others() -> None:
    other, table = owner(1, b"a"), SharingTable(CONFIG, node(2), GENERATION, 0.0, WALL_MS)
    pull(table, other, node(1))
    row = table.rows[node(1)] = shared(table.rows[node(1)])
    before = what_it_says(row)
    table._remove(row, NOW)  # as `inside.forget` does; the row of a dead member is in no fingerprint any more
    assert node(1) not in table.rows
    assert what_it_says(row) == before


def test_an_owners_row_is_shared_as_others_hold_it() -> None:
    other = owner(1, b"a")
    row = shared(other.own)
    other.write(KIND_SERVICE, 0, b"changed", NOW)
    assert row.content is not None
    assert row.content.view(KIND_SERVICE, 0) == b"a"
    assert type(row.content).__name__ == "Content"
    assert other.page(node(1), NOTHING, 1400) is not None
