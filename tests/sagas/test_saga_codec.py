"""The entry of sagas survives the way through bytes, and whatever else stands in one changes nothing."""

import tracemalloc
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.journal.model import MAX_ENTRY_BYTES
from gossipreg.sagas.open_saga import OpenSaga
from gossipreg.sagas.saga_codec import change_bytes, decode_changes, encode_changes, pack_change
from gossipreg.sagas.saga_entries import (
    MAX_CHANGES,
    BeginSaga,
    DecideByHand,
    ExpireSagas,
    IntendStep,
    NoteResult,
    SagaChange,
    SagaOperation,
    UnreadChange,
)
from gossipreg.sagas.saga_facts import ChangeIgnored
from gossipreg.sagas.saga_model import (
    MAX_BODY_BYTES,
    MAX_DEFINITION_BYTES,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_INPUT_BYTES,
    MAX_INTENT_BYTES,
    MAX_NAME_BYTES,
    MAX_PATH_BYTES,
    MAX_RESULT_BYTES,
    MAX_SAGA_BYTES,
    MAX_STEP_BYTES,
    MAX_STEP_RECORD_BYTES,
    MAX_STEPS,
    MAX_TEXT_BYTES,
    HandDecision,
    SagaCommand,
    StepIntent,
    StepResult,
    StepState,
)
from gossipreg.sagas.saga_story import MAX_STORY_BYTES, decode_story, encode_story
from tests.sagas.saga_machines import WALL, SagasByHand, begun, intent
from tests.sagas.valid_sagas import ended_stories, saga_changes


@settings(max_examples=50)
@given(st.lists(saga_changes, max_size=4))
def test_an_entry_of_sagas_comes_back_as_it_was(changes: list[SagaChange]) -> None:
    assert decode_changes(encode_changes(changes)) == changes


@given(saga_changes)
def test_a_change_takes_what_it_says(change: SagaChange) -> None:
    assert len(encode_changes([change])) == 1 + change_bytes(change)


@given(saga_changes, st.lists(st.one_of(st.integers(0, 9), st.text(max_size=3)), max_size=3))
def test_elements_of_later_releases_are_ignored_in_changes(change: SagaChange, more: list[Any]) -> None:
    def longer(value: object) -> object:
        """Each array that is a value of its own; lists of headers and needs have no elements to add to."""
        return [*map(longer, value), *more] if type(value) is tuple and value and len(value) > 4 else value

    assert decode_changes(msgpack.packb([[*map(longer, pack_change(change)), *more]])) == [change]


def read(*change: object) -> SagaChange | UnreadChange:
    (found,) = decode_changes(msgpack.packb([change]))
    return found


def test_an_unknown_operation_leaves_the_other_changes() -> None:
    hand = SagasByHand()
    facts = hand.entry(msgpack.packb([[99, "7", "new"], pack_change(BeginSaga(begun())), [8, ""]]))
    assert facts[0] == ChangeIgnored(0, "7", "", "operation 99 is not known to this release")
    assert len(facts) == 2
    assert "7" in hand.machine.open


BEGUN = pack_change(BeginSaga(begun()))[2]
INTENT = pack_change(IntendStep("7", intent("reserve"), WALL))[2]
RESULT = pack_change(NoteResult("7", "reserve", StepResult(StepState.DONE), WALL))[3]
COMMAND = ("stock", "PUT", "/", (), b"")


def changed(raw: object, at: int, value: object) -> tuple[object, ...]:
    assert isinstance(raw, tuple)
    return (*raw[:at], value, *raw[at + 1 :])


def begin_with(at: int, value: object) -> tuple[object, ...]:
    return SagaOperation.BEGIN, "7", changed(BEGUN, at, value)


def intend_with(at: int, value: object) -> tuple[object, ...]:
    return SagaOperation.INTEND, "7", changed(INTENT, at, value), WALL


def command_with(at: int, value: object) -> tuple[object, ...]:
    return intend_with(1, changed(COMMAND, at, value))


def result_with(at: int, value: object) -> tuple[object, ...]:
    return SagaOperation.RESULT, "7", "reserve", changed(RESULT, at, value), WALL


@pytest.mark.parametrize(
    "change",
    [
        (),
        (1,),
        (True, "7", BEGUN),
        (-1, "7"),
        ("1", "7", BEGUN),
        (SagaOperation.BEGIN, "", BEGUN),
        (SagaOperation.BEGIN, ".hidden", BEGUN),
        (SagaOperation.BEGIN, "a/b", BEGUN),
        (SagaOperation.BEGIN, "i" * (MAX_SAGA_BYTES + 1), BEGUN),
        (SagaOperation.BEGIN, b"7", BEGUN),
        (SagaOperation.BEGIN, "7"),
        begin_with(0, ""),
        begin_with(0, "n" * (MAX_NAME_BYTES + 1)),
        begin_with(1, 2),
        begin_with(2, bytes(MAX_INPUT_BYTES + 1)),
        begin_with(2, "{}"),
        begin_with(3, -1),
        begin_with(3, 2**63),
        begin_with(4, bytes(MAX_DEFINITION_BYTES + 1)),
        begin_with(7, 1),
        intend_with(0, "a b"),
        intend_with(0, "s" * (MAX_STEP_BYTES + 1)),
        intend_with(2, ()),
        intend_with(3, (1, 1, True, 9, False)),
        intend_with(4, bytes(MAX_INTENT_BYTES + 1)),
        intend_with(5, ("s",) * (MAX_STEPS + 1)),
        intend_with(5, (b"s",)),
        command_with(0, ""),
        command_with(1, "M" * 33),
        command_with(2, "http://stock/"),
        command_with(2, "/" + "p" * MAX_PATH_BYTES),
        command_with(3, (("a", "b"),) * (MAX_HEADERS + 1)),
        command_with(3, (("a", "v" * MAX_HEADER_BYTES),)),
        command_with(3, (("", "v"),)),
        command_with(3, ("a",)),
        command_with(4, bytes(MAX_BODY_BYTES + 1)),
        result_with(0, 9),
        result_with(1, 1000),
        result_with(2, bytes(MAX_RESULT_BYTES + 1)),
        result_with(4, 0),
        result_with(6, "t" * (MAX_TEXT_BYTES + 1)),
        (SagaOperation.RESULT, "7", "reserve", RESULT),
        (SagaOperation.DECIDE, "7", 3, "", WALL),
        (SagaOperation.DECIDE, "7", 2, "t" * (MAX_TEXT_BYTES + 1), WALL),
        (SagaOperation.BY_HAND, "7", "", 0, "ann", "why", WALL),
        (SagaOperation.BY_HAND, "7", None, 1, "ann", "why", WALL),
    ],
)
def test_a_change_that_is_not_of_the_form_is_not_read(change: tuple[object, ...]) -> None:
    assert isinstance(read(*change), UnreadChange)


@pytest.mark.parametrize(
    "change",
    [
        begin_with(2, bytes(MAX_INPUT_BYTES)), begin_with(0, "n" * MAX_NAME_BYTES), intend_with(5, ("s",) * MAX_STEPS),
        (SagaOperation.BEGIN, "i" * MAX_SAGA_BYTES, BEGUN), command_with(2, "/" + "p" * (MAX_PATH_BYTES - 1)),
        command_with(3, (("a", "v" * (MAX_HEADER_BYTES - 1)),) * MAX_HEADERS), result_with(2, bytes(MAX_RESULT_BYTES)),
        (SagaOperation.DECIDE, "7", 2, "t" * MAX_TEXT_BYTES, WALL), (SagaOperation.EXPIRE, "", "more"),
    ],
)  # fmt: skip
def test_the_valid_neighbours_of_refused_changes_are_read(change: tuple[object, ...]) -> None:
    """Otherwise the refusals would prove nothing."""
    assert not isinstance(read(*change), UnreadChange)


def test_texts_of_people_are_cut_where_they_are_packed() -> None:
    change = DecideByHand("7", "", HandDecision.SKIP, "\udc00" + "é" * MAX_TEXT_BYTES, "w" * 600, WALL)
    cut = replace(change, who="?" + "é" * (MAX_TEXT_BYTES // 2 - 1), why="w" * MAX_TEXT_BYTES)
    assert decode_changes(encode_changes([change])) == [cut]


def test_the_largest_beginning_and_intent_fit_an_entry_each() -> None:
    saga = replace(begun(input=bytes(MAX_INPUT_BYTES)), definition=bytes(MAX_DEFINITION_BYTES))
    assert change_bytes(BeginSaga(saga)) < MAX_ENTRY_BYTES
    assert MAX_STEP_RECORD_BYTES + MAX_RESULT_BYTES <= MAX_ENTRY_BYTES


# -- whatever bytes stand in an entry ----------------------------------------------------------------------------------


def unchanged_by(data: bytes) -> bool:
    """Apply it to a machine that has something; False where it made sense."""
    hand = SagasByHand()
    hand.begin()
    hand.intend(intent("reserve"), intent("mail", after=True))
    before = dict(hand.records.everything)
    hand.entry(data)
    return hand.records.everything == before


@settings(max_examples=100)
@given(st.binary(max_size=100))
def test_any_bytes_are_an_entry_or_change_nothing(data: bytes) -> None:
    try:
        found = decode_changes(data)
    except ValueError:
        found = []
    if all(isinstance(change, UnreadChange | ExpireSagas) for change in found):
        assert unchanged_by(data)


anything: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=9)
    | st.text(max_size=4) | st.just(msgpack.Timestamp(1, 1)) | st.just(msgpack.ExtType(1, b"x")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=100)
@given(saga_changes, st.lists(st.integers(0, 9), max_size=3), anything)
def test_any_value_in_place_of_a_part_never_raises(change: SagaChange, path: list[int], value: object) -> None:
    raw: Any = msgpack.unpackb(msgpack.packb(pack_change(change)))
    part: Any = raw
    for at in path[:-1]:
        if isinstance(part[at % len(part)], list) and part[at % len(part)]:
            part = part[at % len(part)]
    part[(path or [0])[-1] % len(part)] = value
    unchanged_by(msgpack.packb([raw]))


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"\xc0", msgpack.packb({"a": 1}), msgpack.packb([1]), msgpack.packb([[1, "7", {}]]),
     msgpack.packb([[8, ""]] * (MAX_CHANGES + 1)), b"\x91" * 4000, b"\x81" * 4000, msgpack.packb([[8, ""]])[:-1]],
)  # fmt: skip
def test_an_entry_that_is_none_changes_nothing_and_says_so(data: bytes) -> None:
    hand = SagasByHand()
    facts = hand.entry(data)
    assert [type(fact) for fact in facts] == [ChangeIgnored]
    assert hand.records.everything == {}


@pytest.mark.parametrize("header", [b"\x91", b"\xdd\xff\xff\xff\xff", b"\xdc\x04\x00", b"\x9f"])
def test_nested_headers_of_changes_take_bounded_memory(header: bytes) -> None:
    data = header * (MAX_ENTRY_BYTES // len(header))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="msgpack"):
            decode_changes(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 1024 * 1024


# -- stories -----------------------------------------------------------------------------------------------------------


def without_what_commands_carried(saga: OpenSaga) -> OpenSaga:
    def line(command: SagaCommand | None) -> SagaCommand | None:
        return command and SagaCommand(command.service, command.method, command.path)

    def bare(step: StepIntent) -> StepIntent:
        command = line(step.command)
        assert command is not None
        return replace(step, command=command, undo=line(step.undo))

    steps = {name: replace(step, intent=bare(step.intent)) for name, step in saga.steps.items()}
    return replace(saga, begun=replace(saga.begun, definition=b""), steps=steps)


@settings(max_examples=50)
@given(ended_stories)
def test_a_story_tells_all_but_what_commands_carried(saga: OpenSaga) -> None:
    assert decode_story(saga.id, encode_story(saga)) == without_what_commands_carried(saga)


def ended_story(steps: int, result: StepResult, *, path_bytes: int = 10) -> tuple[int, OpenSaga]:
    hand = SagasByHand()
    hand.begin(begun(input=bytes(MAX_INPUT_BYTES)))
    command = SagaCommand("s" * 255, "M" * 32, "/" + "p" * path_bytes)
    for place in range(steps):
        name = f"{place:03}".ljust(MAX_STEP_BYTES, "n")
        hand.intend(StepIntent(name, command, command, needs=("n" * MAX_STEP_BYTES,) * 20))
        hand.result(name, **{field: getattr(result, field) for field in ("status", "body", "text", "instance")})
    hand.abort()
    hand.by_hand(HandDecision.RETRY, why="w" * MAX_TEXT_BYTES)
    hand.by_hand(HandDecision.GIVE_UP, why="w" * MAX_TEXT_BYTES)
    ended = hand.machine.ended("7")
    assert ended is not None
    return ended.story_bytes, hand.story()


def test_a_story_over_the_bound_loses_bodies_first() -> None:
    size, story = ended_story(3, StepResult(StepState.DONE, 200, bytes(MAX_RESULT_BYTES)))
    assert size <= MAX_STORY_BYTES
    assert len(story.begun.input) == MAX_INPUT_BYTES
    assert [(step.result.body, step.result.cut) for step in story.steps.values() if step.result] == [(b"", True)] * 3


def test_the_longest_story_keeps_every_step_within_the_bound() -> None:
    worst = StepResult(StepState.DONE, 999, b"", text="t" * MAX_TEXT_BYTES, instance="i" * 255)
    size, story = ended_story(MAX_STEPS, worst, path_bytes=100)
    assert size <= MAX_STORY_BYTES
    assert len(story.steps) == MAX_STEPS
    assert {step.state for step in story.steps.values()} == {StepState.SKIPPED}
    assert (story.begun.input, story.reason) == (b"", "no money")


@pytest.mark.parametrize("damage", [slice(0, -3), slice(0, 0), slice(5, None)])
def test_a_damaged_story_says_so(damage: slice) -> None:
    hand = SagasByHand()
    hand.begin()
    hand.commit()
    with pytest.raises(ValueError, match="story of the saga 7 is damaged"):
        decode_story("7", encode_story(hand.story())[damage])
