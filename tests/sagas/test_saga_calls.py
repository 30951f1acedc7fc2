"""Calls about sagas are read from other sidecars: what is asked, or one error in one line."""

import json
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadParams, RequestError, TooLarge, UnknownMethod
from gossipreg.sagas.saga_calls import METHODS, AfterAsked, AskedCall, BeginAsked, RunAsked, StepAsked, read_call
from gossipreg.sagas.saga_definition import definition_untrusted, encode_definition
from gossipreg.sagas.saga_templates import MAX_JSON_DEPTH
from gossipreg.sagas.saga_tuning import default
from tests.sagas.one_line import assert_one_line

SAGA = f"{'7c' * 16}.order-7"
STEP = {"name": "a", "service": "s", "method": "PUT", "path": "/{input.sku}", "undo": None}
DEFINITION = encode_definition(definition_untrusted({"name": "order", "step": [STEP]}))


def read(method: str, **params: Any) -> AskedCall:
    return read_call(method, msgpack.packb(params), default)


def test_a_definition_runs_with_an_input_that_fits() -> None:
    found = read("run", definition=DEFINITION, input=b'{"sku": 1}', id="order-7")
    assert isinstance(found, RunAsked)
    assert (found.id, found.encoded, found.definition.name) == ("order-7", DEFINITION, "order")


@pytest.mark.parametrize(
    ("input", "fault"),
    [
        (b"{}", "step 'a': {input.sku} is not there: {input} is an empty object"),
        (None, "{input} is null, which has no parts"),
        (b"{", "run: input is no JSON"),
        ('{"sku": 1}'.encode("utf-16"), "run: input is no JSON"),
        (b'{"sku": 1e999}', "run: input is no JSON: the number 1e999 is too large"),
        (b'{"sku": NaN}', "NaN, which is no number of JSON"),
        (b"[" * 2000, "run: input is n"),  # too deep, or no JSON: as its reader says first
        (b"[" * 70 + b"]" * 70, "run: input is nested too deep: at most 64 levels"),
    ],
)
def test_an_input_that_does_not_fit_begins_nothing(input: bytes | None, fault: str) -> None:
    with pytest.raises(BadParams) as error:
        read("run", definition=DEFINITION, input=input)
    assert fault in str(error.value)
    assert_one_line(error.value)


FITS_NOWHERE = [
    ({"path": "/{input.x}"}, None, "step 'a': path: {input.x} is null"),
    ({"path": "/{input.x}"}, "", "step 'a': path: {input.x} is empty"),
    ({"path": "/{input.x}/y"}, "..", "leads elsewhere"),
    ({"path": "/{input.x}"}, "\ud800", "half of a surrogate pair"),
    ({"headers": {"x": "{input.x}"}}, "a\nb", "header x has a control character"),
    ({"headers": {"x": "{input.x}"}}, "secret:stock", "names a secret"),
    ({"json": "for {input.x}"}, [1], "body: {input.x} is a list"),
    ({"body": "{input.x}"}, {"a": 1}, "body: {input.x} is an object"),
    ({"undo": {"method": "DELETE", "path": "/{input.x}"}}, "", "step 'a': undo: path: {input.x} is empty"),
]


@pytest.mark.parametrize(("fields", "value", "fault"), FITS_NOWHERE)
def test_a_value_of_the_input_that_fits_nowhere_begins_nothing(
    fields: dict[str, Any], value: object, fault: str
) -> None:
    definition = encode_definition(definition_untrusted({"name": "order", "step": [{**STEP, "path": "/", **fields}]}))
    with pytest.raises(BadParams) as error:
        read("run", definition=definition, input=json.dumps({"x": value}).encode())
    assert fault in str(error.value)
    assert type(error.value) is BadParams, "its class is one that programs know"
    assert_one_line(error.value)


def test_a_value_that_stands_beside_a_result_is_left_to_its_step() -> None:
    after = {"name": "b", "service": "s", "method": "PUT", "path": "/{input.x}/{result.a.id}", "undo": None}
    first = {**STEP, "path": "/", "undo": {"method": "DELETE", "path": "/"}}
    definition = encode_definition(definition_untrusted({"name": "order", "step": [first, after]}))
    assert isinstance(read("run", definition=definition, input=b'{"x": ""}'), RunAsked)


def test_the_same_input_is_the_same_in_any_order_and_spacing() -> None:
    forms = (rb'{"a": 1, "b": [1, {"c": 2, "d": "\u00e9"}]}', '{"b":[1,{"d":"é","c":2}],"a":1}'.encode())
    found = [read("begin", name="order", input=form) for form in forms]
    assert [one.input for one in found if isinstance(one, BeginAsked)] == [
        '{"a":1,"b":[1,{"c":2,"d":"é"}]}'.encode()
    ] * 2


@pytest.mark.parametrize("other", [b'{"a":2}', b'{"a":1.0}', b'{"a":true}', b'{"a":"1"}', b'{"a":[1]}', b'{"b":1}'])
def test_another_input_is_another(other: bytes) -> None:
    found = [read("begin", name="order", input=form) for form in (b'{"a":1}', other)]
    assert isinstance(found[0], BeginAsked)
    assert isinstance(found[1], BeginAsked)
    assert found[0].input != found[1].input


def test_half_of_a_surrogate_pair_stays_in_an_input() -> None:
    found = read("begin", name="order", input=rb'{"b": "\ud800", "a": 1}')
    assert isinstance(found, BeginAsked)
    assert found.input == rb'{"a":1,"b":"\ud800"}'


def test_an_input_that_has_a_name_twice_begins_nothing() -> None:
    with pytest.raises(BadParams, match="begin: input has the name 'a' twice in one object: leave one"):
        read("begin", name="order", input=b'{"a": 1, "a": 2}')


@pytest.mark.parametrize("trace", ["a\r\nX-Injected: 1", "é", "\0", " ", "a b", "x" * 256])
@pytest.mark.parametrize("method", ["begin", "run"])
def test_a_traceparent_that_no_header_holds_begins_nothing(method: str, trace: str) -> None:
    params = {"name": "order"} if method == "begin" else {"definition": DEFINITION, "input": b'{"sku":1}'}
    with pytest.raises(BadParams, match=f"{method}: traceparent ") as error:
        read(method, traceparent=trace, **params)
    assert_one_line(error.value)


@pytest.mark.parametrize("method", ["begin", "run"])
def test_an_empty_id_is_refused_and_not_drawn(method: str) -> None:
    params = {"name": "order"} if method == "begin" else {"definition": DEFINITION, "input": b'{"sku":1}'}
    with pytest.raises(BadParams, match=f"{method}: id is ''"):
        read(method, id="", **params)


def test_what_comes_after_the_commit_needs_no_undo() -> None:
    bare = {name: value for name, value in STEP.items() if name != "undo"}
    found = read("after", saga=SAGA, step=bare)
    assert isinstance(found, AfterAsked)
    assert found.step.options.after
    with pytest.raises(BadParams, match="does not say how it is undone"):
        read("step", saga=SAGA, step=bare)
    assert isinstance(read("step", saga=SAGA, step=STEP), StepAsked)


def test_a_beginning_has_defaults_and_bounds() -> None:
    found = read("begin", name="create-order")
    assert isinstance(found, BeginAsked)
    assert (found.id, found.input, found.timeout_ms, found.strict) == ("", b"null", 60_000, False)
    with pytest.raises(BadParams, match="name is 'create order'"):
        read("begin", name="create order")
    with pytest.raises(BadParams, match="name has 130 bytes: give at most 64"):
        read("begin", name="é" * 65)
    with pytest.raises(TooLarge, match="at most 65536"):
        read("begin", name="a", input=b'"' + b"x" * 65_536 + b'"')
    with pytest.raises(BadParams, match="begin takes no retries"):
        read("begin", name="a", retries=3)
    with pytest.raises(BadParams, match=r"begin takes no 'a\\nb': leave"):
        read("begin", name="a", **{"a\nb": 1})
    with pytest.raises(UnknownMethod):
        read("pause")


def nested(levels: int, head: bytes = b"\x91") -> bytes:
    return head * levels + b"\x00"


@pytest.mark.parametrize(
    "params",
    [
        b"\x81\x90\x01",
        b"\x81\xa4name\x81\x90\x01",
        b"\x81\xa4name" + nested(1000),
        b"\x81\xa4saga" + nested(81),
        b"\x81\xa5state" + nested(1000, b"\x81\xa1a"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_keys_that_are_lists_and_deep_nests_are_one_error(method: str, params: bytes) -> None:
    with pytest.raises(BadParams) as error:
        read_call(method, params, default)
    assert_one_line(error.value)


def test_a_definition_that_is_nested_too_deep_is_one_error() -> None:
    for definition in (nested(1000), b"\x81\xa4name" + nested(1000), b"\x81\x90\x01"):
        with pytest.raises(BadParams) as error:
            read("run", definition=definition)
        assert_one_line(error.value)


def test_json_of_a_step_may_be_as_deep_as_json_can_be() -> None:
    deep: Any = 7
    for _ in range(MAX_JSON_DEPTH - 1):
        deep = [deep]
    undo = {"method": "PUT", "path": "/", "json": deep}
    assert isinstance(read("step", saga=SAGA, step={**STEP, "json": deep, "undo": undo}), StepAsked)


NAMES = ("saga", "step", "id", "name", "input", "definition", "state", "limit", "after", "until", "timeout_ms", "why",
         "who", "reason", "strict", "traceparent", "tracestate", "newest", "since_ms", "other")  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=8)
    | st.binary(max_size=8) | st.sampled_from([SAGA, DEFINITION, STEP, "order-7", b"{}", "decided"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.text(max_size=4) | st.integers(0, 9), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@given(st.sampled_from(METHODS), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_any_params_are_a_call_or_one_error(method: str, params: dict[str, Any]) -> None:
    try:
        read(method, **params)
    except RequestError as error:
        assert_one_line(error)


@given(st.sampled_from(METHODS), st.binary(max_size=40))
def test_any_bytes_are_a_call_or_one_error(method: str, params: bytes) -> None:
    try:
        read_call(method, params, default)
    except RequestError as error:
        assert_one_line(error)
