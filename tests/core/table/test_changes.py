"""The list of rows that an input has changed: each is followed once, and again if it changes again."""

from gossipreg.core.table.changes import TableChanges
from gossipreg.core.table.layout import KIND_HEALTH, KIND_SERVICE, key_of
from gossipreg.core.table.table import Table
from gossipreg.model import NodeId
from tests.core.table.tables import CONFIG, kill, node, owner, pull, table

WEB, WEB_HEALTH, API = key_of(KIND_SERVICE, 0), key_of(KIND_HEALTH, 0), key_of(KIND_SERVICE, 1)


def followed(changes: TableChanges) -> list[NodeId]:
    return [id for id, _ in changes.follow()]


def test_changed_rows_are_followed_once_in_order_and_removed_ones_too() -> None:
    two, others = table(2), [owner(number, b"a") for number in (5, 4)]
    assert followed(two.changes) == [node(2)]
    for other in (*others, others[0]):
        pull(two, other, other.own.id)
    kill(two, node(5))
    assert followed(two.changes) == [node(5), node(4)]
    assert two.expire(CONFIG.dead_row_brief_s) == [node(5)]
    assert followed(two.changes) == [node(5)]
    assert followed(two.changes) == []


def test_a_row_that_changes_again_is_followed_after_the_others() -> None:
    changes = TableChanges()
    changes.note(node(1), shown_differently=False)
    changes.note(node(2), shown_differently=False)
    assert followed(changes) == [node(1), node(2)]
    changes.note(node(3), shown_differently=False)
    changes.note(node(1), shown_differently=False)
    assert followed(changes) == [node(3), node(1)]
    assert changes.ids == [node(2), node(3), node(1)], "all that this input has changed"


def test_an_input_begins_with_the_changes_that_nobody_has_followed() -> None:
    changes = TableChanges()
    changes.note(node(1), shown_differently=False)
    changes.follow()
    changes.note(node(2), shown_differently=False)
    changes.begin_input()
    assert changes.ids == [node(2)]
    assert followed(changes) == [node(2)]
    changes.begin_input()
    assert changes.ids == []


def test_changes_of_one_row_are_gathered_until_they_are_followed() -> None:
    changes = TableChanges()
    changes.note(node(1), [WEB_HEALTH, WEB], shown_differently=True)
    changes.note(node(1), [API, WEB], shown_differently=False)
    ((_, change),) = changes.follow()
    assert (list(change.slots), change.shown_differently) == ([WEB_HEALTH, WEB, API], True)
    changes.note(node(1), [API], shown_differently=False)
    ((_, change),) = changes.follow()
    assert (list(change.slots), change.shown_differently) == ([API], False)


def slots_of(table: Table, id: NodeId) -> list[int]:
    return [key for changed, change in table.changes.follow() if changed == id for key in change.slots]


def test_a_write_that_changes_nothing_names_no_slot() -> None:
    one = owner(1, b"a")
    one.changes.follow()
    one.write(KIND_SERVICE, 0, b"a", 0.0)
    one.write(KIND_SERVICE, 1, None, 0.0)
    assert slots_of(one, node(1)) == []
    one.write(KIND_SERVICE, 0, b"b", 0.0)
    assert slots_of(one, node(1)) == [WEB]


def test_a_page_names_the_slots_of_the_content_that_answers() -> None:
    one, two = owner(1, b"a", b"b"), table(2)
    pull(two, one, node(1))
    two.changes.follow()
    one.write(KIND_HEALTH, 0, b"h", 0.0)
    one.write(KIND_SERVICE, 1, None, 0.0)
    pull(two, one, node(1))
    assert slots_of(two, node(1)) == [WEB_HEALTH, API]
    one.next_generation(one.generation + 1, 0.0)
    pull(two, one, node(1), limit=0)
    assert slots_of(two, node(1)) == [], "its content was replaced: all slots are read"
