"""The trace in which a saga was begun goes to all participants, whoever leads its journal, and its state with it."""

from typing import Any

import pytest
from msgpack import packb, unpackb

from gossipreg.errors import BadParams
from gossipreg.sagas import saga_tuning
from gossipreg.sagas.saga_calls import BeginAsked, read_call
from gossipreg.sagas.saga_codec import pack_begun, unpack_begun
from gossipreg.sagas.saga_model import BegunSaga, SagaKind
from gossipreg.trace_context import MAX_STATE_BYTES
from tests.sagas.bench import Bench, is_over
from tests.sagas.bench_parts import JOURNAL, Answer, Attempt, step
from tests.sagas.test_declared_sagas import THREE

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
TRACE: dict[str, Any] = {"traceparent": PARENT, "tracestate": STATE}
LONGEST = f"a={'x' * 254},b={'y' * 253}"


def traces(attempts: list[Attempt]) -> list[dict[str, str]]:
    return [{name: value for name, value in one.headers.items() if name in TRACE} for one in attempts]


def test_steps_and_what_follows_the_commit_have_both_headers() -> None:
    bench = Bench()
    saga = bench.begin("s1", **TRACE)
    bench.step(saga, "reserve")
    bench.ok("after", saga=saga, step=step("mail", undo=None))
    bench.ok("commit", saga=saga)
    bench.until(lambda: is_over(bench))
    assert bench.names == ["reserve", "mail"]
    assert traces(bench.attempts) == [TRACE] * 2


def test_an_undo_by_the_next_leader_has_both_headers() -> None:
    bench = Bench(members=2)
    saga = bench.begin("s1", **TRACE)
    bench.step(saga, "reserve")
    bench.lead(bench.sidecars[1])
    bench.ok("abort", saga=saga)
    bench.until(lambda: is_over(bench))
    assert "reserve/undo" in bench.names
    assert {one.node for one in bench.attempts} == {sidecar.node for sidecar in bench.sidecars}
    assert traces(bench.attempts) == [TRACE] * len(bench.attempts)


def test_a_declared_saga_has_both_headers_at_the_next_leader() -> None:
    bench = Bench(members=2)
    bench.participants["pay"] = lambda _: None
    bench.ok("run", definition=THREE, id="s1", **TRACE)
    bench.run(0.5)
    bench.participants.clear()
    bench.lead(bench.sidecars[1])
    bench.until(lambda: is_over(bench), 120.0)
    assert bench.story(f"{JOURNAL.hex()}.s1")["decision"] == "commit"
    assert traces(bench.attempts) == [TRACE] * len(bench.attempts)


def asked(**params: Any) -> BeginAsked:
    found = read_call("begin", packb({"name": "order", **params}), saga_tuning.default)
    assert isinstance(found, BeginAsked)
    return found


def test_a_state_of_512_bytes_is_kept_and_a_longer_one_left_out() -> None:
    assert len(LONGEST) == MAX_STATE_BYTES
    assert asked(traceparent=PARENT, tracestate=LONGEST).tracestate == LONGEST
    longer = asked(traceparent=PARENT, tracestate=f"{LONGEST}y")
    assert (longer.traceparent, longer.tracestate) == (PARENT, "")
    begun = BegunSaga("s1", "order", SagaKind.BY_CODE, b"null", 1000, b"", 0, PARENT, tracestate=LONGEST)
    assert unpack_begun("s1", unpackb(packb(pack_begun(begun)), use_list=False)) == begun


@pytest.mark.parametrize("state", ["a", "A=1", "a=1\r\nx: y", "a=é", "a=1,,=", "a" * 100_000])
def test_a_state_that_is_none_is_left_out_of_the_saga(state: str) -> None:
    bench = Bench()
    saga = bench.begin("s1", traceparent=PARENT, tracestate=state)
    bench.step(saga, "reserve")
    assert traces(bench.attempts) == [{"traceparent": PARENT}]


@pytest.mark.parametrize("trace", [{}, {"traceparent": ""}, {"traceparent": "mine"}])
def test_a_state_without_its_trace_is_left_out(trace: dict[str, str]) -> None:
    assert asked(**trace, tracestate="a=1").tracestate == ""


@pytest.mark.parametrize("state", [7, b"a=1", ["a=1"], True])
def test_a_state_that_is_no_text_begins_nothing(state: object) -> None:
    with pytest.raises(BadParams, match=r"begin: tracestate is .*: give text"):
        asked(traceparent=PARENT, tracestate=state)


def test_a_record_of_before_has_no_state() -> None:
    begun = BegunSaga("s1", "order", SagaKind.BY_CODE, b"null", 1000, b"", 0, PARENT)
    assert unpack_begun("s1", pack_begun(begun)[:8]) == begun


def test_a_step_cannot_have_a_state_of_its_own() -> None:
    bench = Bench()
    saga = bench.begin("s1")
    code, answer = bench.step(saga, "reserve", headers={"TraceState": "a=1"})
    assert code == "bad_params"
    assert "tracestate" in answer["text"].lower()


def test_a_participant_that_fails_is_told_the_trace_again() -> None:
    bench = Bench()
    answers = iter([Answer(503), Answer(200)])
    bench.participants["reserve"] = lambda _: next(answers)
    saga = bench.begin("s1", **TRACE)
    bench.step(saga, "reserve", service="reserve")
    assert traces(bench.attempts) == [TRACE] * 2
