"""The membership index says in facts what other parts have to do after a change of the table."""

import random

import pytest

from gossipreg.core.context import Context
from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.facts import HiddenRowChanged, LeftRing, LeftTable, ProcessNamed, StateChanged
from gossipreg.core.table.layout import KIND_SERVICE
from gossipreg.core.table.membership import MembershipIndex
from gossipreg.core.table.ring import Ring
from gossipreg.model import Address, BootId
from gossipreg.timers import Timers
from tests.core.table.tables import CONFIG, GENERATION, kill, node, owner, pull, table

HOME = (Address("127.0.0.1", 1),)


class Indexed:
    """A table of member 0 with its index; member 1 has just come."""

    def __init__(self) -> None:
        self.table = table()
        self.other = owner(1, b"service")
        self.ring = Ring(self.table.own.id)
        context = Context(CONFIG, self.table.own.id, Timers(), random.Random(1), 0.0, heard_at=0.0)
        self.index = MembershipIndex(context, self.table, self.ring, Catalog(self.table.own.id))
        self.index.refresh()
        pull(self.table, self.other, node(1))


@pytest.fixture
def indexed() -> Indexed:
    return Indexed()


def test_a_new_member_names_its_process_before_its_state(indexed: Indexed) -> None:
    assert indexed.index.refresh() == [
        ProcessNamed(node(1), BootId(bytes([1]) * 8), GENERATION, HOME),
        StateChanged(node(1), "alive", "m1", "", to_log=True),
    ]
    assert node(1) in indexed.ring


def test_facts_are_handed_out_once(indexed: Indexed) -> None:
    assert indexed.index.refresh() != []
    assert indexed.index.refresh() == []


def test_a_death_leaves_the_ring_and_then_changes_the_state(indexed: Indexed) -> None:
    indexed.index.refresh()
    kill(indexed.table, node(1))
    assert indexed.index.refresh() == [
        ProcessNamed(node(1), BootId(bytes([1]) * 8), GENERATION, HOME),
        LeftRing(node(1)),
        StateChanged(node(1), "dead", "m1", "declared dead by this sidecar", to_log=True),
    ]


def test_a_member_that_was_dead_before_it_came_is_not_logged(indexed: Indexed) -> None:
    kill(indexed.table, node(1))
    assert [fact.to_log for fact in indexed.index.refresh() if isinstance(fact, StateChanged)] == [False]


def test_a_forgotten_row_leaves_the_ring_and_the_table(indexed: Indexed) -> None:
    kill(indexed.table, node(1))
    indexed.index.refresh()
    indexed.table.expire(CONFIG.dead_row_s + 1.0)
    assert indexed.index.refresh() == [LeftRing(node(1)), LeftTable(node(1))]


def test_a_change_of_a_hidden_row_is_a_fact(indexed: Indexed) -> None:
    indexed.index.refresh()
    indexed.index.hide(node(1), "alone", True)
    assert indexed.index.refresh() == []
    indexed.other.write(KIND_SERVICE, 1, b"another", 0.0)
    pull(indexed.table, indexed.other, node(1))
    assert HiddenRowChanged(node(1)) in indexed.index.refresh()
