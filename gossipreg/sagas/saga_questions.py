"""What people ask of the sagas of a journal: the story of one, and the list of all.

Owns: the answers, and who waits for a story that is on the disk. Never knows: what a saga does next.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from gossipreg.sagas.ended_sagas import EndedSaga
from gossipreg.sagas.live_sagas import SagaCaller
from gossipreg.sagas.open_saga import OpenSaga
from gossipreg.sagas.saga_calls import ListAsked
from gossipreg.sagas.saga_context import SagaContext
from gossipreg.sagas.saga_effects import ReadEndedSagas
from gossipreg.sagas.saga_model import SagaState
from gossipreg.sagas.saga_order import Place, place_of
from gossipreg.sagas.saga_shapes import Shape, short_ended, short_open, story, unrecorded_story
from gossipreg.sagas.saga_story import decode_story, story_key
from gossipreg.sagas.step_trials import step_trials

MAX_READS = 1_024
"""Stories that are being read; more are refused as `busy`."""


@dataclass(frozen=True, slots=True)
class _Reading:
    saga: str
    caller: SagaCaller
    listed: bool


class SagaQuestions:
    def __init__(
        self, context: SagaContext, next_number: Callable[[], int], has_takeover: Callable[[], bool]
    ) -> None:  # fmt: skip
        self._context = context
        self._next_number = next_number
        self._has_takeover = has_takeover
        self._reading: dict[int, _Reading] = {}

    def knows(self, saga: str) -> bool:
        return saga in self._context.live or self._context.machine.find(saga) is not None

    def show(self, saga: str, caller: SagaCaller, *, listed: bool = False) -> None:
        """Answer with the story of this saga; `listed`: as a list of one."""
        context, ref = self._context, self._context.ref(saga)
        open, live, ended = context.machine.open.get(saga), context.live.get(saga), context.machine.ended(saga)
        if open is not None:
            trials = step_trials(open, context.attempts)
            self._reply(caller, story(ref, open, takeover=self._has_takeover(), trials=trials), listed)
        elif live is not None:
            self._reply(caller, unrecorded_story(ref, live, takeover=self._has_takeover()), listed)
        elif ended is None:
            context.refuse(caller, "not_found", f"no saga {ref} here: it may be forgotten, or was never begun")
        elif not ended.story_bytes:
            self._reply(caller, self._short_story(ended), listed)
        else:
            self._read(saga, caller, listed)

    def _read(self, saga: str, caller: SagaCaller, listed: bool) -> None:
        if len(self._reading) >= MAX_READS:
            self._context.refuse(caller, "busy", f"{len(self._reading)} stories are being read: ask again in a moment")
            return
        number = self._next_number()
        self._reading[number] = _Reading(saga, caller, listed)
        self._context.effects.append(ReadEndedSagas(self._context.journal, number, (story_key(saga),)))

    def end(self, text: str) -> None:
        """We do not lead any more: the next leader has the stories, too."""
        for reading in self._reading.values():
            self._context.refuse(reading.caller, "unavailable", text)
        self._reading.clear()

    def found(self, number: int, values: Sequence[bytes | None]) -> None:
        """Records were read; nothing if they are not ours. A story that is kept and was not found was not read: the
        replica here takes no part any more, and another member will lead."""
        reading = self._reading.pop(number, None)
        if reading is None:
            return
        context, saga = self._context, reading.saga
        ended = context.machine.ended(saga)
        read = _read_story(saga, values)
        if read is not None:
            self._reply(reading.caller, story(context.ref(saga), read, takeover=self._has_takeover()), reading.listed)
        elif ended is not None and ended.story_bytes and (not values or values[0] is None):
            text = f"the story of saga {context.ref(saga)} cannot be read from the disk here now: ask again in a moment"
            context.refuse(reading.caller, "unavailable", text)
        elif ended is not None:
            self._reply(reading.caller, self._short_story(ended), reading.listed)
        else:
            context.refuse(reading.caller, "not_found", f"saga {context.ref(saga)} was just forgotten")

    def refused(self, number: int, code: str, text: str) -> bool:
        """A read was not accepted. False: it is none of ours."""
        reading = self._reading.pop(number, None)
        if reading is not None:
            self._context.refuse(reading.caller, code, text)
        return reading is not None

    def _short_story(self, ended: EndedSaga) -> Shape:
        """Its story is gone: what is still remembered of it."""
        told = short_ended(self._context.ref(ended.id), ended)
        return told | {"id": ended.id, "timeout_ms": 0, "input": b"", "takeover": self._has_takeover(), "steps": []}

    def _reply(self, caller: SagaCaller, told: Shape, listed: bool) -> None:
        self._context.reply(caller, [told] if listed else told)

    # -- lists ---------------------------------------------------------------------------------------------------------

    def list(self, asked: ListAsked) -> Iterator[Shape]:
        """The sagas of this journal behind `after`, in the order that is asked for, and no more than that."""
        ref = self._context.ref
        before, newest, after = str(ref("")), asked.newest, asked.after
        placed: list[tuple[Place, OpenSaga | EndedSaga]] = [
            (place, saga)
            for saga, began_ms, ended_ms in self._listed(asked)
            if (place := place_of(before + saga.id, began_ms, ended_ms, newest=newest)) > after
        ]
        placed.sort(key=itemgetter(0))
        for _, saga in placed[: asked.limit]:
            yield short_open(ref(saga.id), saga) if isinstance(saga, OpenSaga) else short_ended(ref(saga.id), saga)

    def _listed(self, asked: ListAsked) -> Iterator[tuple[OpenSaga | EndedSaga, int, int]]:
        """Yield each with the times of its beginning and its end; 0: it is open."""
        machine, since_ms = self._context.machine, asked.since_ms
        if asked.state != "ended":
            for open in machine.open.values():
                if _is_listed(open, asked.state):
                    yield open, open.begun.wall_ms, 0
        if asked.state in ("", "ended"):
            for ended in machine.ended_last_first():
                if ended.ended_wall_ms >= since_ms:
                    yield ended, ended.began_wall_ms, ended.ended_wall_ms


def _is_listed(saga: OpenSaga, state: str) -> bool:
    if state in ("", "open"):
        return True
    if state == "stuck":
        return saga.stuck
    return saga.state is SagaState[state.upper()]


def _read_story(saga: str, values: Sequence[bytes | None]) -> OpenSaga | None:
    """None where it is gone, or damaged."""
    if not values or values[0] is None:
        return None
    try:
        return decode_story(saga, values[0])
    except ValueError:
        return None
