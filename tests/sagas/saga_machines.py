"""A machine of sagas whose entries a test writes by hand, and everything of a machine that can be compared."""

from dataclasses import replace

from gossipreg.journal.model import NO_BALLOT, LogEntry
from gossipreg.journal.state import Records
from gossipreg.sagas.machine import SagasMachine
from gossipreg.sagas.open_saga import SAGA, STEP, OpenSaga
from gossipreg.sagas.saga_codec import encode_changes
from gossipreg.sagas.saga_entries import (
    SAGA_ENTRY,
    BeginSaga,
    DecideByHand,
    DecideSaga,
    ExpireSagas,
    IntendStep,
    NoteResult,
    NoteStuck,
    NoteUndo,
    SagaChange,
)
from gossipreg.sagas.saga_facts import ChangeIgnored, SagaFact
from gossipreg.sagas.saga_model import (
    BegunSaga,
    Decision,
    HandDecision,
    SagaCommand,
    SagaKind,
    StepIntent,
    StepOptions,
    StepResult,
    StepState,
    WhenUnknown,
)
from gossipreg.sagas.saga_story import STORY, decode_story, story_key
from gossipreg.sagas.saga_tuning import SagaTuning
from tests.events.machines import RememberedRecords

WALL = 1_780_000_000_000


def begun(id: str = "7", name: str = "create-order", input: bytes = b"{}") -> BegunSaga:
    return BegunSaga(id, name, SagaKind.BY_CODE, input, 60_000, wall_ms=WALL)


def intent(
    name: str, *, optional: bool = False, after: bool = False, repeat: bool = False, body: bytes = b"{}"
) -> StepIntent:
    options = StepOptions(optional=optional, after=after, unknown=WhenUnknown.REPEAT if repeat else WhenUnknown.UNDO)
    undo = None if after or repeat else SagaCommand("stock", "DELETE", f"/reservations/{name}")
    template = b"{}" if repeat else b""
    return StepIntent(name, SagaCommand("stock", "PUT", f"/reservations/{name}", (), body), undo, options, template)


class SagasByHand:
    """Applies entries to a machine, and keeps its records and its led time."""

    def __init__(self, tuning: SagaTuning | None = None) -> None:
        self.tuning = tuning or SagaTuning()
        self.machine = SagasMachine(self.tuning)
        self.records = RememberedRecords()
        self.machine.load(self.records)
        self.index = 0
        self.led_ms = 0

    def entry(self, data: bytes, kind: int = SAGA_ENTRY) -> list[SagaFact]:
        self.index += 1
        return list(self.machine.apply(LogEntry(self.index, NO_BALLOT, self.led_ms, kind, data), self.records))

    def apply(self, *changes: SagaChange) -> list[SagaFact]:
        return self.entry(encode_changes(list(changes)))

    def begin(self, saga: BegunSaga | None = None) -> list[SagaFact]:
        return self.apply(BeginSaga(saga or begun()))

    def intend(self, *steps: StepIntent, saga: str = "7") -> list[SagaFact]:
        return self.apply(*(IntendStep(saga, step, WALL) for step in steps))

    def result(
        self, step: str, state: StepState = StepState.DONE, *, saga: str = "7", **more: object
    ) -> list[SagaFact]:
        return self.apply(NoteResult(saga, step, replace(StepResult(state, 200), **more), WALL))  # type: ignore[arg-type]

    def undone(self, step: str, state: StepState = StepState.UNDONE, *, saga: str = "7") -> list[SagaFact]:
        return self.apply(NoteUndo(saga, step, StepResult(state, 204), WALL))

    def stuck(self, step: str, *, saga: str = "7") -> list[SagaFact]:
        return self.apply(NoteStuck(saga, step, StepResult(StepState.UNDOING, 500, attempts=20, text="503"), WALL))

    def commit(self, saga: str = "7") -> list[SagaFact]:
        return self.apply(DecideSaga(saga, Decision.COMMIT, "", WALL))

    def abort(self, saga: str = "7", reason: str = "no money") -> list[SagaFact]:
        return self.apply(DecideSaga(saga, Decision.ABORT, reason, WALL))

    def by_hand(self, decision: HandDecision, step: str = "", *, saga: str = "7", why: str = "why") -> list[SagaFact]:
        return self.apply(DecideByHand(saga, step, decision, "ann", why, WALL))

    def expire(self) -> list[SagaFact]:
        return self.apply(ExpireSagas())

    def saga(self, id: str = "7") -> OpenSaga:
        return self.machine.open[id]

    def states(self, id: str = "7") -> dict[str, StepState]:
        """Of the steps of a saga, open or ended."""
        saga = self.machine.open.get(id) or self.story(id)
        return {step.name: step.state for step in saga.steps.values()}

    def story(self, id: str = "7") -> OpenSaga:
        return decode_story(id, self.records.everything[story_key(id)])

    def loaded(self) -> SagasMachine:
        """Another machine that begins with the records of this one."""
        machine = SagasMachine(self.tuning)
        machine.load(Records(self.small()))
        return machine

    def small(self) -> dict[bytes, bytes]:
        return {key: value for key, value in self.records.everything.items() if not key.startswith(STORY)}

    def open_records_bytes(self) -> int:
        return sum(len(key) + len(value) for key, value in self.small().items() if key[:1] in (SAGA, STEP))


def running(*steps: StepIntent) -> SagasByHand:
    """With the saga 7, which has these steps."""
    hand = SagasByHand()
    hand.begin()
    hand.intend(*steps)
    return hand


def ignored(facts: list[SagaFact]) -> str:
    """The reason for which the one change was ignored."""
    (fact,) = facts
    assert isinstance(fact, ChangeIgnored)
    return fact.reason


def shown(machine: SagasMachine) -> dict[str, object]:
    """All that a machine shows."""
    return {
        "open": [(saga, list(saga.steps)) for saga in machine.open.values()], "bytes": machine.open_bytes,
        "ended": list(machine.ended_last_first()), "stories": machine.stories_bytes,
        "counts": (machine.ended_count, machine.oldest_ended_led_ms),
    }  # fmt: skip
