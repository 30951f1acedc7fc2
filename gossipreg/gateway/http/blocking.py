"""Questions that wait until their answer changes, and the index of each answer (X-Consul-Index).

Owns: for each recent question, the digest and the index of its answer, and the connections that wait until the answer
changes. Never knows: what a question means. `render` makes the answer, `topics` names the changes that it depends on.

The index of an answer grows when the answer changes, and at no other time: a change of the table that leaves the answer
equal wakes no client. All indexes come from one counter, which starts at the wall clock in microseconds. So a restarted
sidecar continues above the indexes that it gave out before. They stay below 2^53, the largest integer of JavaScript,
until the year 2255.

If a question was forgotten and is asked again, its answer gets the newest index. So a client that waits with an older
index is answered at once, perhaps with the answer that it has already. A client with an index larger than the answer's
has it from another sidecar, and is answered at once too.

A body is kept with what all answers depend on (`basis`: how much of the cluster is known). It is given out only
while that is the same: an empty list that was true says too much once the cluster is not known.

Bounds: 4,096 questions without waiting connections, and at most one question for each connection that waits.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

import trio

from gossipreg.blake2 import blake2b
from gossipreg.gateway.http.indexes import MAX_INDEX
from gossipreg.gateway.http.options import NO_OPTIONS, Options
from gossipreg.gateway.http.route import Route
from gossipreg.net.http_message import HttpError, Response, error_response, json_bytes

KEPT_MAX = 4096
"""Questions without waiters whose index is kept."""
KEPT_BYTES = 16 << 20
"""Bodies are kept as long as nothing that they depend on changes. Those of all questions together take at most these
bytes: when there are more, all are dropped. One about 1,000 instances takes 1 MiB."""
FRESH_S = 1.0
"""How long a kept body is given out. Answers contain the output of the checks of what is registered here, and no
change of that output is reported."""
BROAD_S = 0.1
"""The shortest interval between two renderings of the questions about the whole cluster."""
BROAD_SHARE = 0.1
"""The largest share of the time that those renderings may take: in a large registry one takes tens of milliseconds."""
TURN = 32
"""The number of waiting connections that are answered before other tasks get a turn."""

BELOW = b"/v1/"
"""The path below which questions may wait."""

Topic = tuple[str, str]
ALL: Topic = ("all", "")
"""The topic of every change."""


class Question(NamedTuple):
    """A request without its client: clients with equal questions share one answer."""

    route: Route
    args: tuple[str, ...]
    """The texts that stand in the path in place of the route's {braces}."""
    options: Options = NO_OPTIONS


class Record:
    __slots__ = ("basis", "body", "digest", "index", "looked_at", "question", "topics", "waiting")

    def __init__(self, question: Question, topics: tuple[Topic, ...]) -> None:
        self.question = question
        self.topics = topics
        self.digest = b""
        self.index = 0
        self.body: bytes | None = None
        """The answer as it was sent last; None: something may have changed, or too much is kept."""
        self.basis: Hashable = None
        """With which the body was made."""
        self.looked_at = 0.0
        self.waiting: dict[Any, Waiting] = {}


@dataclass(frozen=True, slots=True)
class Found:
    index: int
    value: Any
    """The answer before it was encoded; None if a kept `body` is given out."""
    body: bytes


Present = Callable[[Found], Response]
"""Makes the response from the answer. Equal `Present` values make equal responses, so each response is made once."""


class Waiting:
    """A question that waits; the server parks a connection with it."""

    __slots__ = ("_answers", "deadline", "index", "present", "record")

    def __init__(self, answers: "Answers", record: Record, present: Present, deadline: float) -> None:
        self._answers = answers
        self.record = record
        self.index = record.index
        """The index of the answer that the client has."""
        self.present = present
        self.deadline = deadline

    def park(self, connection: Any) -> None:
        self._answers.park(self, connection)

    def leave(self, connection: Any) -> None:
        self._answers.leave(self, connection)

    def now(self) -> Response:
        try:
            return self.present(self._answers.ask(self.record.question))
        except HttpError as error:
            return error_response(error, BELOW)


class Answers:
    def __init__(
        self, render: Callable[[Question], Any], topics: Callable[[Question], tuple[Topic, ...]],
        *, basis: Callable[[], Hashable], send: Callable[[Any, Waiting, Response], None],
        clock_us: Callable[[], int], bug: Callable[[str, Exception], None],
    ) -> None:  # fmt: skip
        """`render` gives a question's answer as it is now, ready for JSON; `basis` gives what every answer depends on,
        beside its topics; `send(connection, waiting, response)` sends the response for which a connection waits."""
        self._basis = basis
        self._send = send
        self.woken = 0
        """Waiting questions that were answered because their answer changed."""
        self._render = render
        self._topics = topics
        self._clock_us = clock_us
        self._bug = bug
        self._last = min(clock_us(), MAX_INDEX)
        self._records: dict[Question, Record] = {}
        """The questions without waiters are in the order in which they were asked, oldest first."""
        self._by_topic: dict[Topic, dict[Record, None]] = {}
        self._kept = 0
        self._kept_bytes = 0
        """In the bodies of all records."""
        self._dirty: dict[Record, None] = {}
        self._broad: dict[Record, None] = {}
        self._wake = trio.Event()

    @property
    def waiting(self) -> int:
        return sum(len(record.waiting) for record in self._records.values())

    def ask(self, question: Question) -> Found:
        record = self._record(question)
        now = trio.current_time()
        if record.body is not None and now - record.looked_at < FRESH_S and record.basis == self._basis():
            return Found(record.index, None, record.body)
        return self._look(record, now)

    def wait(self, question: Question, present: Present, deadline: float) -> Waiting:
        """Return the wait for the next change of this answer."""
        return Waiting(self, self._record(question), present, deadline)

    def park(self, waiting: Waiting, connection: Any) -> None:
        if not waiting.record.waiting:
            self._kept -= 1
        waiting.record.waiting[connection] = waiting

    def leave(self, waiting: Waiting, connection: Any) -> None:
        record = waiting.record
        if record.waiting.get(connection) is waiting:
            del record.waiting[connection]
            if not record.waiting:
                self._idle(record)

    def changed(self, topics: Iterable[Topic]) -> None:
        """The answers that depend on these topics may have changed."""
        for topic in (*topics, ALL):
            for record in self._by_topic.get(topic, ()):
                self._keep(record, None)
                if record.waiting:
                    (self._broad if topic == ALL else self._dirty)[record] = None
        if self._dirty or self._broad:
            self._wake.set()

    async def run(self) -> None:
        """Render the questions that may have changed, and answer the connections that wait. Until cancelled."""
        broad_at = -inf
        while True:
            with trio.move_on_at(broad_at if self._broad else inf):
                await self._wake.wait()
            self._wake = trio.Event()
            dirty, self._dirty = self._dirty, {}
            await self._look_at(dirty)
            if self._broad and trio.current_time() >= broad_at:
                broad, self._broad = self._broad, {}
                start = trio.current_time()
                await self._look_at(broad)
                end = trio.current_time()
                broad_at = end + max(BROAD_S, (end - start) * (1 / BROAD_SHARE - 1))

    # -- leaves --------------------------------------------------------------------------------------------------------

    def _record(self, question: Question) -> Record:
        record = self._records.get(question)
        if record is None:
            record = self._records[question] = Record(question, self._topics(question))
            record.index = self._last
            for topic in record.topics:
                self._by_topic.setdefault(topic, {})[record] = None
            self._kept += 1
            self._forget_some()
        elif not record.waiting:
            self._records[question] = self._records.pop(question)  # asked last
        return record

    def _look(self, record: Record, now: float) -> Found:
        value = self._render(record.question)
        body = json_bytes(value)
        digest = blake2b(body, digest_size=16).digest()
        if digest != record.digest:
            record.index = self._last = min(max(self._last + 1, self._clock_us()), MAX_INDEX)
            if record.digest and record.waiting:
                self._dirty[record] = None
                self._wake.set()
            record.digest = digest
        record.looked_at, record.basis = now, self._basis()
        self._keep(record, body if record.topics else None)
        return Found(record.index, value, body)

    def _keep(self, record: Record, body: bytes | None) -> None:
        """Keep this body of a record from now on, in the place of the one before."""
        self._kept_bytes += len(body or b"") - len(record.body or b"")
        record.body = body
        if self._kept_bytes > KEPT_BYTES:
            self._kept_bytes = 0
            for one in self._records.values():
                one.body = None

    async def _look_at(self, records: dict[Record, None]) -> None:
        answered = 0
        for record in records:
            if not record.waiting:
                continue
            try:
                answered = await self._look_again(record, answered)
            except Exception as error:
                self._bug("http_blocking", error)
            await trio.lowlevel.checkpoint()

    async def _look_again(self, record: Record, answered: int) -> int:
        found: Found | HttpError
        try:
            found = self._look(record, trio.current_time())
        except HttpError as error:  # a filter that has become too much work
            found = error
            waiting = dict(record.waiting)
        else:
            waiting = {connection: one for connection, one in record.waiting.items() if one.index != record.index}
        self._dirty.pop(record, None)
        made: dict[Present, Response] = {}
        for connection, one in waiting.items():
            response = made.get(one.present)
            if response is None:
                response = error_response(found, BELOW) if isinstance(found, HttpError) else one.present(found)
                made[one.present] = response
            self.leave(one, connection)
            self.woken += 1
            self._send(connection, one, response)
            answered += 1
            if answered % TURN == 0:
                await trio.lowlevel.checkpoint()
        return answered

    def _idle(self, record: Record) -> None:
        """The last connection that waited for this answer is gone."""
        self._dirty.pop(record, None)
        self._broad.pop(record, None)
        self._kept += 1
        self._records[record.question] = self._records.pop(record.question)
        self._forget_some()

    def _forget_some(self) -> None:
        """If there are too many questions without waiting connections, forget those that were asked longest ago."""
        if self._kept <= KEPT_MAX:
            return
        for question, record in list(self._records.items()):
            if not record.waiting:
                del self._records[question]
                self._keep(record, None)
                for topic in record.topics:
                    of_topic = self._by_topic[topic]
                    del of_topic[record]
                    if not of_topic:
                        del self._by_topic[topic]
                self._kept -= 1
                if self._kept <= KEPT_MAX * 3 // 4:
                    return
