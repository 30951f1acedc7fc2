"""A request over HTTP hands its trace to what it publishes or begins."""

from typing import Any

import pytest

from gossipreg.daemon.request_trace import with_trace
from gossipreg.net.http_message import Head

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def head(parent: str = PARENT, state: str = "a=1") -> Head:
    headers = {b"traceparent": [parent.encode("latin-1")], b"tracestate": [state.encode()]}
    return Head("POST", b"/rpc/publish", b"1.1", headers)


def test_an_event_gets_the_trace_of_its_request() -> None:
    given = {"type": "a.b", "extensions": {"own": "1"}}
    found = with_trace("publish", given, head())
    assert found == {"type": "a.b", "extensions": {"traceparent": PARENT, "tracestate": "a=1", "own": "1"}}
    assert given == {"type": "a.b", "extensions": {"own": "1"}}, "what came is left as it was"
    assert with_trace("publish", {"type": "a.b"}, head(state=""))["extensions"] == {"traceparent": PARENT}


@pytest.mark.parametrize("method", ["saga-begin", "saga-run"])
def test_a_saga_gets_the_trace_of_its_request(method: str) -> None:
    both = {"traceparent": PARENT, "tracestate": "a=1"}
    assert with_trace(method, {"name": "a"}, head()) == {"name": "a", **both}
    assert with_trace(method, {"name": "a"}, head(state="")) == {"name": "a", "traceparent": PARENT}
    assert with_trace(method, {"tracestate": "b=2"}, head()) == both, "it belongs to no trace"
    for given in ({"traceparent": "mine"}, {"traceparent": PARENT, "tracestate": "b=2"}):
        assert with_trace(method, given, head()) == given


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("publish", {"extensions": {"traceparent": "mine"}}), ("publish", {"extensions": 7}), ("lookup", {"name": "a"}),
        ("saga-step", {"saga": "a"}),
    ],
)  # fmt: skip
def test_what_names_a_trace_or_takes_none_stays(method: str, params: dict[str, Any]) -> None:
    assert with_trace(method, params, head()) is params or with_trace(method, params, head()) == params


@pytest.mark.parametrize("parent", ["", "x", "00-\xe9", PARENT + ", " + PARENT])
def test_a_header_that_is_no_traceparent_changes_nothing(parent: str) -> None:
    assert with_trace("publish", {"type": "a.b"}, head(parent)) == {"type": "a.b"}
