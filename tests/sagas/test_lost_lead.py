"""What waits at a leader that is replaced: whoever asked learns whether it may have been carried out."""

import pytest

from gossipreg.journal.effects import RecordsFound
from gossipreg.sagas.saga_effects import ReadEndedSagas, SagaEffect
from tests.sagas.bench import Bench
from tests.sagas.bench_parts import Answer, SagaSidecar, Ticket, step
from tests.sagas.test_declared_sagas import THREE


def lost_lead(bench: Bench) -> None:
    """Nobody leads any more; what was proposed may be committed all the same."""
    leader = bench.leader
    assert leader is not None
    bench.leader = None
    bench.depose(leader)


def asked(bench: Bench, what: str) -> Ticket:
    """Ask this at another member than the leader; its entry is not committed."""
    other = bench.sidecars[1]
    if what == "run":
        bench.auto = False
        return bench.call("run", other, definition=THREE, id="s1")
    saga = bench.begin("s1", other)
    bench.step(saga, "reserve", other)
    bench.auto = False
    match what:
        case "step" | "after":
            fields = {"undo": None} if what == "after" else {}
            return bench.call(what, other, saga=saga, step=step("pay", **fields))
        case "abort":
            return bench.call("abort", other, saga=saga, reason="no")
    return bench.call(what, other, saga=saga)


@pytest.mark.parametrize("what", ["run", "step", "after", "commit", "abort"])
def test_what_a_lost_leader_proposed_has_an_unknown_outcome(what: str) -> None:
    bench = Bench(members=2)
    ticket = asked(bench, what)
    bench.run(0.1)
    lost_lead(bench)
    bench.run(60.0)
    assert bench.answers[ticket][0] == "outcome_unknown"


def test_what_a_lost_leader_did_not_begin_is_unavailable() -> None:
    bench = Bench(members=2)
    bench.participants["pay"] = lambda _: Answer(503)
    ticket = asked(bench, "wait")
    bench.run(0.1)
    lost_lead(bench)
    bench.run(100.0)
    assert bench.answers[ticket][0] == "unavailable"


def test_a_decision_by_hand_of_a_lost_leader_is_not_sent_twice() -> None:
    bench = Bench(members=2)
    other = bench.sidecars[1]
    bench.participants["a"] = lambda attempt: Answer(500 if attempt.undoes else 200)
    saga = bench.begin()
    bench.step(saga, "a")
    bench.ok("abort", saga=saga)
    bench.auto = False
    ticket = bench.call("retry", other, saga=saga, step="a", who="ann", why="?")
    bench.run(0.1)
    lost_lead(bench)
    bench.commit()
    bench.auto = True
    bench.lead(other)
    bench.run(1.0)
    code, answer = bench.answers[ticket]
    assert (code, len(bench.truth.open["s1"].steps["a"].by_hand)) == ("outcome_unknown", 1)
    assert "gossipreg saga show" in answer["text"]


class SlowDisk(Bench):
    """Stories of ended sagas are never read at the first member."""

    def _carry_out(self, sidecar: SagaSidecar, effect: SagaEffect) -> None:
        if sidecar is not self.sidecars[0] or not isinstance(effect, ReadEndedSagas):
            super()._carry_out(sidecar, effect)


def test_a_story_that_is_being_read_is_asked_of_the_next_leader() -> None:
    bench = SlowDisk(members=2)
    other = bench.sidecars[1]
    saga = bench.begin()
    bench.step(saga, "a")
    bench.ok("commit", saga=saga)
    ticket = bench.call("show", other, saga=saga)
    bench.run(0.5)
    assert ticket not in bench.answers
    bench.lead(other)
    bench.run(0.5)
    assert bench.answers[ticket][1]["decision"] == "commit"


class BusyDisk(Bench):
    """Stories of ended sagas are not read: too many reads wait for the disk."""

    def _carry_out(self, sidecar: SagaSidecar, effect: SagaEffect) -> None:
        if isinstance(effect, ReadEndedSagas):
            refused = sidecar.sagas.refused(effect.journal, effect.number, "busy", "too many reads", self.now)
            self.act(sidecar, refused)
        else:
            super()._carry_out(sidecar, effect)


def test_a_story_that_is_not_read_is_busy_for_whoever_asks() -> None:
    bench = BusyDisk()
    saga = bench.begin()
    bench.step(saga, "a")
    bench.ok("commit", saga=saga)
    assert bench.ask("show", saga=saga) == ("busy", {"text": "too many reads"})


class FailedDisk(Bench):
    """The disk of the first member has failed, so its replica takes no part, and reads are answered with nothing."""

    def _carry_out(self, sidecar: SagaSidecar, effect: SagaEffect) -> None:
        if sidecar is self.sidecars[0] and isinstance(effect, ReadEndedSagas):
            found = RecordsFound(effect.journal, effect.number, (None,) * len(effect.keys))
            self.act(sidecar, sidecar.sagas.on_journal(found, self.now))
        else:
            super()._carry_out(sidecar, effect)


def test_a_story_that_cannot_be_read_is_not_told_as_empty() -> None:
    bench = FailedDisk(members=2)
    saga = bench.begin()
    bench.step(saga, "a")
    bench.ok("commit", saga=saga)
    code, answer = bench.ask("show", saga=saga)
    assert code == "unavailable"
    why = f"the story of saga {saga} cannot be read from the disk here now: ask again in a moment"
    assert answer["text"] == f"no answer to show within 10 s: the leader of its journal could not answer: {why}"


def test_a_story_that_cannot_be_read_is_asked_of_the_next_leader() -> None:
    bench = FailedDisk(members=2)
    other = bench.sidecars[1]
    saga = bench.begin()
    bench.step(saga, "a")
    bench.ok("commit", saga=saga)
    ticket = bench.call("show", other, saga=saga)
    bench.run(0.5)
    assert ticket not in bench.answers
    bench.lead(other)
    bench.run(5.0)
    code, answer = bench.answers[ticket]
    assert (code, answer["decision"], len(answer["steps"])) == ("", "commit", 1)
