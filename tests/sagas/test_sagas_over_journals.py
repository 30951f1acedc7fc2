"""The engine of sagas over real journals: three members with disks and streams, and a leader that is lost in a step."""

from collections.abc import Callable
from typing import Any

import pytest

from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId
from gossipreg.sagas.saga_model import Decision, SagaRef, read_saga
from tests.journal.cluster import Sidecar
from tests.sagas.bench_parts import Answer, Attempt, step
from tests.sagas.journal_bench import Call, SagaCluster
from tests.sagas.test_declared_sagas import MAIL, definition
from tests.sagas.test_saga_cases import Ledger

STEPS = ("reserve", "pay", "ship")
STEP_S = 2.0
"""How long the step takes in which the leader is lost."""


def three_members(seed: int = 1) -> tuple[SagaCluster, Ledger]:
    """In sync, with participants that keep their rules."""
    cluster, ledger = SagaCluster(seed), Ledger()
    cluster.participants = {**dict.fromkeys(STEPS, ledger), "mail": ledger}
    cluster.run(1.0)
    return cluster, ledger


def with_three_voters(cluster: SagaCluster, journal: JournalId) -> None:
    assert cluster.until(lambda: len(cluster.voters(journal)) == 3, 10.0)


def slowly(ledger: Ledger) -> Callable[[Attempt], Answer]:
    """A participant whose first work takes STEP_S; it is done all the same if its caller is gone."""
    seen: list[str] = []

    def participant(attempt: Attempt) -> Answer:
        answer = ledger(attempt)
        if attempt.undoes or seen:
            return answer
        seen.append(attempt.key)
        return Answer(201, after_s=STEP_S)

    return participant


def taken(cluster: SagaCluster, at: Sidecar, saga: SagaRef, name: str) -> None:
    code, answer = cluster.ask(at, "step", saga=str(saga), step=step(name))
    assert (code, answer["state"]) == ("", "done")


def answered(cluster: SagaCluster, call: Call) -> tuple[str, Any]:
    assert cluster.until(lambda: call.answer is not None, 60.0)
    assert call.answer is not None
    return call.answer


def lose_within_step(cluster: SagaCluster, ledger: Ledger, *, program: int) -> tuple[SagaRef, Call, Sidecar]:
    """A saga in the journal of member 0, which leads it: it is lost while `pay` is under way, and acknowledged nothing
    of it. The program is connected to the member of this number. Returns the saga, the call of the step, and who was
    lost."""
    owner, at = cluster.sidecars[0], cluster.sidecars[program]
    saga = cluster.begin(owner, "s1")
    cluster.connect(at, saga)
    taken(cluster, at, saga, "reserve")
    with_three_voters(cluster, saga.journal)
    cluster.participants["pay"] = slowly(ledger)
    call = cluster.call(at, "step", saga=str(saga), step=step("pay"))
    assert cluster.until(lambda: bool(cluster.sent("pay")), 5.0)
    assert cluster.leader(saga.journal) is owner
    assert call.answer is None
    cluster.crash(owner, ProcessStanding.SILENT)
    return saga, call, owner


def is_over_everywhere(cluster: SagaCluster, saga: SagaRef, decision: Decision) -> bool:
    """The same end is on the disks of all members that run."""
    ends = [
        cluster.machine_of(one, saga.journal).ended(saga.id)
        for one in cluster.sidecars
        if one.up and saga.journal in one.journals.replicas
    ]
    return len(ends) > 1 and all(end is not None and end.decision is decision for end in ends)


def test_a_saga_commits_and_its_story_is_on_every_disk() -> None:
    cluster, ledger = three_members()
    owner = cluster.sidecars[0]
    saga = cluster.begin(owner, "s1")
    for name in STEPS:
        taken(cluster, owner, saga, name)
    with_three_voters(cluster, saga.journal)
    assert cluster.ask(owner, "commit", saga=str(saga)) == ("", {"state": "committed"})
    assert cluster.until(lambda: is_over_everywhere(cluster, saga, Decision.COMMIT), 5.0)
    code, story = cluster.ask(cluster.sidecars[2], "show", saga=str(saga))
    assert (code, story["decision"], [one["state"] for one in story["steps"]]) == ("", "commit", ["done"] * 3)
    assert sorted(ledger.held) == [f"{saga}/{name}" for name in sorted(STEPS)]


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_step_outlives_the_leader_that_sent_it(seed: int) -> None:
    """Its program, at another member, hears of it from the next leader, and goes on to commit."""
    cluster, ledger = three_members(seed)
    saga, call, lost = lose_within_step(cluster, ledger, program=1)
    code, result = answered(cluster, call)
    assert (code, result["state"]) == ("", "done")  # a map
    first, second = cluster.sent("pay")
    assert (first.key, first.node, second.node != lost.node) == (second.key, lost.node, True)
    assert ledger.done[first.key] == 1
    at = cluster.sidecars[1]
    taken(cluster, at, saga, "ship")
    assert cluster.ask(at, "commit", saga=str(saga)) == ("", {"state": "committed"})
    assert cluster.until(lambda: is_over_everywhere(cluster, saga, Decision.COMMIT), 5.0)
    cluster.start(lost)
    assert cluster.until(lambda: lost.journals.machine(saga.journal) is not None, 5.0)
    assert cluster.until(lambda: cluster.machine_of(lost, saga.journal).ended(saga.id) is not None, 30.0), (
        "whoever was lost learns the end"
    )
    assert len(ledger.held) == 3


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_saga_whose_program_is_lost_with_the_leader_is_undone(seed: int) -> None:
    """The step that was under way too: nobody knows whether it was done."""
    cluster, ledger = three_members(seed)
    saga, call, _ = lose_within_step(cluster, ledger, program=0)
    assert cluster.until(lambda: is_over_everywhere(cluster, saga, Decision.ABORT), 60.0)
    assert call.answer is None, "its process is gone"
    assert (ledger.held, ledger.undone) == ({}, {f"{saga}/reserve", f"{saga}/pay"})
    at = cluster.sidecars[1]
    code, story = cluster.ask(at, "show", saga=str(saga))
    assert (code, story["reason"]) == ("", "its program was lost")
    assert cluster.ask(at, "commit", saga=str(saga))[0] == "aborted"


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_declared_saga_goes_on_at_the_next_leader(seed: int) -> None:
    cluster, ledger = three_members(seed)
    owner, other = cluster.sidecars[0], cluster.sidecars[1]
    declared = definition(*map(step, STEPS), after=(MAIL,))
    code, begun = cluster.ask(owner, "run", definition=declared, id="first", input=b'{"to":"ann"}')
    assert not code
    journal = JournalId(bytes.fromhex(begun["saga"].partition(".")[0]))
    with_three_voters(cluster, journal)
    cluster.participants["pay"] = slowly(ledger)
    cluster.ask(owner, "run", definition=declared, id="s1", input=b'{"to":"ann"}')
    key = f"{journal.hex()}.s1/pay"
    assert cluster.until(lambda: any(one.key == key for one in cluster.attempts), 5.0)
    cluster.crash(owner, ProcessStanding.SILENT)
    saga = SagaRef(journal, "s1")
    assert cluster.until(lambda: is_over_everywhere(cluster, saga, Decision.COMMIT), 60.0)
    assert {key: count for key, count in ledger.done.items() if ".s1/" in key} == dict.fromkeys(
        [f"{saga}/{name}" for name in (*STEPS, "mail")], 1
    )
    code, story = cluster.ask(other, "wait", saga=str(saga), until="ended")
    assert (code, story["decision"]) == ("", "commit")


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_leader_that_is_cut_off_sends_nothing_of_what_others_decide(seed: int) -> None:
    """It is alone, and does not know that it was replaced: what its journal cannot prove, it does not send."""
    cluster, ledger = three_members(seed)
    owner, at = cluster.sidecars[0], cluster.sidecars[1]
    saga = cluster.begin(owner, "s1")
    cluster.connect(at, saga)
    taken(cluster, at, saga, "reserve")
    with_three_voters(cluster, saga.journal)
    fails = [True]
    cluster.participants["pay"] = lambda attempt: Answer(503) if fails else ledger(attempt)
    cluster.call(at, "step", saga=str(saga), step=step("pay"))
    assert cluster.until(lambda: len(cluster.sent("pay")) == 2, 10.0)
    cluster.partition({0}, {1, 2})
    cut_at = cluster.now
    assert cluster.until(lambda: cluster.leader(saga.journal) not in (None, owner), 30.0)
    fails.clear()
    assert cluster.ask(at, "abort", saga=str(saga))[0] == ""
    cluster.run(20.0)
    late = [one for one in cluster.attempts if one.node == owner.node and one.at > cut_at + 1.0]
    assert late == []
    cluster.partition()
    assert cluster.until(lambda: is_over_everywhere(cluster, saga, Decision.ABORT), 60.0)
    assert ledger.held == {}
    assert cluster.until(lambda: cluster.machine_of(owner, saga.journal).ended(saga.id) is not None, 30.0)


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_decision_that_was_told_outlives_its_leader(seed: int) -> None:
    """It is lost in the moment in which the program hears of it."""
    cluster, _ = three_members(seed)
    owner, at = cluster.sidecars[0], cluster.sidecars[1]
    saga = cluster.begin(owner, "s1")
    cluster.connect(at, saga)
    taken(cluster, at, saga, "reserve")
    with_three_voters(cluster, saga.journal)
    taken(cluster, at, saga, "pay")
    call = cluster.call(owner, "commit", saga=str(saga))
    end = cluster.now + 10.0
    while call.answer is None:
        assert cluster.now < end
        cluster.run(0.0001)
    assert call.answer == ("", {"state": "committed"})
    cluster.crash(owner, ProcessStanding.SILENT)
    code, story = cluster.ask(at, "wait", saga=str(saga), until="ended")
    assert (code, story["decision"]) == ("", "commit")
    assert cluster.ask(at, "abort", saga=str(saga))[0] == "committed"


def committed_meanwhile(seed: int) -> tuple[SagaCluster, SagaRef, Sidecar]:
    """A saga that another leader has committed, and its owner, which is cut off and leads it still, as it believes."""
    cluster, _ = three_members(seed)
    owner, at = cluster.sidecars[0], cluster.sidecars[1]
    saga = cluster.begin(owner, "s1")
    cluster.connect(at, saga)
    taken(cluster, at, saga, "reserve")
    with_three_voters(cluster, saga.journal)
    cluster.partition({0}, {1, 2})
    assert cluster.until(lambda: cluster.leader(saga.journal) not in (None, owner), 30.0)
    assert cluster.ask(at, "commit", saga=str(saga)) == ("", {"state": "committed"})
    assert saga.journal in cluster.processes[owner.number].sagas.led
    return cluster, saga, owner


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize(("method", "params"), [("show", {}), ("wait", {"timeout_ms": 100})])
def test_a_leader_that_is_cut_off_tells_nothing_of_its_sagas(seed: int, method: str, params: dict[str, Any]) -> None:
    cluster, saga, owner = committed_meanwhile(seed)
    call = cluster.call(owner, method, saga=str(saga), **params)
    cluster.run(5.0)
    assert call.answer is None
    cluster.partition()
    code, story = answered(cluster, call)
    assert (code, story["decision"]) == ("", "commit")


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_leader_that_is_cut_off_does_not_list_its_sagas(seed: int) -> None:
    cluster, saga, owner = committed_meanwhile(seed)
    code, told = cluster.ask(owner, "list")
    assert (code, told["sagas"]) == ("", [])
    (missing,) = told["unanswered"]
    assert missing.startswith(f"journal {saga.journal.hex()[:8]}: ")


def test_a_begin_is_repeated_at_another_sidecar_in_the_first_journal() -> None:
    """The same id there without the journal is another saga: who begins one again elsewhere names the first journal."""
    cluster, _ = three_members()
    first, second, third = cluster.sidecars
    asked = {"definition": definition(step("reserve")), "id": "s1"}
    _, begun = cluster.ask(first, "run", **asked)
    saga = read_saga(begun["saga"])
    assert saga is not None
    with_three_voters(cluster, saga.journal)
    assert cluster.ask(second, "run", begins_in=saga.journal, **asked)[0] == "exists"
    cluster.crash(first)
    code, again = cluster.ask(third, "run", begins_in=saga.journal, **asked)
    assert (code, again["saga"]) == ("exists", begun["saga"])
    assert len(cluster.sent("reserve")) == 1
    code, other = cluster.ask(third, "run", **asked)
    assert not code
    assert other["saga"] != begun["saga"]
