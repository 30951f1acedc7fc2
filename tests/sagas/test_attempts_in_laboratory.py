"""What the laboratory of sagas found in the engine, each as its smallest history."""

from tests.sagas.bench import Bench
from tests.sagas.bench_parts import Answer, step


def test_no_timer_stays_for_a_proof_that_nobody_wants() -> None:
    """Found by the laboratory, seed 35: a step's time was over while its repeat waited for a proof, and no entry could
    be committed; the timer of the proof fired again and again, without end."""
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "first")
    bench.proofs = 0
    bench.auto = bench.proves = False
    bench.participants["reserve"] = lambda _: Answer(503)
    bench.call("step", saga=saga, step=step("reserve", timeout_ms=1000, attempt_timeout_ms=500))
    bench.run(0.1)
    bench.commit()
    bench.run(1.1)
    assert len(bench.sent("reserve")) == 1
    assert bench.proofs == 1
    assert bench.sidecars[0].sagas.next_deadline() > bench.now + 1.0


def late_answer(answer: Answer) -> Bench:
    """The attempt is answered while the abort is on its way into the journal."""
    bench = Bench()
    saga = bench.begin()
    bench.participants["reserve"] = lambda attempt: Answer() if attempt.undoes else None
    undo = {"method": "DELETE", "path": "/reservations/{result.reserve.id}"}
    bench.call("step", saga=saga, step=step("reserve", unknown="repeat", undo=undo))
    bench.run(0.1)
    bench.auto = False
    bench.call("abort", saga=saga)
    bench.run(0.1)
    bench.answer(bench.attempts[0], answer)
    bench.commit()
    bench.run(0.1)
    bench.auto = True
    bench.commit()
    bench.run(5.0)
    return bench


def test_a_command_is_not_repeated_for_an_answer_that_is_on_its_way() -> None:
    """Found by the laboratory, seed 3."""
    bench = late_answer(Answer(201, b'{"id": 7}'))
    assert bench.names == ["reserve", "reserve/undo"]
    assert bench.attempts[1].path == "/reservations/7"


def test_a_command_whose_refusal_is_on_its_way_is_not_repeated() -> None:
    """Found by the laboratory, seed 52244: the repeat could have done what counts as refused, and is never undone."""
    assert late_answer(Answer(422)).names == ["reserve"]


def test_a_retry_by_hand_does_not_overtake_an_answer_that_is_on_its_way() -> None:
    """The retry was asked for before the answer came, so it is committed before it."""
    bench = Bench()
    saga = bench.begin()
    bench.participants["reserve"] = lambda attempt: Answer() if attempt.undoes else None
    undo = {"method": "DELETE", "path": "/reservations/{result.reserve.id}"}
    bench.call("step", saga=saga, step=step("reserve", unknown="repeat", undo=undo))
    bench.run(0.1)
    assert bench.ok("abort", saga=saga) == {"state": "aborted"}
    bench.auto = False
    bench.call("retry", saga=saga, who="ann", why="")
    bench.run(0.1)
    bench.answer(bench.attempts[0], Answer(422))
    bench.commit()
    bench.run(0.1)
    assert bench.names == ["reserve"]
    bench.auto = True
    bench.commit()
    bench.run(5.0)
    assert bench.names == ["reserve"]


def test_a_repeat_after_the_abort_needs_a_proof_of_its_own() -> None:
    """Found by the laboratory, seeds 4022 and 4032: the attempt was over between the proposal of the abort and its
    commitment; the repeat was sent with that proposal as its proof, though it was due later."""
    bench = Bench()
    saga = bench.begin()
    bench.participants["reserve"] = lambda _: None
    undo = {"method": "DELETE", "path": "/reservations/{result.reserve.id}"}
    bench.call("step", saga=saga, step=step("reserve", unknown="repeat", undo=undo))
    bench.run(0.1)
    bench.proofs = 0
    bench.auto = bench.proves = False
    bench.call("abort", saga=saga)
    bench.run(0.1)
    bench.answer(bench.attempts[0], Answer(503))
    bench.run(0.1)
    bench.commit()
    bench.run(0.5)
    assert (bench.names, bench.proofs) == (["reserve"], 1)
    bench.proves = True
    bench.run(1.5)
    assert bench.names == ["reserve", "reserve"]
