"""The word that nobody waits for a beginning any more crosses its answer on the way."""

from typing import Any

import pytest

from gossipreg.sagas import saga_replies
from gossipreg.sagas.saga_messages import CallAbandoned
from gossipreg.sagas.saga_model import SagaRef
from tests.sagas.bench import Bench
from tests.sagas.bench_parts import JOURNAL, NETWORK_S, SagaSidecar, Ticket
from tests.sagas.test_declared_sagas import THREE

ORDER: dict[str, Any] = {"name": "create-order", "id": "s1"}
SAGA = f"{JOURNAL.hex()}.s1"


def running(bench: Bench) -> int:
    return bench.sidecars[0].sagas.led[JOURNAL].running


def crossing(bench: Bench, other: SagaSidecar) -> Ticket:
    """A beginning whose answer is on its way when its time is over."""
    ticket = bench.call("begin", other, **ORDER)
    bench.run(2.5 * NETWORK_S)
    assert (running(bench), ticket in bench.answers) == (1, False)
    bench.act(other, other.sagas.abandon(ticket[1], bench.now))
    bench.run(2 * NETWORK_S)
    assert ticket not in bench.answers
    return ticket


def test_a_beginning_whose_answer_came_too_late_is_forgotten() -> None:
    """No program takes its steps. It kept its id and its place until its time was over, which may be a month."""
    bench = Bench(members=2)
    other = bench.sidecars[1]
    crossing(bench, other)
    assert running(bench) == 0
    code, answer = bench.ask("begin", other, **ORDER)
    assert (code, answer["state"]) == ("", "running")


def test_a_saga_that_its_program_knows_is_not_forgotten() -> None:
    """The word is about another call: that one was refused, since the saga exists."""
    bench = Bench(members=2)
    other = bench.sidecars[1]
    bench.begin("s1", other)
    ticket = bench.call("begin", other, **ORDER)
    bench.run(2.5 * NETWORK_S)
    bench.act(other, other.sagas.abandon(ticket[1], bench.now))
    bench.run(2 * NETWORK_S)
    assert running(bench) == 1


@pytest.mark.parametrize("at", [1, 2])
def test_a_saga_that_another_program_took_over_is_not_forgotten(at: int) -> None:
    """A connection of the program broke, and it came back over another one, or another sidecar, before the answer."""
    bench = Bench(members=3)
    other, second = bench.sidecars[1], bench.sidecars[at]
    ticket = bench.call("begin", other, **ORDER)
    bench.run(2.5 * NETWORK_S)
    assert bench.ask("show", second, saga=SAGA)[1]["state"] == "running"
    bench.act(second, second.sagas.program_here([SagaRef(JOURNAL, "s1")], bench.now))
    bench.run(2.5 * NETWORK_S)
    word = CallAbandoned(journal=JOURNAL, number=ticket[1])
    leader = bench.sidecars[0]
    bench.act(leader, leader.sagas.received(other.node, word, bench.now, other.boot))
    assert running(bench) == 1
    assert bench.step(SAGA, "pay", second)[1]["state"] == "done"
    assert bench.ok("commit", second, saga=SAGA) == {"state": "committed"}


def test_a_saga_that_was_taken_over_is_undone_when_no_program_is_left() -> None:
    bench = Bench(members=3)
    _, other, second = bench.sidecars
    bench.begin("s1", other)
    bench.step(SAGA, "reserve", other)
    bench.step(SAGA, "pay", second)
    bench.lose_program(SAGA, other)
    bench.run(bench.tuning.lost_s + 5.0)
    assert running(bench) == 1, "the second program has it"
    bench.act(second, second.sagas.program_here([SagaRef(JOURNAL, "s1")], bench.now))
    bench.lose_program(SAGA, second)
    bench.until(lambda: not bench.truth.open)
    assert bench.story(SAGA)["decision"] == "abort"


@pytest.mark.parametrize("method", ["begin", "run"])
@pytest.mark.parametrize("at", [1, 2])
def test_the_second_begin_is_the_first_where_that_one_was_forgotten(at: int, method: str) -> None:
    """It was told that the saga runs, by a leader that had just forgotten it."""
    bench = Bench(members=3)
    bench.proves = False
    other, second = bench.sidecars[1], bench.sidecars[at]
    first = bench.call("begin", other, **ORDER)
    bench.run(0.1)
    asked = ORDER if method == "begin" else {"definition": THREE, "id": "s1"}
    again = bench.call(method, second, JOURNAL, **asked)
    bench.run(0.1)
    bench.act(other, other.sagas.abandon(first[1], bench.now))
    bench.run(0.1)
    bench.proves = True
    bench.until(lambda: again in bench.answers)
    code, answer = bench.answers[again]
    assert (code, answer["state"]) == ("", "running")
    assert running(bench) == 1


def test_a_second_begin_that_is_told_of_the_first_does_not_hold_it() -> None:
    """It never runs the body, so nothing depends on whether its connection lasts."""
    bench = Bench(members=3)
    _, other, second = bench.sidecars
    bench.begin("s1", other)
    code, answer = bench.ask("begin", second, **ORDER)
    assert (code, answer["state"]) == ("exists", "running")
    bench.lose_program(SAGA, second)
    bench.run(bench.tuning.lost_s + 1.0)
    assert running(bench) == 1
    bench.lose_program(SAGA, other)
    bench.run(bench.tuning.lost_s + 1.0)
    assert running(bench) == 0, "its program is gone; the second never was one"


def test_few_beginnings_are_remembered_for_a_word_that_comes_late() -> None:
    bench = Bench()
    for number in range(200):
        saga = bench.begin(f"s{number}")
        bench.ok("abort", saga=saga)
    assert len(bench.sidecars[0].sagas.led[JOURNAL]._replies._beginnings) <= saga_replies.SPARE_BEGINNINGS
