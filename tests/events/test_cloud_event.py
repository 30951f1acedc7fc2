"""Events as values, as bytes, as JSON documents and as HTTP messages."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadParams, GossipregError, TooLarge
from gossipreg.events.binary_form import from_binary_untrusted, percent_encoded, to_binary
from gossipreg.events.cloud_event import CloudEvent, EventHead, decode_event, encode_event, event_head, make_event
from gossipreg.events.event_identity import EventIdentity, read_identity
from gossipreg.events.structured_form import from_structured_untrusted, to_structured

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
SOME_TEXT = TEXT.filter(bool)
EVENTS = st.builds(
    make_event,
    SOME_TEXT,
    SOME_TEXT,
    st.sampled_from(["order.created", "a", "ä.b"]),
    st.none() | st.binary(max_size=40) | st.just(b'{"a":1}'),
    datacontenttype=st.sampled_from(["", "application/json", "text/plain", "image/png", "application/x+json"]),
    subject=TEXT,
    time=st.sampled_from(["", "2026-05-31T12:00:00Z", "2026-05-31T12:00:00.123+02:00"]),
    extensions=st.dictionaries(st.sampled_from(["partitionkey", "traceparent", "x1"]), SOME_TEXT),
)


@pytest.mark.parametrize(
    ("name", "text"), [("id", "choose another"), ("gossipreg", "choose another"), ("Foo", "lower")]
)
def test_extension_needs_a_name_of_its_own(name: str, text: str) -> None:
    with pytest.raises(BadParams, match=text):
        make_event("a", "s", "a.b", extensions={name: "1"})


@pytest.mark.parametrize("data", [b"NaN", b"[1e999]", b"-Infinity"])
def test_what_only_python_takes_for_json_goes_as_bytes(data: bytes) -> None:
    document = to_structured(make_event("a", "s", "a.b", data, datacontenttype="application/json"))
    assert "data" not in document
    assert json.loads(json.dumps(document, allow_nan=False))["data_base64"]


@given(EVENTS)
def test_an_event_survives_its_bytes(event: CloudEvent) -> None:
    assert decode_event(encode_event(event)) == event


@given(EVENTS)
def test_an_event_survives_its_json_document(event: CloudEvent) -> None:
    text = json.dumps(to_structured(event))
    again = from_structured_untrusted(json.loads(text))
    assert replace(again, data=None) == replace(event, data=None)
    if event.is_json and again.data != event.data:
        assert event.data is not None
        assert again.data is not None
        assert json.loads(again.data) == json.loads(event.data)
    elif not event.is_json:
        assert again.data == event.data


@given(EVENTS)
def test_an_event_survives_its_http_message(event: CloudEvent) -> None:
    headers, body = to_binary(event)
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    again = from_binary_untrusted(headers, body)
    if event.data is None:
        assert again == replace(event, datacontenttype="")
    else:
        assert again == replace(event, datacontenttype=event.datacontenttype or "application/json")


@given(st.binary(max_size=60))
def test_damaged_bytes_are_no_event(data: bytes) -> None:
    try:
        event = decode_event(data)
    except ValueError:
        return
    assert decode_event(encode_event(event)) == event


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=12), inside, max_size=4),
    max_leaves=8,
)
ATTRIBUTES = st.sampled_from(
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data", "data_base64", "Bad", "x"]
)


@given(JSON | st.dictionaries(ATTRIBUTES, JSON | st.sampled_from(["1.0", "a.b", "aGk="]), max_size=8))
def test_any_document_is_an_event_or_refused_in_one_line(document: object) -> None:
    try:
        event = from_structured_untrusted(document, source="s", id="i")
    except GossipregError as error:
        assert "\n" not in str(error)  # noqa: PT017  any of them
        return
    assert decode_event(encode_event(event)) == event


@given(st.dictionaries(st.sampled_from(["ce-id", "ce-type", "ce-x", "ce-Q", "content-type"]), st.text(max_size=12)))
def test_any_headers_are_an_event_or_refused(headers: dict[str, str]) -> None:
    try:
        event = from_binary_untrusted(headers, b"x", source="s", id="i")
    except GossipregError:
        return
    assert event.source == "s"


@pytest.mark.parametrize(
    ("given_", "text"),
    [
        ({"id": ""}, "id has 0 bytes"),
        ({"id": "x" * 257}, "id has 257 bytes"),
        ({"source": ""}, "source has 0 bytes"),
        ({"type": "a..b"}, "empty token"),
        ({"type": "a.*"}, "whole type"),
        ({"time": "yesterday"}, "RFC 3339"),
        ({"time": "2026-13-01T00:00:00Z"}, "RFC 3339"),
        ({"subject": "a\nb"}, "character"),
        ({"extensions": {"UPPER": "x"}}, "lower-case"),
        ({"extensions": {"id": "x"}}, "extension 'id'"),
        ({"extensions": {f"x{number}": "" for number in range(33)}}, "33 extensions"),
    ],
)
def test_the_attribute_at_fault_is_named(given_: dict[str, object], text: str) -> None:
    with pytest.raises(BadParams, match=text):
        make_event(**{"id": "1", "source": "s", "type": "t", **given_})  # type: ignore[arg-type]


def test_an_event_that_is_too_large_says_its_size() -> None:
    with pytest.raises(TooLarge, match="at most 196608 fit"):
        make_event("1", "s", "t", b"x" * 200_000)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], "JSON object"),
        ({"specversion": "2.0"}, "specversion"),
        ({"type": 5}, "type is 5"),
        ({"type": "t", "data": 1, "data_base64": "aGk="}, "send one of them"),
        ({"type": "t", "data_base64": "?"}, "standard base64"),
        ({"type": "t", "x": {}}, "extension 'x'"),
    ],
)
def test_a_document_that_is_no_event_is_refused(document: object, text: str) -> None:
    with pytest.raises(BadParams, match=text):
        from_structured_untrusted(document, source="s", id="i")


def test_the_standards_example_of_encoded_headers() -> None:
    """HTTP protocol binding, 3.1.3.2: 'Euro € 😀' is 'Euro%20%E2%82%AC%20%F0%9F%98%80'."""
    assert percent_encoded("Euro € 😀") == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    event = from_binary_untrusted(
        {"ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-subject": "Euro%20%E2%82%AC"}, b""
    )
    assert event.subject == "Euro €"


def test_the_same_event_has_the_same_digest_and_another_has_not() -> None:
    event = make_event("1", "s", "t", b"x", extensions={"a": "1", "b": "2"})
    assert event.digest() == make_event("1", "s", "t", b"x", extensions={"b": "2", "a": "1"}).digest()
    assert event.digest() != make_event("1", "s", "t", b"y", extensions={"a": "1", "b": "2"}).digest()


def test_a_later_time_or_span_makes_no_other_event() -> None:
    event = make_event("1", "s", "t", b"x", time="2026-05-31T12:00:00Z", extensions={"traceparent": "00-a-b-01"})
    assert event.digest() == make_event("1", "s", "t", b"x", extensions={"tracestate": "v=1"}).digest()
    assert event.digest() != make_event("1", "s", "t", b"x", extensions={"correlationid": "1"}).digest()


@given(EVENTS)
def test_an_event_is_identified_by_its_bytes_as_by_its_value(event: CloudEvent) -> None:
    identity = EventIdentity(event.id, event.source, event.type, event.key, event.digest())
    assert read_identity(encode_event(event)) == identity


def test_an_event_inherits_from_the_one_that_caused_it() -> None:
    cause = make_event("7", "orders", "order.created", extensions={"traceparent": "00-a-b-01"})
    event = make_event("8", "stock", "stock.reserved").caused_by(cause)
    assert event.extensions == {"traceparent": "00-a-b-01", "correlationid": "7", "causationid": "7"}
    third = make_event("9", "mail", "mail.sent").caused_by(event)
    assert (third.extensions["correlationid"], third.extensions["causationid"]) == ("7", "8")


def test_a_topic_is_compared_with_patterns_in_place_of_the_type() -> None:
    with_topic = make_event("1", "s", "com.dapr.event.sent", extensions={"topic": "orders", "partitionkey": "k"})
    assert (with_topic.topic, make_event("1", "s", "t").topic) == ("orders", "t")
    data = encode_event(with_topic)
    assert event_head(data) == EventHead("1", "s", "orders", "k")
    assert read_identity(data)[:4] == ("1", "s", "orders", "k")
    with pytest.raises(BadParams, match=r"topic 'a\.\*' has"):
        make_event("1", "s", "t", extensions={"topic": "a.*"})
