"""JSON that is nested deeper than a request may be: steps and definitions of programs have it all the same."""

from typing import Any

import pytest
from msgpack import packb, unpackb

from gossipreg.client.sagas.running import run_call
from gossipreg.client.sagas.saga_step import SagaStep
from gossipreg.daemon.sagas.saga_methods import _definition
from gossipreg.sagas.saga_definition import decode_definition, definition_untrusted
from gossipreg.sagas.saga_templates import MAX_JSON_DEPTH
from gossipreg.sagas.step_template import read_step
from gossipreg.wire.rpc import params_untrusted


def nested(levels: int) -> Any:
    """Lists and maps within each other, with a template in the innermost."""
    value: Any = "{input.item}"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value, "b": 1}
    return value


def arrives(params: dict[str, Any]) -> dict[str, Any]:
    """As the local socket reads it. Raises BadParams."""
    return params_untrusted(unpackb(packb(params)))


@pytest.mark.parametrize("levels", [0, 1, 4, 5, 6, 7, 20, MAX_JSON_DEPTH - 1])
def test_json_of_a_step_and_its_undo_may_be_deep(levels: int) -> None:
    json = nested(levels)
    undo = {"method": "DELETE", "path": "/r/{key}", "json": json}
    step = SagaStep("reserve", "stock", "PUT", "/r/{key}", json, undo=undo)
    sent = arrives({"saga": "J.s1", "step": step.template()})["step"]
    plain = {"name": "reserve", "service": "stock", "method": "PUT", "path": "/r/{key}", "json": json, "undo": undo}
    assert read_step(sent) == read_step(plain)
    assert ("json" in sent) == ("json" in sent["undo"]) == (levels <= 5), "what fits stays readable on the way"
    after = SagaStep("mail", "mailer", "POST", "/m", json, undo=None)
    assert read_step(arrives({"saga": "J.s1", "step": after.template(after=True)})["step"], after=True).command.json


@pytest.mark.parametrize("levels", [0, 1, 4, 20, MAX_JSON_DEPTH - 6])
def test_json_of_a_definition_may_be_deep(levels: int) -> None:
    undo = {"method": "DELETE", "path": "/r/{key}", "json": nested(levels)}
    step = {"name": "reserve", "service": "stock", "method": "PUT", "path": "/r/{key}", "json": nested(levels)}
    definition = {"name": "create-order", "step": ({**step, "undo": undo},)}
    sent = arrives(run_call(definition, None, "s1", None, 10.0).params)["definition"]
    assert decode_definition(_definition("definition", sent)) == definition_untrusted(definition)


def test_a_definition_with_bytes_goes_as_it_is() -> None:
    step = {"name": "put", "service": "stock", "method": "PUT", "path": "/r", "body": b"\xff\x00", "undo": "none"}
    definition = {"name": "create-order", "step": [step]}
    sent = arrives(run_call(definition, None, "s1", None, 10.0).params)["definition"]
    assert decode_definition(_definition("definition", sent)).steps[0].command.data == b"\xff\x00"
