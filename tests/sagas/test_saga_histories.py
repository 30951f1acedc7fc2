"""Random histories of a journal's sagas, beside a simple model: what is decided stays, nothing is both committed and
undone, and a machine that begins with the records goes on as the one that wrote them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gossipreg.sagas.saga_entries import (
    BeginSaga,
    DecideByHand,
    DecideSaga,
    ExpireSagas,
    IntendStep,
    NoteResult,
    NoteStuck,
    NoteTried,
    NoteUndo,
    SagaChange,
)
from gossipreg.sagas.saga_facts import BeginVerdict, ChangeIgnored, SagaBegun, SagaEnded, SagaFact
from gossipreg.sagas.saga_model import (
    Decision,
    HandDecision,
    StepIntent,
    StepResult,
    StepState,
    WhenUnknown,
)
from gossipreg.sagas.saga_story import STORY
from gossipreg.sagas.saga_tuning import SagaTuning
from tests.sagas.saga_machines import WALL, SagasByHand, begun, intent, shown

S = StepState
KEPT_MS = 20_000
TUNING = SagaTuning(kept_s=KEPT_MS / 1000)
IDS, NAMES = ["1", "2", "1:2"], ["a", "b", "mail"]

sagas = st.sampled_from(IDS)
steps = st.sampled_from(NAMES)
results = st.builds(
    StepResult, st.sampled_from([S.DONE, S.REFUSED, S.UNKNOWN, *S]), st.sampled_from([0, 200, 409]),
    st.sampled_from([b"", b"[1]"]), attempts=st.integers(0, 3),
)  # fmt: skip
intents = st.builds(intent, steps, optional=st.booleans(), repeat=st.booleans()).map(
    lambda step: replace(step, options=replace(step.options, after=step.name == "mail"))
)
changes: st.SearchStrategy[SagaChange] = st.one_of(
    st.builds(BeginSaga, st.builds(begun, sagas, st.just("order"), st.sampled_from([b"{}", b"[]"]))),
    st.builds(IntendStep, sagas, intents, st.just(WALL)),
    st.builds(NoteResult, sagas, steps, results, st.just(WALL)),
    st.builds(NoteUndo, sagas, steps, results, st.just(WALL)),
    st.builds(NoteStuck, sagas, steps, results, st.just(WALL)),
    st.builds(NoteTried, sagas, steps, st.integers(0, 20)),
    st.builds(DecideSaga, sagas, st.sampled_from(Decision), st.just("why"), st.just(WALL)),
    st.builds(
        DecideByHand, sagas, st.sampled_from([*NAMES, ""]), st.sampled_from(HandDecision), st.just("ann"),
        st.just("why"), st.just(WALL),
    ),
)  # fmt: skip


@dataclass
class ModelSaga:
    input: bytes
    decision: Decision | None = None
    steps: dict[str, StepIntent] = field(default_factory=dict)
    states: dict[str, StepState] = field(default_factory=dict)
    """As the rules of the contract say, written down a second time."""
    answers: dict[str, StepState] = field(default_factory=dict)
    """What is recorded of the command, counted or too late."""

    def open(self) -> list[str]:
        waits = {Decision.ABORT: S.UNDOING, Decision.COMMIT: S.AFTER}
        return [name for name, state in self.states.items() if self.decision and state is waits[self.decision]]

    def may_commit(self) -> bool:
        return all(
            state is S.DONE or step.options.after or (state is S.REFUSED and step.options.optional)
            for step, state in zip(self.steps.values(), self.states.values(), strict=True)
        )


class Histories(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.hand = SagasByHand(TUNING)
        self.twin = SagasByHand(TUNING)
        self.open: dict[str, ModelSaga] = {}
        self.ended: dict[str, tuple[bytes, Decision, int]] = {}

    def both(self, carry_out: Callable[[SagasByHand], list[SagaFact]]) -> list[SagaFact]:
        facts = carry_out(self.hand)
        assert carry_out(self.twin) == facts
        return facts

    # -- entries -------------------------------------------------------------------------------------------------------

    @rule(entry=st.lists(changes, min_size=1, max_size=5))
    def any_changes(self, entry: list[SagaChange]) -> None:
        facts = self.both(lambda hand: hand.apply(*entry))
        not_begun: set[str] = set()
        ignored = {fact.place for fact in facts if isinstance(fact, ChangeIgnored)}
        begins = [fact for fact in facts if isinstance(fact, SagaBegun)]
        for place, change in enumerate(entry):
            held = self.model(change, begins, not_begun)
            assert held is (place not in ignored), (change, facts)
        assert {fact.saga for fact in facts if isinstance(fact, SagaEnded)} <= self.ended.keys()

    @precondition(lambda self: self.open)
    @rule(data=st.data(), state=st.sampled_from([S.DONE, S.DONE, S.REFUSED, S.UNKNOWN]))
    def what_a_leader_notes(self, data: st.DataObject, state: StepState) -> None:
        """A change that makes sense for one of the open steps: without these most histories would end early."""
        id = data.draw(st.sampled_from(sorted(self.open)))
        saga = self.open[id]
        waiting = saga.open() if saga.decision else [name for name, at in saga.states.items() if at is S.INTENDED]
        change: SagaChange
        if not waiting:
            change = DecideSaga(id, Decision.COMMIT if saga.may_commit() else Decision.ABORT, "why", WALL)
        elif saga.decision is Decision.ABORT:
            change = NoteUndo(id, waiting[-1], StepResult(S.UNDONE, 204), WALL)
        else:
            done = S.AFTER_DONE if saga.decision else state
            change = NoteResult(id, waiting[0], StepResult(done, 200), WALL)
        self.any_changes([change])

    @rule()
    def expire(self) -> None:
        self.both(lambda hand: hand.expire())
        self.ended = {id: one for id, one in self.ended.items() if self.hand.led_ms - one[2] <= KEPT_MS}

    @rule(data=st.binary(max_size=60))
    def garbage(self, data: bytes) -> None:
        before = dict(self.hand.records.everything)
        self.both(lambda hand: hand.entry(b"\x93" + data))
        self.both(lambda hand: hand.entry(data[:1] + b"\xc1"))
        assert self.hand.records.everything == before

    @rule(seconds=st.integers(1, 15))
    def time_passes(self, seconds: int) -> None:
        self.hand.led_ms += seconds * 1000
        self.twin.led_ms = self.hand.led_ms

    @rule()
    def twin_begins_with_its_records(self) -> None:
        self.twin.machine = self.twin.loaded()

    # -- the model: whether a change holds, and what it does ----------------------------------------------------------

    def model(self, change: SagaChange, begins: list[SagaBegun], not_begun: set[str]) -> bool:
        if isinstance(change, BeginSaga):
            assert begins.pop(0).verdict is self.model_begin(change, not_begun)
            return True
        assert not isinstance(change, ExpireSagas)
        saga = self.open.get(change.saga)
        if saga is None or change.saga in not_begun:
            return False
        held = self.model_step(saga, change)
        if saga.decision and not saga.open():
            self.ended[change.saga] = saga.input, saga.decision, self.hand.led_ms
            del self.open[change.saga]
        return held

    def model_begin(self, change: BeginSaga, not_begun: set[str]) -> BeginVerdict:
        id, input = change.saga.id, change.saga.input
        if id not in self.open and id not in self.ended:
            self.open[id] = ModelSaga(input)
            return BeginVerdict.NEW
        not_begun.add(id)
        known = self.open[id].input if id in self.open else self.ended[id][0]
        return BeginVerdict.EXISTS if known == input else BeginVerdict.CONFLICT

    def model_step(self, saga: ModelSaga, change: SagaChange) -> bool:
        match change:
            case IntendStep(_, step):
                if saga.decision or step.name in saga.states:
                    return False
                saga.steps[step.name] = step
                saga.states[step.name] = S.AFTER if step.options.after else S.INTENDED
                return True
            case NoteResult(_, name, result):
                return name in saga.states and self.model_result(saga, name, result.state)
            case NoteUndo(_, name, result):
                return result.state is S.UNDONE and self.model_move(saga, name, S.UNDONE, Decision.ABORT)
            case NoteStuck(_, name) | NoteTried(_, name):
                return name in saga.open()
            case DecideSaga(_, decision):
                return self.model_decide(saga, decision)
            case DecideByHand(_, name, decision):
                return self.model_by_hand(saga, name, decision)
            case _:
                raise AssertionError(change)

    def model_result(self, saga: ModelSaga, name: str, state: StepState) -> bool:
        if state is S.AFTER_DONE:
            return self.model_move(saga, name, S.AFTER_DONE, Decision.COMMIT)
        if state not in (S.DONE, S.REFUSED, S.UNKNOWN) or saga.steps[name].options.after:
            return False
        repeated = state is S.REFUSED and saga.steps[name].options.unknown is WhenUnknown.REPEAT
        if saga.states[name] is S.INTENDED:
            saga.states[name] = state
        elif repeated and self.model_move(saga, name, S.REFUSED, Decision.ABORT):
            pass
        elif saga.answers.get(name) in (S.DONE, S.REFUSED, state):
            return False
        saga.answers[name] = state
        return True

    def model_move(self, saga: ModelSaga, name: str, to: StepState, decision: Decision) -> bool:
        if name not in saga.open() or saga.decision is not decision:
            return False
        saga.states[name] = to
        return True

    def model_decide(self, saga: ModelSaga, decision: Decision) -> bool:
        if saga.decision or (decision is Decision.COMMIT and not saga.may_commit()):
            return False
        saga.decision = decision
        if decision is Decision.ABORT:
            for name, state in saga.states.items():
                if state in (S.INTENDED, S.DONE, S.UNKNOWN):
                    saga.states[name] = S.UNDOING
        return True

    def model_by_hand(self, saga: ModelSaga, name: str, decision: HandDecision) -> bool:
        everything = not name or decision is HandDecision.GIVE_UP
        meant = [open for open in saga.open() if everything or open == name]
        if decision is not HandDecision.RETRY:
            saga.states.update(dict.fromkeys(meant, S.SKIPPED))
        return bool(meant)

    # -- what always holds ---------------------------------------------------------------------------------------------

    @invariant()
    def machine_is_as_the_model(self) -> None:
        machine = self.hand.machine
        assert machine.open.keys() == self.open.keys()
        for id, saga in self.open.items():
            assert self.hand.states(id) == saga.states
            assert machine.open[id].decision is saga.decision
        assert {one.id: (one.decision, one.led_ms) for one in machine.ended_last_first()} == {
            id: (decision, led_ms) for id, (_, decision, led_ms) in self.ended.items()
        }

    @invariant()
    def replicas_are_equal_byte_for_byte(self) -> None:
        assert self.hand.records.everything == self.twin.records.everything
        assert shown(self.hand.machine) == shown(self.twin.machine) == shown(self.hand.loaded())

    @invariant()
    def what_is_held_is_what_is_counted(self) -> None:
        assert self.hand.machine.open_bytes == self.hand.open_records_bytes()
        stories = {key: len(value) for key, value in self.hand.records.everything.items() if key.startswith(STORY)}
        assert self.hand.machine.stories_bytes == sum(stories.values())

    @invariant()
    def nothing_is_both_committed_and_undone(self) -> None:
        for id, (_, decision, _) in self.ended.items():
            states = set(self.hand.states(id).values())
            kept = {S.DONE, S.REFUSED, S.AFTER_DONE, S.SKIPPED}
            assert states <= (kept if decision is Decision.COMMIT else {S.UNDONE, S.REFUSED, S.SKIPPED, S.AFTER})


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=40)
