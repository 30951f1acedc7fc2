"""Valid values of sagas, for tests of what reads and writes them."""

from hypothesis import strategies as st

from gossipreg.journal.message_forms import MAX_NUMBER
from gossipreg.sagas.open_saga import HandNote, OpenSaga, OpenStep
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
from gossipreg.sagas.saga_model import (
    BegunSaga,
    Decision,
    HandDecision,
    SagaCommand,
    SagaKind,
    SagaState,
    StepIntent,
    StepOptions,
    StepResult,
    StepState,
    WhenUnknown,
)

numbers = st.integers(0, MAX_NUMBER)
texts = st.text(st.characters(codec="utf-8"), max_size=60)
some_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=15)
ids = st.from_regex(r"[A-Za-z0-9_:@=+-][A-Za-z0-9_:@=+.-]{0,20}", fullmatch=True)
names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,20}", fullmatch=True)
data = st.binary(max_size=40)

begun_sagas = st.builds(
    BegunSaga, ids, some_text, st.sampled_from(SagaKind), data, numbers, data, numbers, texts, st.booleans(), texts
)
commands = st.builds(
    SagaCommand, some_text, some_text.map(lambda text: text[:7]), texts.map("/{}".format),
    st.lists(st.tuples(some_text, texts), max_size=3).map(tuple), data,
)  # fmt: skip
options = st.builds(
    StepOptions, numbers, numbers, st.booleans(), st.sampled_from(WhenUnknown), st.booleans(), st.booleans()
)
intents = st.builds(
    StepIntent, names, commands, st.none() | commands, options, data, st.lists(names, max_size=3).map(tuple)
)
results = st.builds(
    StepResult, st.sampled_from(StepState), st.integers(0, 999), data, texts, st.booleans(), numbers, texts, texts
)

CHANGES: tuple[st.SearchStrategy[SagaChange], ...] = (
    st.builds(BeginSaga, begun_sagas),
    st.builds(IntendStep, ids, intents, numbers),
    st.builds(NoteResult, ids, names, results, numbers),
    st.builds(DecideSaga, ids, st.sampled_from(Decision), texts, numbers),
    st.builds(NoteUndo, ids, names, results, numbers),
    st.builds(NoteStuck, ids, names, results, numbers),
    st.builds(NoteTried, ids, names, numbers),
    st.builds(DecideByHand, ids, names | st.just(""), st.sampled_from(HandDecision), texts, texts, numbers),
    st.just(ExpireSagas()),
)
saga_changes = st.one_of(*CHANGES)

notes = st.builds(HandNote, st.sampled_from(HandDecision), texts, texts, numbers)
told_steps = st.builds(
    OpenStep, intents, st.just(0), numbers, numbers, st.sampled_from(StepState), st.none() | results,
    st.none() | results, st.booleans(), numbers, numbers, st.lists(notes, max_size=2).map(tuple),
)  # fmt: skip


def _with_steps(saga: OpenSaga, steps: list[OpenStep]) -> OpenSaga:
    for place, step in enumerate(steps):
        step.place = place
        saga.steps[step.name] = step
    return saga


ended_stories = st.builds(
    _with_steps,
    st.builds(
        OpenSaga, begun_sagas, numbers, numbers, st.just(SagaState.ENDED), st.sampled_from(Decision), texts, numbers,
        numbers, numbers,
    ),
    st.lists(told_steps, max_size=3, unique_by=lambda step: step.name),
)  # fmt: skip
