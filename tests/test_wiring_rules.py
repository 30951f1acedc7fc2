"""The checkers of the core's wiring find what they look for, and leave the rest alone."""

import ast

import pytest

from tests.wiring_rules import Wiring, row_writes

CORE = """
class Channel: ...
class Table: ...
class Ring(Protocol): ...
class Context: ...

@dataclass(frozen=True)
class Probe: ...

class State(Enum): ...

@dataclass(slots=True)
class Row:
    state: State
    on_gone: Callable[[], None]

class Prober:
    declare: Callable[[], None]

    def __init__(self, context: Context, table: Table, channel: "Channel | None", probe: Probe) -> None:
        self._context, self._rows = context, {}
        self._context = context
        self._table = self.table = table
        self._channel = channel
        self._probe = probe
        self._ring = Ring() if table else None
        self._rows: dict[int, Row] = {}
        self._seen: list[Catalog] = []
        self.state = State()
        self.limit = 3
        self.lost = lambda: None

class Catalog(Prober):
    def __init__(self, prober: Prober) -> None:
        self._prober = prober
"""


def test_held_parts_are_those_that_act() -> None:
    wiring = Wiring([ast.parse(CORE)])
    assert wiring.held_by("Prober") == {"Table", "Channel", "Ring"}
    assert wiring.held_by("Catalog") == {"Prober", "Table", "Channel", "Ring"}
    assert set(wiring.parts()) == {"Channel", "Table", "Ring", "Prober", "Catalog"}


def test_parts_that_hold_each_other_in_a_circle_are_found() -> None:
    circle = """
class Prober:
    def __init__(self, suspicions: "Suspicions") -> None:
        self._suspicions = suspicions

class Suspicions:
    health: "Health"

class Health:
    prober: Prober | None
"""
    assert Wiring([ast.parse(CORE)]).circles() == []
    assert [sorted(one) for one in Wiring([ast.parse(circle)]).circles()] == [["Health", "Prober", "Suspicions"]]


def patched(body: str) -> list[str]:
    source = f"""
class Node(Base):
    def __init__(self, row: Row, prober: Prober) -> None:
        self._prober = Prober()
        self._row = row
    def change(self, other: "Prober", row: Row, node: "Node", rows: dict[int, Row]) -> None:
        {body}
"""
    tree = ast.parse(source)
    wiring = Wiring([ast.parse(CORE), tree])
    return [fault.partition(" ")[0] for _, fault in wiring.patches(tree)]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("self._prober.declare = self.change", ["self._prober.declare"]),
        ("self._prober.limit = 4", ["self._prober.limit"]),
        ("self._prober.limit += 1", ["self._prober.limit"]),
        ("self._prober.limit: int = 1", ["self._prober.limit"]),
        ("a, self._prober.limit = 1, 2", ["self._prober.limit"]),
        ("other.limit = 4", ["other.limit"]),
        ("mine = self._prober; mine.limit = 4", ["mine.limit"]),
        ("made = Prober(); made.limit = 4", ["made.limit"]),
        ("catalog = Catalog(other); catalog._prober.limit = 4", ["catalog._prober.limit"]),
        ("self.unknown.declare = self.change", ["self.unknown.declare"]),
        ("self.unknown.lost = self.change", ["self.unknown.lost"]),
        ("self.unknown._table = 1", ["self.unknown._table"]),
        ("row.on_gone = self.change", ["row.on_gone"]),
        ("node._prober = other", ["node._prober"]),
    ],
)
def test_a_part_that_is_set_from_outside_is_found(body: str, names: list[str]) -> None:
    assert patched(body) == names


@pytest.mark.parametrize(
    "body",
    [
        "self._prober = other",
        "self._row.state = 1",
        "row.state = 1",
        "rows[1].state = 1",
        "self.unknown.limit = 1",
        "node.limit = 1",
        "prober = 1",
        "self._prober.limit == 1",
    ],
)
def test_data_and_a_parts_own_attributes_are_left_alone(body: str) -> None:
    assert patched(body) == []


def written(body: str, arguments: str = "self, id") -> list[str]:
    source = f"""
class Prober:
    def probe({arguments}):
        {body}
"""
    return [fault.partition(" ")[0] for _, fault in row_writes(ast.parse(source))]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("row.hidden = True", ["row.hidden"]),
        ("a, row.hidden = 1, True", ["row.hidden"]),
        ("row.incarnation += 1", ["row.incarnation"]),
        ("found = self._table.rows.get(id); found.hidden = True", ["found.hidden"]),
        ("found = self._table.rows[id]; found.content.counter += 1", ["found.content.counter"]),
        ("rows = self._table.rows; found = rows[id]; found.hidden = True", ["found.hidden"]),
        ("for one in self._table.rows.values(): one.hidden = True", ["one.hidden"]),
        ("for id, one in table.rows.items(): one.hidden = True", ["one.hidden"]),
        ("made = Row(id, liveness, 0.0); made.member = None", ["made.member"]),
        ("if (seen := self.row(id)) is not None: seen.hidden = True", ["seen.hidden"]),
        ("self._table.rows[id].hidden = True", ["self._table.rows[id].hidden"]),
        ("self._table.own.liveness = 1", ["self._table.own.liveness"]),
        ("self._table.rows[id] = 1", ["self._table.rows[id]"]),
        ("del self._table.rows[id]", ["self._table.rows[id]"]),
        ("self._table.rows.pop(id)", ["self._table.rows.pop()"]),
        ("row.content.apply(delta)", ["row.content.apply()"]),
        ("content = row.content; content.put(1, 2, b'')", ["content.put()"]),
        ("self._table.own.content.remove(1, 2, 0.0)", ["self._table.own.content.remove()"]),
    ],
)
def test_a_change_of_a_row_is_found(body: str, names: list[str]) -> None:
    assert written(body) == names


def test_a_change_of_an_argument_that_is_a_row_is_found() -> None:
    assert written("known.hidden = True", "self, known: Row | None") == ["known.hidden"]


@pytest.mark.parametrize(
    "body",
    [
        "suspicion.hidden = True",
        "rows = {}; rows[id] = 1; rows.pop(id)",
        "self.row = 1",
        "found = self._table.rows.get(id); found = found.hidden",
        "row = self._table.rows.get(id)",
        "self._table.hide(id, True)",
        "self._rows[id] = 1",
        "self._outbox.put(id, 1)",
    ],
)
def test_reading_rows_and_changing_other_things_is_left_alone(body: str) -> None:
    assert written(body) == []
