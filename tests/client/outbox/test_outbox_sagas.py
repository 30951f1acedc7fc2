"""A declared saga is begun if, and only if, the transaction that it was written in is committed."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gossipreg
from gossipreg import BadParams, Outbox, Refused, SagaConflict, TooLarge, relay_once
from gossipreg.client.events.inheriting import HANDLED
from gossipreg.client.outbox.rows import OutboxRow
from gossipreg.client.outbox.saga_rows import make_saga_row, saga_call
from gossipreg.client.sagas.saga_answers import BegunAnswer
from gossipreg.errors import Conflict, NotAllowed, OutcomeUnknown, Unavailable
from tests.client.outbox.databases import Database, NotingPublisher
from tests.client.sagas.saga_sidecar import CLOSE, JOURNAL, SagaSidecar, begun

TOML = """
name = "create-order"
timeout = "60s"

[[step]]
name = "reserve"
service = "stock"
method = "PUT"
path = "/reservations/{key}"
json = { item = "{input.item}" }
undo = { method = "DELETE", path = "/reservations/{key}" }
"""
STEP = {"name": "ask", "service": "stock", "method": "GET", "path": "/", "harmless": True}


def begin(database: Database, *sagas: tuple[Any, Any], **options: Any) -> list[str]:
    with closing(database.connect()) as connection:
        ids = [Outbox(connection).begin_saga(definition, input, **options) for definition, input in sagas]
        connection.commit()
        return ids


class Registry(NotingPublisher):
    """Begins sagas too."""

    def __init__(self, answer: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        super().__init__()
        self.sagas: list[dict[str, Any]] = []
        self._begins = answer

    def run_saga(self, definition: Any, input: object = None, **named: Any) -> object:
        saga = {"definition": definition, "input": input, **named}
        self.sagas.append(saga)
        self._begins(saga)
        return None

    def saga_journal(self, *, timeout: float = 10.0) -> str:
        del timeout
        return JOURNAL


def test_a_committed_saga_is_begun_in_the_order_of_the_rows(database: Database) -> None:
    with closing(database.connect()) as connection:
        outbox = Outbox(connection)
        outbox.publish("order.created")
        id = outbox.begin_saga(TOML, {"item": "tea"})
        outbox.begin_saga({"name": "ask", "step": [STEP]}, id="s2")
        connection.commit()
    registry = Registry()
    assert relay_once(database.connect, registry).sent == 3
    first, second = registry.sagas
    assert (first["id"], first["input"], first["definition"]["name"]) == (id, {"item": "tea"}, "create-order")
    assert first["definition"]["step"][0]["undo"]["method"] == "DELETE"
    assert (second["id"], second["input"], second["traceparent"]) == ("s2", None, None)
    assert registry.types == ["order.created"]
    assert database.waiting == 0


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("given", "kept"), [(PARENT, PARENT), ("00-1", None), ("caf\u00e9", None), ("a b", None), ("a" * 256, None)]
)
def test_a_saga_inherits_a_trace_that_has_its_form(given: str, kept: str | None) -> None:
    """A stranger has written the event: its handler must not fail for ever."""
    call = saga_call(row_of_handler(given, "a=1"))
    assert (call["traceparent"], call.get("tracestate")) == (kept, kept and "a=1")
    assert "tracestate" not in saga_call(row_of_handler(given, "")), "a publisher of before takes none"


def row_of_handler(traceparent: str, tracestate: str) -> OutboxRow:
    token = HANDLED.set(SimpleNamespace(id="e1", extensions={}, traceparent=traceparent, tracestate=tracestate))
    try:
        return make_saga_row(TOML, {"item": "tea"}, None)
    finally:
        HANDLED.reset(token)


def test_a_saga_that_is_rolled_back_is_not_begun(database: Database) -> None:
    with closing(database.connect()) as connection:
        Outbox(connection).begin_saga(TOML, {"item": "tea"})
        connection.rollback()
    assert database.waiting == 0


def test_a_saga_that_is_refused_for_ever_is_set_aside(database: Database) -> None:
    def refuse(saga: dict[str, Any]) -> None:
        if saga["id"] == "s1":
            raise SagaConflict("another name")

    begin(database, (TOML, {"item": "tea"}), id="s1")
    begin(database, (TOML, {"item": "tea"}), id="s2")
    done = relay_once(database.connect, Registry(refuse))
    assert (done.sent, done.refused) == (1, 1)
    assert database.query("SELECT id, refused FROM gossipreg_outbox") == [("s1", "conflict: another name")]


def test_a_saga_that_is_refused_now_waits(database: Database) -> None:
    def refuse(_saga: dict[str, Any]) -> None:
        raise Unavailable("no leader")

    begin(database, (TOML, {"item": "tea"}))
    with pytest.raises(Unavailable):
        relay_once(database.connect, Registry(refuse))
    with pytest.raises(Refused, match="give the relay a registry"):
        relay_once(database.connect, NotingPublisher())
    assert database.waiting == 1


def test_a_damaged_row_is_set_aside(database: Database) -> None:
    begin(database, (TOML, {"item": "tea"}))
    database.execute("UPDATE gossipreg_outbox SET data = NULL")
    assert relay_once(database.connect, Registry()).refused == 1


@pytest.mark.parametrize(
    ("definition", "input", "id", "says"),
    [
        (TOML, {}, None, "item"),
        (TOML, {1}, None, "no form in JSON"),
        ("name = 1", None, None, "name of the saga"),
        ("{", None, None, "JSON"),
        ("name = '\ud800'", None, None, "UTF-8"),
        (7, None, None, "has to be a map"),
        ({"name": "ask", "step": [STEP]}, None, ".dot", "a dot not first"),
        ({"name": "ask", "step": [STEP]}, None, "", "a dot not first"),
    ],
)
def test_what_no_journal_would_take_is_refused_at_once(
    database: Database, definition: Any, input: Any, id: str | None, says: str
) -> None:
    with pytest.raises(BadParams, match=says):
        begin(database, (definition, input), id=id)
    with pytest.raises(TooLarge):
        begin(database, (TOML, {"item": "x" * 70_000}))


# -- Registry.run_saga -------------------------------------------------------------------------------------------------


def test_run_saga_begins_a_declared_saga_once(tmp_path: Path) -> None:
    with SagaSidecar(tmp_path / "s.sock") as sagas, gossipreg.connect(str(sagas.path)) as registry:
        sagas.usual["saga-run"] = begun
        sagas.script["saga-run"] = [CLOSE, lambda params: begun(params) | {"exists": True}]
        found = registry.run_saga(TOML, {"item": "tea"}, traceparent="00-1")
        assert (found.exists, found.takeover, found.saga.partition(".")[2]) == (True, True, found.id)
        first, second = sagas.params("saga-run")
        assert first == second == {
            "definition": TOML, "input": b'{"item":"tea"}', "id": found.id, "traceparent": "00-1",
        }  # fmt: skip
        assert isinstance(registry.run_saga({"name": "ask", "step": [STEP]}, id="s1"), BegunAnswer)
        sagas.script["saga-run"] = [Conflict("another name"), NotAllowed("of another user")]
        with pytest.raises(SagaConflict, match="s1"):
            registry.run_saga(TOML, id="s1")
        with pytest.raises(Refused):
            registry.run_saga(TOML)
        sagas.script["saga-run"] = [CLOSE, *[Unavailable("no leader")] * 100]
        with pytest.raises(OutcomeUnknown, match=r"begin it again with id='s1' .*\(no leader\)"):
            registry.run_saga(TOML, id="s1", timeout=0.1)
        sagas.script["saga-run"] = [Unavailable("no leader")] * 100
        with pytest.raises(Unavailable, match="no leader"):
            registry.run_saga(TOML, id="s1", timeout=0.1)
        sagas.script["saga-run"] = [CLOSE] * 100
        with pytest.raises(OutcomeUnknown, match="begin it again with id='s1'"):
            registry.run_saga(TOML, id="s1", timeout=0.1)
        with pytest.raises(BadParams, match="TOML or JSON"):
            registry.run_saga(7)  # type: ignore[arg-type]


def test_a_row_of_the_outbox_begins_a_saga_at_the_sidecar(tmp_path: Path, database: Database) -> None:
    ids = begin(database, (TOML, {"item": "tea"}), ({"name": "ask", "step": [STEP]}, None))
    with SagaSidecar(tmp_path / "s.sock") as sagas, gossipreg.connect(str(sagas.path)) as registry:
        sagas.usual |= {"saga-run": begun, "saga-journal": lambda _: {"journal": JOURNAL}}
        assert relay_once(database.connect, registry).sent == 2
        assert [(params["id"], params["journal"]) for params in sagas.params("saga-run")] == [
            (id, JOURNAL) for id in ids
        ]


def test_an_empty_id_is_refused_and_not_drawn(tmp_path: Path) -> None:
    """It may be a variable that was not set: the order would be run again each time."""
    with SagaSidecar(tmp_path / "s.sock") as sidecar, gossipreg.connect(str(sidecar.path)) as registry:
        with pytest.raises(BadParams, match="id is empty"):
            registry.saga("create-order", id="")
        with pytest.raises(BadParams, match="id is empty"):
            registry.run_saga(TOML, {"item": "tea"}, id="")
        assert sidecar.methods == []
