"""The spans of a saga are one trace, whoever leads its journal, and say nothing of what is in it."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.sagas.saga_spans import SagaSpans
from gossipreg.journal.model import JournalId
from gossipreg.sagas.saga_effects import CommandDone, SendCommand, TellSagaOver
from gossipreg.sagas.saga_model import BegunSaga, Decision, SagaCommand, SagaKind, SagaRef
from gossipreg.tracing import NO_TRACER, FinishedSpan, Sampler, SpanKind, Tracer

TRACE, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{PARENT_ID}-01"
UNWANTED = f"{PARENT[:-1]}0"
SAGA = SagaRef(JournalId(b"j" * 16), "order-7")
COMMAND = SagaCommand("Stock", "put", "/secret", (("authorization", "secret"),), b"secret")


def recorded(seed: int = 7, share: float = 1.0) -> tuple[SagaSpans, list[FinishedSpan]]:
    """Of one sidecar."""
    seen: list[FinishedSpan] = []
    return SagaSpans(Tracer(Sampler(share), Random(seed), seen.append)), seen


def sent(traceparent: str = PARENT, work: str = "step", attempt: int = 1, state: str = "") -> SendCommand:
    named = ("traceparent", traceparent), ("tracestate", state)
    trace = tuple(header for header in named if header[1])
    headers = (("idempotency-key", "k"), *trace, ("gossipreg-attempt", str(attempt)))
    return SendCommand(1, COMMAND, headers, 1.0, (), SAGA, "reserve", work)


def done(*, sent: bool = True, status: int = 200) -> CommandDone:
    return CommandDone(1, sent, status, b"secret", False, "", 0.0, "10.0.0.7:80" if sent else "", "secret")


def over(traceparent: str = PARENT, decision: Decision = Decision.COMMIT, state: str = "") -> TellSagaOver:
    begun = BegunSaga(
        SAGA.id, "create-order", SagaKind.DECLARED, b'"secret"', 1000, b"", 5000, traceparent, tracestate=state
    )  # fmt: skip
    return TellSagaOver(SAGA, begun, decision, 6000, 7500, 2)


def test_the_saga_is_the_parent_of_its_attempts() -> None:
    spans, seen = recorded()
    span, headers = spans.attempt(sent())
    spans.answered(span, done())
    spans.over(over())
    attempt, saga = seen
    assert (saga.context.trace_id, saga.parent_id) == (TRACE, PARENT_ID)
    assert (attempt.context.trace_id, attempt.parent_id) == (TRACE, saga.context.span_id)
    assert headers == (
        ("idempotency-key", "k"), ("gossipreg-attempt", "1"), ("traceparent", attempt.context.parent)
    )  # fmt: skip
    assert (saga.name, saga.began_ns, saga.ended_ns) == ("saga create-order", 5 * 10**9, 75 * 10**8)
    assert (attempt.name, attempt.kind) == ("step reserve", SpanKind.CLIENT)
    assert attempt.attributes == {
        "http.request.method": "PUT", "service.peer.name": "stock", "gossipreg.saga.id": str(SAGA),
        "gossipreg.saga.step": "reserve", "gossipreg.saga.undo": False, "gossipreg.saga.attempt": 1,
        "server.address": "10.0.0.7", "server.port": 80, "http.response.status_code": 200,
    }  # fmt: skip
    assert "secret" not in str(seen)


@given(st.sampled_from(["", PARENT, UNWANTED]), st.integers(0, 99), st.integers(100, 199), st.floats(0, 1))
def test_every_leader_finds_the_same_trace(traceparent: str, first: int, second: int, share: float) -> None:
    """Of a saga without a trace too: a share of these sagas is recorded, by all leaders or by none."""
    contexts = []
    for seed in (first, second):
        spans, seen = recorded(seed, share)
        spans.over(over(traceparent))
        span, headers = spans.attempt(sent(traceparent))
        spans.answered(span, done())
        whole = [one for one in seen if one.name.startswith("saga")]
        attempts = [one for one in seen if one.name.startswith("step")]
        assert len(whole) == len(attempts)
        assert {one.parent_id for one in attempts} <= {one.context.span_id for one in whole}
        told = dict(headers)["traceparent"]
        assert told.endswith("-01" if whole else "-00")
        contexts.append((told.split("-")[1], [one.context for one in whole]))
    assert contexts[0] == contexts[1]


@pytest.mark.parametrize(
    ("what", "error"),
    [(done(status=503), "503"), (done(status=0), "no_answer"), (done(sent=False, status=0), "not_sent")],
)
def test_an_attempt_that_failed_says_how(what: CommandDone, error: str) -> None:
    spans, seen = recorded()
    span, _ = spans.attempt(sent(work="undo", attempt=3))
    spans.answered(span, what)
    [attempt] = seen
    assert (attempt.name, attempt.failed, attempt.attributes["error.type"]) == ("undo reserve", True, error)
    assert (attempt.attributes["gossipreg.saga.undo"], attempt.attributes["gossipreg.saga.attempt"]) == (True, 3)


def test_an_aborted_saga_is_a_span_that_failed() -> None:
    spans, seen = recorded()
    spans.over(over(decision=Decision.ABORT))
    assert (seen[0].failed, seen[0].attributes["error.type"]) == (True, "aborted")


def test_clocks_that_differ_make_no_negative_span() -> None:
    spans, seen = recorded()
    spans.over(TellSagaOver(SAGA, over().begun, Decision.COMMIT, 4000, 4000, 1))
    assert (seen[0].began_ns, seen[0].ended_ns) == (5 * 10**9, 5 * 10**9)
    assert seen[0].attributes["gossipreg.saga.decided_ms"] == 0


@pytest.mark.parametrize("method", ["begin", "run"])
def test_a_beginning_is_a_span_and_hands_itself_on(method: str) -> None:
    spans, seen = recorded()
    params: dict[str, Any] = {"name": "secret", "input": b"secret", "traceparent": PARENT}
    with spans.begin(method, params):
        pass
    [begun] = seen
    assert (begun.name, begun.parent_id) == (f"{method} saga", PARENT_ID)
    assert params["traceparent"] == begun.context.parent
    assert "secret" not in str(seen)


def test_the_state_of_the_trace_goes_through_all_spans() -> None:
    spans, seen = recorded()
    params: dict[str, Any] = {"traceparent": PARENT, "tracestate": "a=1"}
    spans.begin("begin", params).end()
    assert params == {"traceparent": seen[0].context.parent, "tracestate": "a=1"}
    for work in ("step", "undo", "after"):
        span, headers = spans.attempt(sent(work=work, state="a=1"))
        assert headers[2:] == (("traceparent", dict(headers)["traceparent"]), ("tracestate", "a=1"))
        spans.answered(span, done())
    spans.over(over(state="a=1"))
    assert [one.context.state for one in seen] == ["a=1"] * 5


def test_a_state_without_a_trace_is_of_none() -> None:
    spans, seen = recorded()
    params: dict[str, Any] = {"tracestate": "a=1"}
    spans.begin("run", params).end()
    assert params == {"traceparent": seen[0].context.parent}
    given: dict[str, Any] = {"traceparent": PARENT, "tracestate": 7}
    spans.begin("run", given).end()
    assert given == {"traceparent": PARENT, "tracestate": 7}, "whoever reads it refuses it"


@pytest.mark.parametrize("given_", ["mine", 7, b"x"])
def test_a_traceparent_of_another_form_goes_on_as_it_came(given_: object) -> None:
    spans, seen = recorded()
    params = {"traceparent": given_}
    spans.begin("begin", params).end()
    assert params == {"traceparent": given_}
    if isinstance(given_, str):
        span, headers = spans.attempt(sent(given_))
        spans.answered(span, done())
        spans.over(over(given_))
        assert dict(headers)["traceparent"] == given_
    assert seen == []


def test_other_calls_and_other_sidecars_make_no_spans() -> None:
    spans, seen = recorded()
    params: dict[str, Any] = {"saga": "a"}
    spans.begin("step", params).end()
    assert (params, seen) == ({"saga": "a"}, [])
    plain = SagaSpans(NO_TRACER)
    params = {"name": "a"}
    plain.begin("begin", params).end()
    plain.over(over())
    assert (params, plain.attempt(sent())[1]) == ({"name": "a"}, sent().headers)
