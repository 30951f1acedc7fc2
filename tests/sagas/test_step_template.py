"""A step as programs and definitions write it: from a map, to a map, to its intent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadParams, RequestError, TooLarge
from gossipreg.journal.model import MAX_ENTRY_BYTES, JournalId
from gossipreg.sagas.saga_model import (
    MAX_INPUT_BYTES,
    MAX_INTENT_BYTES,
    SagaCommand,
    SagaRef,
    StepResult,
    StepState,
    WhenUnknown,
)
from gossipreg.sagas.saga_templates import CannotRender, TemplateValues
from gossipreg.sagas.step_intent import intent_of, undo_of
from gossipreg.sagas.step_template import STEP_FIELDS, StepTemplate, read_step, step_map
from tests.sagas.one_line import assert_one_line

REF = SagaRef(JournalId(bytes(16)), "7")
STEP: dict[str, Any] = {
    "name": "reserve", "service": "stock", "method": "PUT", "path": "/r/{key}", "json": {"sku": "{input.sku}"},
    "undo": {"method": "DELETE", "path": "/r/{key}"},
}  # fmt: skip


def step(**changed: Any) -> StepTemplate:
    return read_step({**STEP, **changed})


def values(**results: StepResult) -> TemplateValues:
    return TemplateValues(REF, "reserve", b'{"sku": "a"}', results)


def test_an_undo_is_rendered_with_its_step_and_has_its_service() -> None:
    found = intent_of(step(), values())
    path = f"/r/{'00' * 16}.7%2Freserve"
    assert found.command == SagaCommand(
        "stock", "PUT", path, (("content-type", "application/json"),), b'{"sku":"a"}'
    )  # fmt: skip
    assert found.undo == SagaCommand("stock", "DELETE", path)
    assert (found.undo_template, found.needs) == (b"", ())
    assert undo_of(found, values()) == found.undo


def test_an_undo_may_go_to_another_service() -> None:
    found = intent_of(step(undo={"service": "returns", "method": "post", "path": "/"}), values())
    assert found.undo == SagaCommand("returns", "POST", "/")


def test_an_undo_by_its_own_result_waits_for_it() -> None:
    found = intent_of(step(undo={"method": "DELETE", "path": "/r/{result.reserve.id}"}, unknown="repeat"), values())
    assert found.undo is None
    assert found.options.unknown is WhenUnknown.REPEAT
    done = StepResult(StepState.DONE, 201, b'{"id": 9}')
    assert undo_of(found, values(reserve=done)) == SagaCommand("stock", "DELETE", "/r/9")
    with pytest.raises(CannotRender, match="'reserve' is not done"):
        undo_of(found, values())


def test_a_step_needs_those_whose_results_it_names() -> None:
    results = {name: StepResult(StepState.DONE, 200, b"7") for name in ("b", "c")}
    found = intent_of(
        step(path="/{result.b}", undo={"method": "PUT", "path": "/{result.c}"}, needs=["a"]), values(**results)
    )
    assert found.needs == ("a", "b", "c")


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"service": "http://stock:80/"}, "is a URL: name a service of the registry"),
        ({"service": "stock/r"}, "is no name of a service"),
        ({"service": "two words"}, "is no name of a service"),
        ({"service": "{input.service}"}, "a service is a name, and no template"),
        ({"service": None}, "has no service: name one"),
        ({"method": "PU T"}, "write one of HTTP"),
        ({"method": "CONNECT"}, "write one of HTTP"),
        ({"path": "r/1"}, "begin it with one /"),
        ({"path": "//evil/1"}, "begin it with one /"),
        ({"path": "/a b"}, "percent-encode spaces"),
        ({"path": "/a/../b"}, "leads elsewhere"),
        ({"path": "/100%"}, "a % that encodes nothing: write %25"),
        ({"path": "/%zz?q=%2"}, "a % that encodes nothing: write %25"),
        ({"path": "/%{input.sku}"}, "a % that encodes nothing: write %25"),
        ({"path": "https://stock/r"}, "is a URL: write what comes after the host"),
        ({"path": 7}, "path is 7: it has to be text"),
        ({"headers": {"Idempotency-Key": "a"}}, "the sidecar sets the header idempotency-key itself"),
        ({"headers": {"Gossipreg-Undoes": "a"}}, "the sidecar sets the header gossipreg-undoes itself"),
        ({"headers": {"Host": "a"}}, "the sidecar sets the header host itself"),
        ({"headers": {"x": "a\nb"}}, "control character"),
        ({"headers": {"x y": "a"}}, "no name of a header"),
        ({"headers": {"X": "a", "x": "b"}}, "has the header x twice"),
        ({"headers": [["a", "b"]]}, "have to be a map"),
        ({"json": {"{input.sku}": 1}}, "only values can be templates"),
        ({"body": "a"}, "has body and json: a command has one body"),
        ({"json": {"a": b"a"}}, "which JSON does not have"),
        ({"json": float("nan")}, "a number that JSON does not have"),
        ({"retries": 3}, "has the unknown field 'retries': the fields are after, attempt_timeout"),
        ({"undo": {"method": "DELETE", "path": "/", "retries": 3}}, "undo has the unknown field 'retries'"),
        ({"undo": "DELETE /"}, "it has to be a map with a method and a path"),
        ({"harmless": True}, "is harmless and has an undo"),
        ({"optional": 1}, "optional is 1: it has to be true or false"),
        ({"unknown": []}, 'choose "undo" or "repeat"'),
        ({"unknown": "retry"}, 'choose "undo" or "repeat"'),
        ({"undo": None, "unknown": "repeat"}, "is repeated only to be undone"),
        ({"undo": {"method": "DELETE", "path": "/{result.reserve.id}"}}, 'write unknown = "repeat"'),
        ({"path": "/{result.reserve.id}"}, "needs its own result"),
        ({"needs": ["reserve"]}, "needs itself"),
        ({"needs": "pay"}, "has to be a list of names"),
        ({"timeout": "soon"}, "is not a duration"),
        ({"timeout": "2d"}, "choose from 50ms to 86400s"),
        ({"timeout_ms": True}, "choose from 50ms"),
        ({"timeout": "5s", "timeout_ms": 5000}, "leave one of them out"),
        ({"timeout": "1s", "attempt_timeout": "2s"}, "give the step more time"),
        ({"name": "a.b"}, "choose letters, digits"),
        ({"name": "a" * 65}, "at most 64"),
    ],
)
def test_each_wrong_field_is_one_clear_error(changed: dict[str, Any], fault: str) -> None:
    with pytest.raises(BadParams) as error:
        step(**changed)
    assert fault in str(error.value)
    assert "\n" not in str(error.value)
    assert "step" in str(error.value)


def test_a_step_says_how_it_is_undone() -> None:
    bare = {field: value for field, value in STEP.items() if field != "undo"}
    with pytest.raises(BadParams, match="does not say how it is undone: give it `undo`"):
        read_step(bare)
    assert read_step({**bare, "harmless": True}).options.harmless
    for none in (None, "none"):
        found = read_step({**bare, "undo": none})
        assert (found.undo, found.options.harmless) == (None, False)


def test_what_comes_after_the_commit_has_no_undo() -> None:
    bare = {field: value for field, value in STEP.items() if field != "undo"}
    found = read_step(bare, after=True)
    assert found.options.after
    assert found == read_step({**bare, "after": True, "undo": None, "optional": False})
    for field, value in (("undo", STEP["undo"]), ("optional", True), ("timeout", "3s"), ("unknown", "repeat")):
        with pytest.raises(BadParams, match=f"comes after the commit and has {field}"):
            read_step({**bare, "after": True, field: value})


def test_times_are_durations_seconds_or_milliseconds() -> None:
    for same in ({"timeout": "90s"}, {"timeout": 90}, {"timeout": 90.0}, {"timeout_ms": 90_000}):
        assert step(**same).options.timeout_ms == 90_000
    assert step(timeout="1s").options.attempt_timeout_ms == 1000


def test_what_is_too_large_is_refused_with_its_bound() -> None:
    with pytest.raises(TooLarge, match="at most 65536"):
        step(json=None, body=b"x" * 65_537)
    with pytest.raises(TooLarge, match="more than 4096 bytes"):
        step(path="/" + "x" * 4096)
    with pytest.raises(TooLarge, match="header x has more than 4096"):
        step(headers={"x": "y" * 4096})
    many = {f"h{number}": "y" * 4000 for number in range(20)}
    large = {"json": None, "body": b"x" * 60_000, "headers": many}
    with pytest.raises(TooLarge, match="and its undo have"):
        intent_of(step(**large, undo={"method": "POST", "path": "/", "body": b"x" * 60_000}), values())


def test_an_intent_and_the_beginning_of_its_saga_fit_into_one_entry() -> None:
    assert MAX_INTENT_BYTES + MAX_INPUT_BYTES + 8192 < MAX_ENTRY_BYTES


TEMPLATES = st.text(alphabet="ab/ é", max_size=4).map(lambda text: text + "{input.sku}")
NAMES = st.text(alphabet="abc", min_size=1, max_size=2)
BODIES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}), st.fixed_dictionaries({"body": TEMPLATES | st.binary(max_size=4)}),
    st.fixed_dictionaries({"json": TEMPLATES | st.lists(TEMPLATES | st.integers(), max_size=2)}),
)  # fmt: skip
COMMANDS = st.builds(
    lambda body, headers, path: {"service": "s", "method": "PUT", "path": f"/{path}", "headers": headers, **body},
    BODIES, st.dictionaries(NAMES, st.sampled_from(["a", "secret:b", "{key}"]), max_size=2), NAMES,
)  # fmt: skip
MORE = {
    "optional": st.booleans(), "timeout_ms": st.integers(60, 9000), "attempt_timeout_ms": st.integers(50, 60),
    "needs": st.lists(st.just("z"), max_size=1),
}  # fmt: skip
STEPS = st.builds(
    lambda command, undo, more: {**command, **undo, **more},
    COMMANDS,
    st.fixed_dictionaries({"undo": COMMANDS}) | st.just({"harmless": True}) | st.just({"undo": None}),
    st.fixed_dictionaries({"name": NAMES}, optional=MORE),
)


@given(STEPS)
def test_a_step_and_its_map_are_the_same(given: dict[str, Any]) -> None:
    found = read_step(given)
    assert read_step(step_map(found)) == found
    assert read_step(json.loads(json.dumps(step_map(found, binary=False)))) == found


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.binary(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=2),
    max_leaves=5,
)


@given(st.sampled_from(sorted(STEP_FIELDS)), ANY, st.booleans())
def test_any_map_is_a_step_or_one_error_in_one_line(field: str, value: Any, in_undo: bool) -> None:
    given = {**STEP, "undo": {**STEP["undo"], field: value}} if in_undo else {**STEP, field: value}
    try:
        intent_of(read_step(given), values())
    except RequestError as error:
        assert_one_line(error)
