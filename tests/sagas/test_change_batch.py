"""Changes on their way into the journal: what shares an entry, what waits, and what is never lost."""

from itertools import count

from hypothesis import given

from gossipreg.journal.model import MAX_ENTRY_BYTES, JournalId
from gossipreg.sagas.change_batch import LAZY_S, ChangeBatch
from gossipreg.sagas.saga_codec import change_bytes, decode_changes
from gossipreg.sagas.saga_effects import ProposeSagas
from gossipreg.sagas.saga_entries import (
    BeginSaga,
    DecideSaga,
    ExpireSagas,
    IntendStep,
    NoteResult,
    SagaChange,
)
from gossipreg.sagas.saga_model import (
    MAX_RESULT_BYTES,
    BegunSaga,
    Decision,
    SagaCommand,
    SagaKind,
    StepIntent,
    StepResult,
    StepState,
)
from gossipreg.sagas.saga_sizes import change_size
from tests.sagas.valid_sagas import saga_changes

COMMAND = SagaCommand("pay", "PUT", "/pay/1")


def begin(saga: str = "s") -> BeginSaga:
    return BeginSaga(BegunSaga(saga, "order", SagaKind.BY_CODE, b"null", 60_000))


def intend(saga: str = "s", step: str = "pay") -> IntendStep:
    return IntendStep(saga, StepIntent(step, COMMAND, COMMAND), 0)


def result(saga: str = "s", step: str = "pay", body: bytes = b"") -> NoteResult:
    return NoteResult(saga, step, StepResult(StepState.DONE, 200, body), 0)


def decide(saga: str = "s") -> DecideSaga:
    return DecideSaga(saga, Decision.ABORT, "", 0)


def batch_of(*waiting: SagaChange) -> ChangeBatch:
    batch = ChangeBatch(JournalId(b"J" * 16), count(1))
    for change in waiting:
        batch.put(change, 0.0)
    return batch


def read(effects: list[ProposeSagas]) -> list[object]:
    (effect,) = effects
    return [*decode_changes(effect.data)]


def test_what_comes_while_an_entry_is_written_shares_the_next() -> None:
    batch = batch_of(begin())
    (first,) = batch.take(0.0)
    batch.put(intend(), 0.0)
    batch.put(decide(), 0.0)
    assert batch.take(1.0) == []
    batch.settled(first.ticket, committed=True)
    assert read(batch.take(1.0)) == [intend(), decide()]


def test_a_result_waits_a_moment_for_what_follows() -> None:
    batch = batch_of()
    batch.put(result(), 1.0, lazy=True)
    assert (batch.take(1.0), batch.due()) == ([], 1.0 + LAZY_S)
    assert read(batch.take(1.0 + LAZY_S)) == [result()]


def test_a_result_rides_with_the_next_intent_and_goes_before_it() -> None:
    batch = batch_of()
    batch.put(result(), 1.0, lazy=True)
    batch.put(intend(step="ship"), 1.001)
    assert read(batch.take(1.001)) == [result(), intend(step="ship")]


def test_only_an_entry_that_begins_nothing_ends_something() -> None:
    assert [batch_of(*waiting).take(0.0)[0].ends for waiting in ((result(), decide()), (result(), intend()))] == [
        True, False,
    ]  # fmt: skip


def test_a_full_journal_gets_the_rest_without_what_begins() -> None:
    batch = batch_of(begin("new"), intend("new"), result("old"), decide("old"))
    (refused,) = batch.take(0.0)
    assert batch.refused(refused.ticket, "journal_full", 0.0) == (begin("new"), intend("new"))
    (again,) = batch.take(0.0)
    assert (again.ends, read([again])) == (True, [result("old"), decide("old")])


def test_results_go_without_bodies_where_no_room_is_left_for_what_ends() -> None:
    batch = ChangeBatch(JournalId(b"J" * 16), count(1), lambda _, step: step == "needed")
    large: list[SagaChange] = [
        NoteResult("s", step, StepResult(StepState.DONE, 200, b"large"), 7) for step in ("a", "needed")
    ]
    for change in (*large, decide("s")):
        batch.put(change, 0.0)
    (refused,) = batch.take(0.0)
    assert batch.refused(refused.ticket, "journal_full", 0.0) == ()
    cut = NoteResult("s", "a", StepResult(StepState.DONE, 200, cut=True), 7)
    assert read(batch.take(batch.due())) == [cut, large[1], decide("s")]


def test_what_a_busy_journal_refused_goes_again_before_what_came_later() -> None:
    batch = batch_of(begin(), intend())
    (refused,) = batch.take(0.0)
    assert batch.refused(refused.ticket, "busy", 0.0) == ()
    batch.put(decide(), 0.0)
    assert batch.take(0.05) == []
    assert read(batch.take(batch.due())) == [begin(), intend(), decide()]


def test_while_the_journal_is_handed_over_nothing_overtakes() -> None:
    batch = batch_of(intend("a"), decide("a"), decide("b"))
    batch.paused = True
    assert read(batch.take(0.0)) == [decide("b")]
    batch.settled(1, committed=True)
    assert batch.take(1.0) == []
    batch.paused = False
    assert read(batch.take(1.0)) == [intend("a"), decide("a")]


def test_a_decision_can_be_withdrawn_as_long_as_it_waits() -> None:
    batch = batch_of(decide("a"), decide("b"))
    assert batch.withdraw_decision("a")
    assert not batch.withdraw_decision("a")
    assert read(batch.take(0.0)) == [decide("b")]
    assert not batch.withdraw_decision("b")


def test_large_changes_have_entries_of_their_own() -> None:
    batch = batch_of(*(result(step=f"s{number}", body=bytes(MAX_RESULT_BYTES)) for number in range(8)))
    taken = 0
    while effects := batch.take(0.0):
        assert len(effects[0].data) <= MAX_ENTRY_BYTES
        taken += len(read(effects))
        batch.settled(effects[0].ticket, committed=True)
    assert (taken, batch.size_bytes, len(batch)) == (8, 0, 0)


@given(saga_changes)
def test_no_change_takes_more_than_its_estimate(change: SagaChange) -> None:
    assert change_bytes(change) <= change_size(change)


def test_an_expiry_is_a_change_of_no_saga() -> None:
    batch = batch_of(ExpireSagas(), decide("a"))
    batch.drop("a")
    assert read(batch.take(0.0)) == [ExpireSagas()]
