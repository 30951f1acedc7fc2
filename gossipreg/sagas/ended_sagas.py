"""The sagas of a journal that have ended and are remembered, so that nobody begins one twice.

Owns: what is remembered of each, in the order in which they ended, and the records of that. Never knows: what a saga
does before it ends.

What is in memory is small. The story of each is a large record, on the disk alone. A saga is forgotten when it ended
too long ago in led time, or when there are more than MAX_ENDED_SAGAS; the stories of the oldest go first when all
stories take more than MAX_STORIES_BYTES, and those sagas are still remembered.

    X id          number, name, kind, digest of the input, decision, reason, [wall_ms of beginning, decision, end],
                  led_ms, how many steps, skipped steps, bytes of its story
    \\xff S id     the story
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import msgpack

from gossipreg.blake2 import blake2b
from gossipreg.journal.state import Records
from gossipreg.sagas import saga_model
from gossipreg.sagas.open_saga import OpenSaga
from gossipreg.sagas.saga_model import BegunSaga, Decision, SagaKind, StepState
from gossipreg.sagas.saga_story import encode_story, story_key

ENDED = b"X"
_DIGEST_BYTES = 16

_pack: Callable[[object], bytes] = msgpack.Packer().pack


def input_digest(input: bytes) -> bytes:
    return blake2b(input, digest_size=_DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True)
class EndedSaga:
    id: str
    number: int
    """It rises with each saga that ends in this journal."""
    name: str
    kind: SagaKind
    digest: bytes
    """Of its input."""
    decision: Decision
    reason: str
    """Why it was aborted."""
    began_wall_ms: int
    decided_wall_ms: int
    ended_wall_ms: int
    led_ms: int
    """When it ended, in led time."""
    steps: int
    skipped: int
    """How many of them a person left as they were."""
    story_bytes: int
    """0: its story is gone."""

    def is_of(self, begun: BegunSaga) -> bool:
        """Whether that is the same saga, begun once more."""
        return (self.name, self.digest) == (begun.name, input_digest(begun.input))


class EndedSagas:
    def __init__(self, kept_ms: int) -> None:
        self._kept_ms = kept_ms
        self._by_id: dict[str, EndedSaga] = {}
        self._order: deque[str] = deque()
        """All of them, the first that ended first."""
        self._stories: deque[str] = deque()
        """Those whose stories are there: the last ones."""
        self.stories_bytes = 0

    @property
    def by_id(self) -> Mapping[str, EndedSaga]:
        return MappingProxyType(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, id: str) -> EndedSaga | None:
        return self._by_id.get(id)

    def last_first(self) -> Iterator[EndedSaga]:
        return (self._by_id[id] for id in reversed(self._order))

    @property
    def oldest_led_ms(self) -> int | None:
        """When the first of them ended; None where there is none."""
        return self._by_id[self._order[0]].led_ms if self._order else None

    # -- changes -------------------------------------------------------------------------------------------------------

    def load(self, found: list[tuple[bytes, bytes]]) -> None:
        """The records of these."""
        sagas = sorted((_decode(key[1:].decode(), value) for key, value in found), key=lambda saga: saga.number)
        for saga in sagas:
            self._keep(saga)

    def add(self, saga: OpenSaga, number: int, led_ms: int, records: Records) -> list[str]:
        """Remember a saga that has ended. Returns those that are forgotten for it."""
        story = encode_story(saga)
        ended = _ended(saga, number, led_ms, len(story))
        self._keep(ended)
        records.put(_key(saga.id), _encode(ended))
        records.put(story_key(saga.id), story)
        while self.stories_bytes > saga_model.MAX_STORIES_BYTES:
            self._drop_story(records)
        forgotten = []
        while len(self._by_id) > saga_model.MAX_ENDED_SAGAS:
            forgotten.append(self._forget_oldest(records))
        return forgotten

    def forget_old(self, led_ms: int, records: Records) -> list[str]:
        """Forget those that ended too long ago at this led time. Returns them."""
        forgotten = []
        while self._order and led_ms - self._by_id[self._order[0]].led_ms > self._kept_ms:
            forgotten.append(self._forget_oldest(records))
        return forgotten

    def _keep(self, saga: EndedSaga) -> None:
        self._by_id[saga.id] = saga
        self._order.append(saga.id)
        if saga.story_bytes:
            self._stories.append(saga.id)
            self.stories_bytes += saga.story_bytes

    def _drop_story(self, records: Records) -> None:
        id = self._stories.popleft()
        saga = self._by_id[id]
        self.stories_bytes -= saga.story_bytes
        self._by_id[id] = replace(saga, story_bytes=0)
        records.put(_key(id), _encode(self._by_id[id]))
        records.remove(story_key(id))

    def _forget_oldest(self, records: Records) -> str:
        id = self._order.popleft()
        if self._stories and self._stories[0] == id:
            self.stories_bytes -= self._by_id[self._stories.popleft()].story_bytes
            records.remove(story_key(id))
        del self._by_id[id]
        records.remove(_key(id))
        return id


def _ended(saga: OpenSaga, number: int, led_ms: int, story_bytes: int) -> EndedSaga:
    assert saga.decision is not None
    begun = saga.begun
    skipped = sum(step.state is StepState.SKIPPED for step in saga.steps.values())
    return EndedSaga(
        saga.id, number, begun.name, begun.kind, input_digest(begun.input), saga.decision, saga.reason, begun.wall_ms,
        saga.decided_wall_ms, saga.ended_wall_ms, led_ms, len(saga.steps), skipped, story_bytes,
    )  # fmt: skip


def _key(id: str) -> bytes:
    return ENDED + id.encode()


def _encode(saga: EndedSaga) -> bytes:
    walls = saga.began_wall_ms, saga.decided_wall_ms, saga.ended_wall_ms
    return _pack((
        saga.number, saga.name, int(saga.kind), saga.digest, int(saga.decision), saga.reason, walls, saga.led_ms,
        saga.steps, saga.skipped, saga.story_bytes,
    ))  # fmt: skip


def _decode(id: str, value: bytes) -> EndedSaga:
    raw = msgpack.unpackb(value, use_list=False)
    number, name, kind, digest, decision, reason, walls, led_ms, steps, skipped, story_bytes = raw[:11]
    began, decided, ended = walls[:3]
    return EndedSaga(
        id, number, name, SagaKind(kind), digest, Decision(decision), reason, began, decided, ended, led_ms, steps,
        skipped, story_bytes,
    )  # fmt: skip
