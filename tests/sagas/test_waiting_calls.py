"""Calls that wait at the leader: how many, of how many bytes, and what the one behind the last is told."""

from typing import Any

import pytest

from gossipreg.sagas import waiting_calls
from gossipreg.sagas.saga_model import MAX_BODY_BYTES
from gossipreg.sagas.waiting_calls import MAX_WAITING_CALLS_BYTES
from tests.sagas.bench import Bench
from tests.sagas.bench_parts import Ticket, step
from tests.sagas.test_declared_sagas import THREE

LARGE: dict[str, Any] = {
    "body": b"b" * MAX_BODY_BYTES,
    "undo": {"method": "DELETE", "path": "/r", "body": b"u" * MAX_BODY_BYTES},
}


FIT = MAX_WAITING_CALLS_BYTES // (2 * MAX_BODY_BYTES + 400)
"""So many of these steps have room."""


def large_steps(bench: Bench, saga: str, count: int) -> list[Ticket]:
    """The same step again and again, of programs at two members."""
    tickets = [
        bench.call("step", bench.sidecars[1 + place % 2], saga=saga, step=step("reserve", **LARGE))
        for place in range(count)
    ]
    bench.run(1.0)
    return tickets


def test_calls_that_wait_take_bounded_memory() -> None:
    bench = Bench(members=3)
    saga = bench.begin()
    bench.auto = False
    first = large_steps(bench, saga, FIT)
    assert bench.answers.keys().isdisjoint(first)
    code, answer = bench.answers[large_steps(bench, saga, 4)[-1]]
    assert code == "busy"
    assert "wait at the leader" in answer["text"]
    assert str(MAX_WAITING_CALLS_BYTES) in answer["text"]
    bench.auto = True
    bench.commit()
    bench.run(1.0)
    assert {bench.answers[ticket][0] for ticket in first} == {""}
    assert bench.step(saga, "reserve", **LARGE)[1]["state"] == "done", "there is room again"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(waiting_calls, "MAX_WAITING_CALLS", 3)
    return 3


CALLS: dict[str, dict[str, Any]] = {
    "step": {"step": step("reserve")}, "after": {"step": step("mail", undo=None)}, "commit": {}, "abort": {},
    "wait": {}, "skip": {},
}  # fmt: skip


@pytest.mark.parametrize("method", CALLS)
def test_a_call_beyond_the_bound_is_busy_and_has_no_effect(few: int, method: str) -> None:
    bench = Bench()
    bench.auto = False
    saga = bench.begin()
    for _ in range(few):
        bench.call("step", saga=saga, step=step("pay"))
    code, answer = bench.answers[bench.call(method, saga=saga, **CALLS[method])]
    assert code == "busy"
    assert f"{few} calls with" in answer["text"]
    bench.auto = True
    bench.commit()
    bench.run(1.0)
    assert bench.story(saga)["decision"] is None
    assert [one["name"] for one in bench.story(saga)["steps"]] == ["pay"]


def test_a_declared_saga_beyond_the_bound_does_not_begin(few: int) -> None:
    bench = Bench()
    bench.auto = False
    saga = bench.begin()
    for _ in range(few):
        bench.call("step", saga=saga, step=step("pay"))
    code, _ = bench.answers[bench.call("run", definition=THREE, id="s2")]
    assert code == "busy"
    assert bench.ask("show", saga=saga.replace("s1", "s2"))[0] == "not_found"


def test_a_call_that_is_sent_again_takes_the_room_of_its_first() -> None:
    bench = Bench(members=3)
    saga = bench.begin()
    bench.auto = False
    calls = large_steps(bench, saga, FIT)
    for _ in range(3):
        bench.break_stream(bench.sidecars[1], bench.sidecars[0])
        bench.run(2.0)
    bench.auto = True
    bench.commit()
    bench.run(5.0)
    assert {bench.answers[ticket][0] for ticket in calls} == {""}
