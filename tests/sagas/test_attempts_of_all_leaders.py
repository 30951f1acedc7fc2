"""An undo that fails is stuck in the end, though no leader of its saga stays for long."""

from gossipreg.sagas.saga_tuning import SagaTuning
from tests.sagas.bench import Bench
from tests.sagas.bench_parts import Answer
from tests.sagas.test_step_trials import told


def aborted(bench: Bench) -> str:
    """A saga whose undo is answered with 503."""
    bench.participants["reserve"] = lambda attempt: Answer(503) if attempt.undoes else Answer()
    saga = bench.begin()
    bench.step(saga, "reserve")
    bench.ok("abort", saga=saga)
    return saga


def test_an_undo_is_stuck_though_each_leader_stays_for_minutes() -> None:
    bench = Bench()
    saga = aborted(bench)
    one = bench.sidecars[0]
    leaders = 1
    while not told(bench, saga)["stuck"]:
        assert leaders < 5, "each leads for four minutes, and tries it seven times at least"
        bench.run(240.0)
        bench.crash(one)
        bench.restart(one)
        bench.lead(one)
        bench.run(1.0)
        leaders += 1
    assert len(bench.sent("reserve/undo")) >= SagaTuning().stuck_attempts


def test_a_retry_by_hand_counts_anew_also_at_the_next_leader() -> None:
    bench = Bench()
    saga = aborted(bench)
    bench.run(1200.0)
    assert told(bench, saga)["stuck"]
    bench.ok("retry", saga=saga, step="reserve")
    bench.run(1.0)
    one = bench.sidecars[0]
    bench.crash(one)
    bench.restart(one)
    bench.lead(one)
    bench.run(240.0)
    assert not told(bench, saga)["stuck"]
    assert told(bench, saga)["attempts"] < 12
