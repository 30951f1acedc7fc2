"""What the laboratory of sagas found in the engine, each as its smallest history."""

from tests.sagas.bench import Bench
from tests.sagas.bench_parts import Answer, step


def test_no_timer_stays_for_a_proof_that_nobody_wants() -> None:
    """Found by the laboratory, seed 35: a step's time was over while its repeat waited for a proof, and no entry could
    be committed; the timer of the proof fired again and again, without end."""
    bench = Bench()
    saga = bench.begin()
    bench.step(saga, "first")
    bench.auto = bench.proves = False
    bench.participants["reserve"] = lambda _: Answer(503)
    bench.call("step", saga=saga, step=step("reserve", timeout_ms=1000, attempt_timeout_ms=500))
    bench.run(0.1)
    bench.commit()
    bench.run(1.1)
    assert len(bench.sent("reserve")) == 1
    assert bench.proofs == 1
    assert bench.sidecars[0].sagas.next_deadline() > bench.now + 1.0


def test_an_undo_waits_while_its_command_is_repeated() -> None:
    """Found by the laboratory, seed 3: the answer came after the abort, and was on its way into the journal, when the
    command was repeated for it; the undo was sent beside that repeat."""
    bench = Bench()
    saga = bench.begin()
    bench.participants["reserve"] = lambda attempt: Answer() if attempt.undoes else None
    undo = {"method": "DELETE", "path": "/reservations/{result.reserve.id}"}
    bench.call("step", saga=saga, step=step("reserve", unknown="repeat", undo=undo))
    bench.run(0.1)
    assert bench.ok("abort", saga=saga) == {"state": "aborted"}
    bench.answer(bench.attempts[0], Answer(201, b'{"id": 7}'))
    bench.run(0.1)
    assert bench.names == ["reserve", "reserve"]
    bench.answer(bench.attempts[1], Answer(201, b'{"id": 7}'))
    bench.run(0.1)
    assert bench.names == ["reserve", "reserve", "reserve/undo"]
    assert bench.attempts[2].path == "/reservations/7"


def test_a_repeat_after_the_abort_needs_a_proof_of_its_own() -> None:
    """Found by the laboratory, seeds 4022 and 4032: the attempt was over between the proposal of the abort and its
    commitment; the repeat was sent with that proposal as its proof, though it was due later."""
    bench = Bench()
    saga = bench.begin()
    bench.participants["reserve"] = lambda _: None
    undo = {"method": "DELETE", "path": "/reservations/{result.reserve.id}"}
    bench.call("step", saga=saga, step=step("reserve", unknown="repeat", undo=undo))
    bench.run(0.1)
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
