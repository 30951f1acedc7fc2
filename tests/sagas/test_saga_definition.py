"""Declared sagas: what a definition may say, that its bytes are the same definition, and which steps are next."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadParams, RequestError, TooLarge
from gossipreg.journal.model import JournalId
from gossipreg.sagas.next_steps import is_complete, ready
from gossipreg.sagas.saga_definition import (
    SagaDefinition,
    check_input,
    decode_definition,
    definition_map,
    definition_untrusted,
    encode_definition,
    read_definition,
)
from gossipreg.sagas.saga_model import BegunSaga, SagaKind, SagaRef, StepIntent, StepResult, StepState
from gossipreg.sagas.saga_templates import CannotRender
from tests.sagas.one_line import assert_one_line

REF = SagaRef(JournalId(bytes(16)), "7")
ORDER = b"""
name = "create-order"
timeout = "2m"

[[step]]
name = "reserve"
service = "stock"
method = "PUT"
path = "/reservations/{key}"
json = { sku = "{input.sku}", count = "{input.count}" }
undo = { method = "DELETE", path = "/reservations/{key}" }

[[step]]
name = "pay"
service = "payments"
method = "POST"
path = "/payments"
timeout = "10s"
json = { order = "{input.id}", hold = "{result.reserve.id}" }
headers = { authorization = "Bearer secret:payments" }
undo = "none"

[[after]]
name = "mail"
service = "mail"
method = "POST"
path = "/confirmations/{input.id}"
"""
INPUT = b'{"sku": "a", "count": 2, "id": 7}'


def table(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "service": "s",
        "method": "PUT",
        "path": "/",
        "undo": {"method": "DELETE", "path": "/"},
        **more,
    }


def definition(*steps: dict[str, Any], after: list[dict[str, Any]] | None = None, **more: Any) -> SagaDefinition:
    return definition_untrusted({"name": "test", "step": list(steps), "after": after or [], **more})


@dataclass
class Seen:
    intent: StepIntent
    state: StepState
    result: StepResult | None


@dataclass
class SeenSaga:
    begun: BegunSaga
    steps: dict[str, Seen] = field(default_factory=dict)


def seen(input: bytes = INPUT) -> SeenSaga:
    return SeenSaga(BegunSaga("7", "test", SagaKind.DECLARED, input, 60_000))


def intend(definition: SagaDefinition, saga: SeenSaga) -> list[str]:
    intents = ready(definition, REF, saga)
    for intent in intents:
        saga.steps[intent.name] = Seen(intent, StepState.AFTER if intent.options.after else StepState.INTENDED, None)
    return [intent.name for intent in intents]


def settle(saga: SeenSaga, name: str, state: StepState = StepState.DONE, body: bytes = b'{"id": 1}') -> None:
    saga.steps[name].state, saga.steps[name].result = state, StepResult(state, 200, body)


def test_an_order_is_read_and_goes_step_by_step() -> None:
    order = read_definition(ORDER, toml=True)
    assert (order.name, order.timeout_ms, order.strict) == ("create-order", 120_000, False)
    assert [(step.name, step.needs) for step in order.steps] == [("reserve", ()), ("pay", ("reserve",)), ("mail", None)]
    saga = seen()
    assert intend(order, saga) == ["reserve"]
    assert intend(order, saga) == []
    settle(saga, "reserve")
    assert intend(order, saga) == ["pay"]
    assert saga.steps["pay"].intent.command.body == b'{"order":7,"hold":1}'
    assert not is_complete(order, saga)
    settle(saga, "pay")
    assert intend(order, saga) == ["mail"]
    assert is_complete(order, saga)
    assert saga.steps["mail"].intent.command.path == "/confirmations/7"


def test_json_and_toml_are_the_same_definition() -> None:
    order = read_definition(ORDER, toml=True)
    as_json = json.dumps(definition_map(order, binary=False)).encode()
    assert read_definition(as_json, toml=False) == order == decode_definition(encode_definition(order))


def test_steps_that_need_nothing_begin_together_and_join() -> None:
    fork = definition(table("a", needs=[]), table("b", needs=[]), table("c", needs=["a", "b"]))
    saga = seen()
    assert intend(fork, saga) == ["a", "b"]
    settle(saga, "a")
    assert intend(fork, saga) == []
    settle(saga, "b")
    assert intend(fork, saga) == ["c"]


def test_a_result_that_is_named_is_waited_for() -> None:
    found = definition(table("a", needs=[], path="/{result.b.id}"), table("b", needs=[]))
    assert [step.name for step in found.steps] == ["b", "a"]
    assert found.steps[1].needs == ("b",)


@pytest.mark.parametrize("state", [StepState.REFUSED, StepState.UNKNOWN])
def test_nothing_begins_once_a_step_has_failed(state: StepState) -> None:
    fork = definition(table("a", needs=[]), table("b", needs=[]), table("c", needs=["b"]))
    saga = seen()
    intend(fork, saga)
    settle(saga, "a", state)
    settle(saga, "b")
    assert intend(fork, saga) == []
    assert not is_complete(fork, saga)


def test_an_optional_step_that_was_refused_holds_nobody() -> None:
    found = definition(table("a", optional=True), table("b"), table("c", path="/{result.a.id}"))
    saga = seen()
    intend(found, saga)
    settle(saga, "a", StepState.REFUSED)
    assert [step.name for step in found.steps] == ["a", "b", "c"]
    assert intend(found, saga) == ["b"]
    settle(saga, "b")
    with pytest.raises(CannotRender, match="step 'a' was refused"):
        ready(found, REF, saga)


NEEDLESS = {"undo": None}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"step": [table("a"), table("a")]}, "two steps have the name 'a'"),
        ({"step": [table("a")], "after": [{**table("a"), "undo": None}]}, "two steps have the name 'a'"),
        ({"step": [table("a", needs=["c"]), table("b"), table("c")]}, "in a circle, a -> c -> b -> a"),
        ({"step": [table("a", path="/{result.b}"), table("b")]}, "in a circle, a -> b -> a"),
        ({"step": [table("a", needs=["x"])]}, "step 'a' needs 'x', and there is no such step: the steps are a"),
        ({"step": [table("a", path="/{result.x.id}")]}, "step 'a' needs 'x', and there is no such step"),
        ({"step": [table("a", needs=["m"])], "after": [table("m", undo=None)]}, "'m', which comes after the commit"),
        ({"step": [table("a")], "after": [table("m", undo=None, path="/{result.n}"), table("n", undo=None)]},
         "needs the result of n, which comes after the commit too"),
        ({"step": [table("a")], "after": [table("m", undo=None, needs=["x"])]}, "there is no such step"),
        ({"step": [table("a")], "after": [table("m", undo=None, needs=["n"]), table("n", undo=None, needs=["m"])]},
         "in a circle"),
        ({"step": [table("a", after=True, undo=None)]}, "write it as [[after]]"),
        ({"step": [table("a", undo=None), table("b")]},
         "'a' cannot be undone, and so has to be the last: let it need b"),
        ({"step": [table("a", needs=[]), table("b", needs=[], undo=None)]}, "has to be the last: let it need a"),
        ({"step": [table("a", undo=None), table("b", undo=None)]}, "'a' cannot be undone"),
        ({"step": []}, "has no [[step]]"),
        ({}, "has no [[step]]"),
        ({"step": {"name": "a"}}, "step has to be a list of at most 256 tables, each [[step]] in TOML"),
        ({"steps": []}, "the definition has the unknown field 'steps': the fields are after, name, step"),
        ({"step": [table("a", retries=3)]}, "step 'a' has the unknown field 'retries'"),
        ({"step": ["a"]}, "a step is 'a': it has to be a map"),
        ({"step": [table("a")], "name": "create order"}, "the name of the saga is 'create order': choose one such as"),
        ({"step": [table("a")], "name": None}, "the definition has no name: give it one, such as create-order"),
        ({"step": [table("a")], "timeout": "31d"}, "timeout is '31d': choose from 50ms to 2592000s"),
        ({"step": [table("a")], "strict": "yes"}, "strict is 'yes': it has to be true or false"),
    ],
)  # fmt: skip
def test_each_wrong_definition_is_one_clear_error(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(BadParams) as error:
        definition_untrusted({"name": "test", **given})
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_a_step_that_cannot_be_undone_may_be_the_last_or_harmless() -> None:
    definition(table("a"), table("b", needs=["a"]), table("c", undo=None))
    bare = {name: value for name, value in table("a").items() if name != "undo"}
    definition({**bare, "harmless": True}, table("b"), table("c", undo=None))


def test_a_definition_has_bounds() -> None:
    with pytest.raises(TooLarge, match="257 steps: at most 256"):
        definition(*(table(f"s{number}", json=1) for number in range(200)), after=[
            {"name": f"a{number}", "service": "s", "method": "PUT", "path": "/"} for number in range(57)
        ])  # fmt: skip
    with pytest.raises(TooLarge, match="at most 65536"):
        definition(table("a", json="x" * 40_000), table("b", json="x" * 40_000))
    with pytest.raises(TooLarge, match="the definition has"):
        read_definition(b"#" * 300_000, toml=True)
    with pytest.raises(TooLarge):
        decode_definition(b"x" * 70_000)


@pytest.mark.parametrize("toml", [True, False])
@pytest.mark.parametrize("data", [b"\xff", b"{", b"name = ", b"[" * 20_000, b"a" + b".a" * 2000 + b" = 1"])
def test_a_file_that_cannot_be_read_is_one_error(data: bytes, toml: bool) -> None:
    with pytest.raises(BadParams) as error:
        read_definition(data, toml=toml)
    assert "\n" not in str(error.value)


def test_a_file_of_json_that_has_a_name_twice_is_refused() -> None:
    """Half of the steps would be lost without a word."""
    with pytest.raises(BadParams, match="the definition has the name 'step' twice in one object"):
        read_definition(b'{"name": "a", "step": [], "step": []}', toml=False)


def test_a_file_may_begin_with_a_mark_of_its_encoding() -> None:
    assert read_definition(b"\xef\xbb\xbf" + ORDER, toml=True).name == "create-order"


def test_a_step_is_not_longer_than_its_saga() -> None:
    found = definition(table("a"), table("b", attempt_timeout="2s"), timeout="1s")
    assert [(step.options.timeout_ms, step.options.attempt_timeout_ms) for step in found.steps] == [(1000, 1000)] * 2


def test_an_input_without_what_is_named_is_refused_before_it_begins() -> None:
    order = read_definition(ORDER, toml=True)
    check_input(order, INPUT)
    with pytest.raises(BadParams, match=r"step 'reserve': \{input.count\} is not there: \{input\} has sku, id"):
        check_input(order, b'{"sku": "a", "id": 7}')
    for data in (b"", b"{", b"NaN", b"1e999", b"[" * 5000, b"\xff"):
        with pytest.raises(BadParams, match="the input"):
            check_input(order, data)


NAMES = st.sampled_from("abcde")
TABLES = st.builds(
    lambda name, needs, ref, kind: table(
        name, **({"needs": needs} if needs is not None else {}), **({"path": f"/{{result.{ref}}}"} if ref else {}),
        **({"undo": None} if kind == 0 else {}),
    ),
    NAMES, st.none() | st.lists(NAMES, max_size=2), st.none() | NAMES, st.integers(0, 5),
)  # fmt: skip


@given(st.lists(TABLES, max_size=5, unique_by=lambda one: str(one["name"])), st.data())
def test_what_is_accepted_comes_to_its_end_in_any_order(tables: list[dict[str, Any]], data: st.DataObject) -> None:
    try:
        found = definition(
            *tables, after=[{"name": "z", "service": "s", "method": "PUT", "path": "/{result}".replace("{result}", "")}]
        )
    except RequestError as error:
        assert_one_line(error)
        return
    assert decode_definition(encode_definition(found)) == found
    saga, under_way = seen(), list[str]()
    while not is_complete(found, saga):
        new = intend(found, saga)
        for name in new:
            assert all(saga.steps[need].state is StepState.DONE for need in saga.steps[name].intent.needs)
        under_way += [name for name in new if name != "z"]
        if not under_way:
            break
        name = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
        settle(saga, name, body=b"1")
    assert is_complete(found, saga)
    finals = [step.name for step in found.steps if step.undo is None and not step.options.after]
    assert not finals or [name for name in saga.steps if name != "z"][-1] == finals[0]


@given(
    st.binary(max_size=60)
    | st.builds(lambda cut: encode_definition(read_definition(ORDER, toml=True))[:cut], st.integers(0, 400))
)
def test_any_bytes_are_a_definition_or_one_error(data: bytes) -> None:
    try:
        decode_definition(data)
    except RequestError as error:
        assert_one_line(error)
