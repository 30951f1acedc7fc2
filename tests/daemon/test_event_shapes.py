"""Events as clients that speak JSON get them: whatever a publisher sent, it arrives, and nothing of it is changed."""

import json
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.events.event_shapes import event_shape
from gossipreg.daemon.json_form import JSON_FORM
from gossipreg.events.cloud_event import make_event

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def as_line(data: bytes) -> Any:
    """The event with this data, as a client reads it."""
    event = make_event("i", "s", "order.created", data, datacontenttype="application/json")
    return json.loads(JSON_FORM.body(event_shape(event, as_json=True)))


@pytest.mark.parametrize(
    "data",
    [b"18446744073709551616", b"9007199254740993", b"[1e999]", b'{"\\ud800":1}', b'["\\udfff"]', b"NaN",
     b"[" * 101 + b"]" * 101, b"[" * 600 + b"]" * 600, b"[" * 5000 + b"]" * 5000],
    ids=["2**64", "2**53+1", "infinite", "key", "surrogate", "nan", "101", "600", "5000"],
)  # fmt: skip
def test_json_that_a_line_would_change_goes_out_as_bytes(data: bytes) -> None:
    line = as_line(data)
    assert "data" not in line
    assert b64decode(line["data_base64"]) == data


@pytest.mark.parametrize("data", [b"9007199254740991", b"[" * 100 + b"]" * 100, b"null", b'{"a":[0.1,true,"x"]}'])
def test_other_json_goes_out_as_it_is(data: bytes) -> None:
    assert as_line(data)["data"] == json.loads(data)


@given(VALUES)
def test_no_json_is_changed_on_its_way_to_a_client(value: Any) -> None:
    data = json.dumps(value).encode()
    line = as_line(data)
    arrived = b64decode(line["data_base64"]) if "data_base64" in line else json.dumps(line["data"]).encode()
    assert arrived == data
