"""A request that a program makes while it handles an event, or within a span, has that trace; each attempt of it."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from gossipreg.client.events.inheriting import HANDLED
from tests.client.adapters.servers import HttpInstance

URL = "http://billing.service"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def handled() -> Any:
    token = HANDLED.set(SimpleNamespace(id="e1", extensions={}, traceparent=PARENT, tracestate="a=1"))
    yield
    HANDLED.reset(token)


def test_a_request_of_a_handler_has_the_trace_of_its_event(handled: None, program: Any) -> None:
    del handled
    got = json.loads(program("GET", f"{URL}/port").body)
    got = {name.lower(): value for name, value in got.items()}
    assert (got["traceparent"], got["tracestate"]) == (PARENT, "a=1")


def test_each_attempt_has_the_trace(handled: None, program: Any, instances: list[HttpInstance]) -> None:
    del handled
    assert program("GET", f"{URL}/503").status == 503
    seen = [headers for one in instances for _, path, headers, _ in one.seen if path == "/503"]
    assert len(seen) >= 2
    lower = [{name.lower(): value for name, value in headers.items()} for headers in seen]
    assert {headers["traceparent"] for headers in lower} == {PARENT}, "a second one would be behind a comma"


def test_a_trace_that_the_program_names_stays(handled: None, program: Any) -> None:
    del handled
    got = json.loads(program("GET", f"{URL}/port", Traceparent="mine").body)
    assert {name.lower(): value for name, value in got.items()}["traceparent"] == "mine"


def test_a_request_outside_of_a_trace_has_none(program: Any) -> None:
    got = json.loads(program("GET", f"{URL}/port").body)
    assert "traceparent" not in {name.lower() for name in got}
