"""What a program does within a span of OpenTelemetry, or while it handles an event, is a part of that trace."""

import json
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gossipreg.client.current_trace import current_trace, trace_headers
from gossipreg.client.events.inheriting import HANDLED, inherited_trace, with_inherited
from gossipreg.client.sagas.program_saga import ProgramSaga
from gossipreg.client.sagas.running import run_call
from gossipreg.errors import BadParams

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = ("traceparent", "tracestate")
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
trace = pytest.importorskip("opentelemetry.trace")
sdk = pytest.importorskip("opentelemetry.sdk.trace")


@pytest.fixture
def in_span() -> Any:
    """Runs a function within a span; returns that span's traceparent and the result."""
    tracer = sdk.TracerProvider().get_tracer("test")

    def run(call: Callable[[], Any]) -> tuple[str, Any]:
        with tracer.start_as_current_span("outer") as span:
            context = span.get_span_context()
            return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}", call()

    return run


@pytest.fixture
def handled() -> Any:
    """An event that is handled meanwhile."""
    token = HANDLED.set(SimpleNamespace(id="e1", extensions={}, traceparent=PARENT, tracestate="a=1"))
    yield
    HANDLED.reset(token)


def test_a_publish_within_a_span_is_a_child_of_it(in_span: Any) -> None:
    parent, extensions = in_span(lambda: with_inherited({"own": "1"}))
    assert extensions == {"traceparent": parent, "own": "1"}
    _, extensions = in_span(lambda: with_inherited({"traceparent": PARENT}))
    assert extensions == {"traceparent": PARENT}, "what the program names goes first"


def test_the_span_of_a_handler_goes_before_its_event(in_span: Any, handled: None) -> None:
    del handled
    parent, extensions = in_span(lambda: with_inherited(None))
    assert extensions == {"traceparent": parent, "correlationid": "e1", "causationid": "e1"}
    assert with_inherited(None)["traceparent"] == PARENT
    assert with_inherited(None)["tracestate"] == "a=1"
    assert with_inherited({"traceparent": "mine"}).get("tracestate") is None, "it belongs to another trace"


def test_sagas_that_are_begun_within_a_span_are_children_of_it(in_span: Any) -> None:
    def begun() -> tuple[object, object]:
        saga = ProgramSaga("order", id=None, input=None, timeout=60, strict=False, traceparent=None)
        return saga._params["traceparent"], run_call({}, None, None, None, 1.0).params["traceparent"]

    parent, found = in_span(begun)
    assert found == (parent, parent)
    assert "traceparent" not in run_call({}, None, None, None, 1.0).params
    assert run_call({}, None, None, PARENT, 1.0).params["traceparent"] == PARENT


def test_a_handler_begins_sagas_in_the_trace_of_its_event(handled: None) -> None:
    del handled
    both = {"traceparent": PARENT, "tracestate": "a=1"}
    assert inherited_trace() == both
    assert begun() == [both, both]
    assert begun(traceparent="mine") == [{"traceparent": "mine"}] * 2, "its state belongs to another trace"
    assert begun(traceparent="mine", tracestate="b=2") == [{"traceparent": "mine", "tracestate": "b=2"}] * 2
    with pytest.raises(BadParams, match="tracestate 7 is no text"):
        begun(traceparent="mine", tracestate=7)


def begun(traceparent: str | None = None, tracestate: Any = None) -> list[dict[str, str]]:
    """The traces of a saga by code and of a declared one."""
    saga = ProgramSaga(
        "order", id=None, input=None, timeout=60, strict=False, traceparent=traceparent, tracestate=tracestate
    )  # fmt: skip
    run = run_call({}, None, None, traceparent, 1.0, tracestate)
    return [{name: params[name] for name in HEADERS if name in params} for params in (saga._params, run.params)]


def test_a_request_has_one_trace(in_span: Any, handled: None) -> None:
    del handled
    assert trace_headers({}) == {"traceparent": PARENT, "tracestate": "a=1"}
    parent, found = in_span(lambda: trace_headers({}))
    assert found == {"traceparent": parent}
    assert trace_headers({"traceparent": "mine"}) == {}


def test_a_broken_opentelemetry_costs_the_trace_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", SimpleNamespace(get_current_span=lambda: None))
    assert current_trace() == {}


def test_a_program_without_opentelemetry_does_not_load_it() -> None:
    program = """if True:
        import json, sys
        from gossipreg.client.current_trace import trace_headers
        headers = trace_headers({})
        print(json.dumps([headers, [name for name in sys.modules if "opentelemetry" in name or ".events" in name]]))
    """
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert json.loads(said.stdout) == [{}, []], said.stderr
