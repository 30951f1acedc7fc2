"""The word that nobody waits for a beginning any more crosses its answer on the way."""

from typing import Any

from gossipreg.sagas import saga_replies
from tests.sagas.bench import Bench
from tests.sagas.bench_parts import JOURNAL, NETWORK_S, SagaSidecar, Ticket

ORDER: dict[str, Any] = {"name": "create-order", "id": "s1"}


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


def test_few_beginnings_are_remembered_for_a_word_that_comes_late() -> None:
    bench = Bench()
    for number in range(200):
        saga = bench.begin(f"s{number}")
        bench.ok("abort", saga=saga)
    assert len(bench.sidecars[0].sagas.led[JOURNAL]._replies._beginnings) <= saga_replies.SPARE_BEGINNINGS
