"""Templates of steps: what they mean, and that a value never changes what a command is."""

import json
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadParams, RequestError, TooLarge
from gossipreg.journal.model import JournalId
from gossipreg.sagas.command_rendering import render_command
from gossipreg.sagas.command_template import COMMAND_FIELDS, command_untrusted
from gossipreg.sagas.saga_model import MAX_BODY_BYTES, SagaCommand, SagaRef, StepResult, StepState
from gossipreg.sagas.saga_secrets import fill_secrets
from gossipreg.sagas.saga_templates import (
    CannotRender,
    ResultMissing,
    TemplateRef,
    TemplateValues,
    parse_template,
    write_json,
)
from tests.sagas.one_line import assert_one_line

REF = SagaRef(JournalId(bytes(range(16))), "order-7")
INPUT = {
    "id": 7, "name": "Ada Lovelace", "paid": False, "sum": 12.5, "none": None, "empty": "", "up": "..",
    "items": [{"sku": "a/b"}, {"sku": "c?d"}], "secret": "x secret:admin", "line": "a\r\nx-evil: 1",
}  # fmt: skip


def values(results: dict[str, StepResult] | None = None, input: object = INPUT) -> TemplateValues:
    return TemplateValues(REF, "pay", json.dumps(input).encode(), results or {})


def rendered(results: dict[str, StepResult] | None = None, /, **given: Any) -> SagaCommand:
    command = command_untrusted({"service": "payments", "method": "post", "path": "/", **given}, "step 'pay'")
    return render_command(command, values(results), "step 'pay'")


def body(results: dict[str, StepResult] | None = None, /, **given: Any) -> Any:
    return json.loads(rendered(results, **given).body)


DONE = {"reserve": StepResult(StepState.DONE, 201, b'{"id": "r-1", "count": 2}', "application/json")}


def test_a_template_is_texts_and_what_stands_between_them() -> None:
    assert parse_template("/a/{input.x.y}/{{{key}}}", "p") == (
        "/a/", TemplateRef("input", path=("x", "y")), "/", "{", TemplateRef("key"), "}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "p has a { that belongs to no template: write {{ for the character"),
        ("a } b", "p has a } that"),
        ("{}", "p has {}, which is no template: write one such as {input.id}"),
        ("{user.id}", "p has {user.id}, which is no template"),
        ("{input..a}", "an empty name"),
        ("{saga.id}", "{saga} is a text and has no parts"),
        ("{result}", "name the step whose answer is meant"),
        ("{result.a b.c}", "name the step"),
    ],
)
def test_a_text_that_is_no_template_is_refused_with_its_mend(text: str, fault: str) -> None:
    with pytest.raises(BadParams) as error:
        parse_template(text, "p")
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text())
def test_doubled_braces_are_the_text_itself(text: str) -> None:
    parts = parse_template(text.replace("{", "{{").replace("}", "}}"), "p")
    assert "".join(map(str, parts)) == text


def test_values_of_a_path_are_percent_encoded() -> None:
    found = rendered(
        DONE, path="/o/{input.items.0.sku}/{input.name}/{result.reserve.id}?q={input.items.1.sku}&e={input.empty}"
    )
    assert found.path == "/o/a%2Fb/Ada%20Lovelace/r-1?q=c%3Fd&e="


def test_a_key_in_a_path_is_one_segment() -> None:
    assert rendered(path="/r/{key}").path == f"/r/{REF.journal.hex()}.order-7%2Fpay"
    assert rendered(path="/r/{saga}/{step}").path == f"/r/{REF}/pay"


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/o/{input.none}", "{input.none} is null"),
        ("/o/{input.items}", "{input.items} is a list, and only text, a number, true or false fits there"),
        ("/o/{input}", "{input} is an object"),
        ("/o/{input.nothing}", "{input.nothing} is not there: {input} has id, name"),
        ("/o/{input.id.x}", "{input.id.x} is not there: {input.id} is 7, which has no parts"),
        ("/o/{input.items.2}", "{input.items} is a list of 2"),
        ("/o/{input.items.999999999}", "is a list of 2"),
        ("/o/{input.empty}", "{input.empty} is empty, so the path would mean something else"),
        ("/o/{input.up}/x", "leads elsewhere"),
        ("/o/{result.other.id}", "the step 'other' is not done"),
    ],
)
def test_a_value_that_does_not_fit_a_path_is_named(path: str, fault: str) -> None:
    with pytest.raises(CannotRender) as error:
        rendered(path=path)
    assert fault in str(error.value)
    assert str(error.value).startswith(("step 'pay'", "{"))


def test_a_string_that_is_one_template_keeps_its_type() -> None:
    found = body(
        json={"a": "{input.id}", "b": "{input.none}", "c": ["{input.paid}", "{input.items}"], "d": "n {input.sum}"}
    )
    assert found == {"a": 7, "b": None, "c": [False, INPUT["items"]], "d": "n 12.5"}


def test_values_of_json_stay_values() -> None:
    assert body(json={"a": "{input.line}", "b": '"{input.name}"'}) == {"a": INPUT["line"], "b": '"Ada Lovelace"'}


def test_bytes_are_sent_as_they_are() -> None:
    assert rendered(body=b"{input.id}").body == b"{input.id}"
    assert rendered(body_base64="e2lucHV0fQ==").body == b"{input}"
    assert rendered(json=b'{"a": "{input.id}"}').body == b'{"a": "{input.id}"}'


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"json": 1}, "application/json"), ({"json": None}, "application/json"), ({"json": b"1"}, "application/json"),
        ({"json_template": "1"}, "application/json"), ({"body": "a"}, "text/plain; charset=utf-8"),
        ({"body": b"a"}, "application/octet-stream"),
        ({"body": "a", "headers": {"Content-Type": "text/csv"}}, "text/csv"),
        ({}, None),
    ],
)  # fmt: skip
def test_a_body_has_a_content_type(given: dict[str, Any], kind: str | None) -> None:
    assert dict(rendered(**given).headers).get("content-type") == kind


def test_a_result_that_is_cut_or_no_json_has_no_values() -> None:
    for result, fault in (
        (
            StepResult(StepState.DONE, 200, b"{}", cut=True),
            "step 'pay': {result.reserve.id} is not there: the answer of the step 'reserve' has more than 65536 bytes, "
            "so it is kept cut: have its service answer less, or name no value of it",
        ),
        (StepResult(StepState.DONE, 200, b"hello"), "is no JSON"),
        (StepResult(StepState.DONE, 204, b""), "is no JSON"),
    ):
        with pytest.raises(CannotRender) as error:
            rendered({"reserve": result}, path="/{result.reserve.id}")
        assert fault in str(error.value)
    for state in (StepState.REFUSED, StepState.UNKNOWN):
        with pytest.raises(ResultMissing):
            rendered({"reserve": StepResult(state, 400, b"{}")}, path="/{result.reserve.id}")


def test_a_value_cannot_add_a_header_or_name_a_secret() -> None:
    with pytest.raises(CannotRender, match="control character"):
        rendered(headers={"x-note": "{input.line}"})
    with pytest.raises(CannotRender, match="names a secret"):
        rendered(headers={"x-note": "{input.secret}"})
    assert dict(rendered(headers={"x-note": "n {input.id} "}).headers) == {"x-note": "n 7"}


def test_a_secret_stands_for_a_value_or_a_word_of_it() -> None:
    found = dict(rendered(headers={"Authorization": "Bearer secret:a-b", "x-key": "secret:k.1"}).headers)
    filled = {name: fill_secrets(value, lambda name: f"<{name}>") for name, value in found.items()}
    assert filled == {"authorization": "Bearer <a-b>", "x-key": "<k.1>"}


@pytest.mark.parametrize(
    "value", ["secret:", "Bearer:secret:a", "secret:../a", "secret:{input.id}", "secret:a{input.id}"]
)
def test_what_only_looks_like_a_secret_is_refused(value: str) -> None:
    with pytest.raises(BadParams, match=r"write secret:NAME or Bearer secret:NAME"):
        rendered(headers={"authorization": value})


def test_a_short_template_of_long_values_is_refused_early() -> None:
    command = command_untrusted({"service": "s", "method": "PUT", "path": "/", "json": ["{input}"] * 6000}, "s")
    with pytest.raises(TooLarge, match="with its values filled in"):
        render_command(command, values(input="x" * 60_000), "s")
    command = command_untrusted({"service": "s", "method": "PUT", "path": "/", "body": "{input}" * 9000}, "s")
    with pytest.raises(TooLarge, match=f"more than {MAX_BODY_BYTES} bytes"):
        render_command(command, values(input="x" * 60_000), "s")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_any_value_goes_into_json_as_it_is(value: object) -> None:
    command = command_untrusted({"service": "s", "method": "PUT", "path": "/", "json": {"v": "{input.v}"}}, "s")
    found = render_command(command, values(input={"v": value}), "s").body
    assert json.loads(found) == {"v": json.loads(write_json(value))}


@given(st.text() | st.integers() | st.booleans())
def test_any_value_in_a_path_is_one_segment_or_refused(value: object) -> None:
    command = command_untrusted(
        {"service": "s", "method": "PUT", "path": "/a/{input}/z", "headers": {"h": "{input}"}}, "s"
    )
    try:
        found = render_command(command, values(input=value), "s")
    except RequestError:
        return
    parts = urlsplit(f"http://h{found.path}")
    assert (parts.query, parts.fragment) == ("", "")
    assert [unquote(part) for part in parts.path.split("/")][1::2] == ["a", "z"]
    text = value if isinstance(value, str) else json.dumps(value)
    assert unquote(parts.path.split("/")[2]) == text
    assert dict(found.headers)["h"] == text.strip(" \t")


@given(
    st.dictionaries(
        st.sampled_from(sorted(COMMAND_FIELDS)),
        JSON | st.binary() | st.text(alphabet="{}/.inputkeys:=", max_size=12),
    )
)
def test_any_map_is_a_command_or_one_error_in_one_line(given: dict[str, Any]) -> None:
    try:
        render_command(command_untrusted(given, "step 'x'"), values(), "step 'x'")
    except RequestError as error:
        assert_one_line(error)
