"""A program that takes sagas at the sidecar of its host: by code, and declared ones.

Owns: what it asks next, what it does when an answer is missing, and when it dies. Never knows: what becomes of a saga
that it is not told.

Each saga is one generator: it yields calls, which are made at the same time, and gets their answers; or it yields
seconds, and goes on after them. Where the sidecar ends, the answer is `gone`: once there is another process, the
program connects to it and repeats its call, until it has no more patience. What a program does beside that, in some:

    raises    leaves with an exception: abort
    dies      the program is killed, and starts anew without its sagas
    drops     its connection breaks, and comes back with the same sagas
    early     commits while steps are under way
    late      commits once more after its commit, and takes a step
    again     begins the same saga once more, or another one with its id
    renames   takes another step under a name that it has used
    forgets   neither commits nor aborts, and keeps its connection
"""

import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gossipreg.sagas.saga_model import read_saga
from simulations.orchestrating.saga_run import SagaRun, Told, WantedStep

if TYPE_CHECKING:
    from simulations.orchestrating.process import SagaProcess
    from simulations.orchestrating.workload import SagaDraw
    from simulations.world import World

TWISTS = ("raises", "dies", "drops", "early", "late", "again", "renames", "forgets")
_PASSING = frozenset(
    {"gone", "unavailable", "busy", "not_synced", "too_few_copies", "journal_full", "outcome_unknown", "not_here"}
)
"""What a program asks again after."""
_PATIENCE_S = 60.0
_AGAIN_S = (0.2, 1.5)
_DOWN_S = (0.1, 15.0)
_DROPPED_S = (0.1, 14.0)


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    params: dict[str, Any]
    step: str = ""
    """Its name, where the call is about one."""
    changed: bool = False
    """It asks for something else under a name that was used before."""


Answer = tuple[str, Any]
"""(code, result)"""
Body = Generator[float | list[Call], list[Answer], None]


class Program:
    def __init__(
        self, world: "World", host: int, draw: "SagaDraw", gap_s: float, kept_s: float, rng: random.Random
    ) -> None:
        """`draw` gives the next saga; `gap_s`: the mean time between two of them; `kept_s`: how long an id counts once
        after its saga has ended."""
        self.host = host
        self.runs: list[SagaRun] = []
        self.stopped = False
        """It begins nothing new, and does nothing on purpose that it should not."""
        self._world = world
        self._draw = draw
        self._gap_s = gap_s
        self.begins_s = min(_PATIENCE_S, kept_s)
        """How long it begins a saga again of which it has no answer: later, the id could count anew."""
        self._rng = rng
        self._process: SagaProcess | None = None
        self._starts = 0
        self._takers: dict[_Taker, None] = {}
        """Of the sagas that it takes now."""
        self._down = False

    # -- its life ----------------------------------------------------------------------------------------------------

    def begin(self, process: "SagaProcess") -> None:
        """Its sidecar is this process now: it connects, and goes on with its sagas."""
        self._process = process
        for taker in [*self._takers]:
            self._later(self._rng.uniform(*_AGAIN_S), taker.reconnect)

    def run(self) -> None:
        """Begin a saga, then another one after a while."""
        if self.stopped:
            return
        process = self._process
        if process is not None and process.runs and not self._down:
            self._later(0.0, self._take_next)
        self._world.after(self._rng.expovariate(1 / self._gap_s), self.run)

    @property
    def busy(self) -> bool:
        return bool(self._takers)

    def die(self) -> None:
        """It is killed: its connection closes."""
        if self._down:
            return
        self._down = True
        self._starts += 1
        takers, self._takers = self._takers, {}
        for taker in takers:
            taker.end()
        self._world.after(self._rng.uniform(*_DOWN_S), self._rise)

    def _rise(self) -> None:
        self._down = False

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call this, if its sidecar is still the same process, and the program has not died."""
        process, starts = self._process, self._starts
        assert process is not None, "only a program with a sidecar waits"

        def run() -> None:
            if process.runs and process is self._process and starts == self._starts:
                call()

        def to_process() -> None:
            if process.runs:
                self._world.to_process(process.host, run, network=False)

        self._world.after(seconds, to_process)

    def _take_next(self) -> None:
        run = self._draw(self.host, len(self.runs))
        self.runs.append(run)
        taker = _Taker(self, run, self._rng)
        self._takers[taker] = None
        taker.go_on([])

    # -- for takers --------------------------------------------------------------------------------------------------

    def ended(self, taker: "_Taker") -> None:
        self._takers.pop(taker, None)

    @property
    def process(self) -> "SagaProcess | None":
        return self._process if self._process is not None and self._process.runs else None

    def wait(self, seconds: float, call: Callable[[], None]) -> None:
        self._later(seconds, call)

    @property
    def now(self) -> float:
        return self._world.now


class _Taker:
    """Takes one saga: makes the calls that its body yields, and hands it the answers."""

    def __init__(self, program: Program, run: SagaRun, rng: random.Random) -> None:
        self.run = run
        self._program = program
        self._rng = rng
        self._began = program.now
        self._body = self._whole()
        self._calls: list[Call] = []
        self._answers: dict[int, Answer] = {}
        """By place: those of the calls that it waits for."""
        self._tickets: list[tuple[SagaProcess, int]] = []
        """Of the calls that it waits for."""
        self._round = 0
        self._connected: SagaProcess | None = None
        """The process that knows of the connection."""
        self._over = False

    # -- driving the body --------------------------------------------------------------------------------------------

    def go_on(self, answers: list[Answer]) -> None:
        """Hand the body these answers, and do what it asks next."""
        self._round += 1
        self._calls, self._answers, self._tickets = [], {}, []
        try:
            asked = self._body.send(answers) if answers else next(self._body)
        except StopIteration:
            self.end()
            return
        if isinstance(asked, float):
            self._program.wait(asked, partial(self._slept, self._round))
            return
        self._calls = asked
        for place, call in enumerate(asked):
            self._make(place, call)

    def _slept(self, number: int) -> None:
        if number == self._round and not self._over:
            self.go_on([])

    def _make(self, place: int, call: Call) -> None:
        process, number, asked_at = self._program.process, self._round, self._program.now
        if process is None:
            return  # `reconnect` follows
        self._connect(process)
        self.run.begins += call.method == "begin"
        answered = partial(self._answered, number, place, asked_at)
        self._tickets.append((process, process.call(call.method, call.params, answered)))

    def _answered(self, number: int, place: int, asked_at: float, code: str, result: Any) -> None:
        if number != self._round or self._over or self._program.process is None:
            return
        call = self._calls[place]
        told = Told(self.run, call.method, call.step, code, result, asked_at, call.changed)
        self.run.told.append(told)
        self._program.process.told(told)
        self._answers[place] = code, result
        if len(self._answers) == len(self._calls):
            answers = [self._answers[one] for one in range(len(self._calls))]
            self._program.wait(0.0, partial(self._hand, number, answers))

    def _hand(self, number: int, answers: list[Answer]) -> None:
        if number == self._round and not self._over:
            self.go_on(answers)

    def reconnect(self) -> None:
        """There is another process of the sidecar: what it was asked is gone."""
        if self._over:
            return
        process = self._program.process
        if process is not None:
            self._connect(process)
        if self._calls:
            self._round += 1  # answers to what was asked before are void
            self._hand(self._round, [("gone", {})] * len(self._calls))
        else:
            self._hand(self._round, [])

    def end(self) -> None:
        """It takes no more care of the saga."""
        if self._over:
            return
        self._over = self.run.over = True
        self._body.close()
        self._program.ended(self)
        self._disconnect()

    # -- its connection ----------------------------------------------------------------------------------------------

    def _connect(self, process: "SagaProcess") -> None:
        if self.run.saga is not None and self.run.by_code and self._connected is not process:
            self._connected = process
            process.program(self.run.saga, here=True)

    def _disconnect(self) -> None:
        for asked, ticket in self._tickets:
            if asked.runs:
                asked.abandon(ticket)
        self._tickets = []
        process, self._connected = self._connected, None
        if process is not None and process.runs and self.run.saga is not None:
            process.program(self.run.saga, here=False)

    # -- the body ----------------------------------------------------------------------------------------------------

    def _whole(self) -> Body:
        if self.run.by_code:
            yield from self._by_code()
        else:
            yield from self._declared()

    def _ask(
        self, *calls: Call, patience_s: float = _PATIENCE_S
    ) -> Generator[float | list[Call], list[Answer], list[Answer]]:
        """Make these calls at the same time, again where it makes sense, until there is no patience left."""
        answers: list[Answer | None] = [None] * len(calls)
        while True:
            places = [place for place, answer in enumerate(answers) if answer is None or answer[0] in _PASSING]
            found = yield [calls[place] for place in places]
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer
            known = [answer for answer in answers if answer is not None]
            if all(code not in _PASSING for code, _ in known):
                return known
            if self._program.now - self._began > patience_s:
                return known
            yield self._rng.uniform(*_AGAIN_S)

    def _begin(self, input: bytes) -> Call:
        run = self.run
        params: dict[str, Any] = {
            "name": run.name, "id": run.id, "input": input, "timeout_ms": run.timeout_ms, "traceparent": "",
            "strict": run.strict,
        }  # fmt: skip
        return Call("begin", params, changed=input != run.input)

    def _step(self, step: WantedStep, method: str = "step") -> Call:
        return Call(method, {"saga": str(self.run.saga), "step": step.template}, step.name)

    def _named(self, method: str, **more: object) -> Call:
        return Call(method, {"saga": str(self.run.saga), **more})

    def _by_code(self) -> Body:
        run = self.run
        ((code, result),) = yield from self._ask(self._begin(run.input), patience_s=self._program.begins_s)
        if code == "exists" and run.begins > 1:
            # it was begun by a call whose answer was lost: its body does not run
            run.saga = read_saga(result["saga"])
            yield from self._abort("its beginning was not answered")
        if code:
            return  # refused, or it exists: the body does not run
        run.saga = read_saga(result["saga"])
        if self._program.process is not None:
            self._connect(self._program.process)
        for place, group in enumerate(run.groups):
            failed = yield from self._take(place, group)
            if failed:
                yield from self._abort(failed)
                return
            yield self._rng.uniform(0.0, 0.3)
        for step in run.after:
            yield from self._ask(self._step(step, "after"))
        if run.twist == "forgets" and not self._program.stopped:
            yield 25.0
            return
        ((code, result),) = yield from self._ask(self._named("commit"))
        if code == "":
            run.state = result["state"]
        elif code == "aborted":
            run.state = "aborted"
        elif code == "not_done":
            yield from self._abort("a step is not done")
        if run.twist == "late":
            yield from self._ask(self._named("commit"))
            late = replace(run.groups[0][0], name="late", template={**run.groups[0][0].template, "name": "late"})
            yield from self._ask(self._step(late))

    def _take(self, place: int, group: Sequence[WantedStep]) -> Generator[float | list[Call], list[Answer], str]:
        """Take these steps at the same time. Returns why to abort, if so."""
        twist = self.run.twist if place == self.run.twist_at and not self._program.stopped else ""
        calls = [self._step(step) for step in group]
        match twist:
            case "raises":
                return "the program raised ValueError"
            case "dies":
                self._program.wait(self._rng.uniform(0.0, 1.0), self._program.die)
            case "drops":
                self._program.wait(self._rng.uniform(0.0, 1.0), self._drop)
            case "early":
                answers = yield from self._ask(*calls, self._named("commit"))
                return self._judge(group, answers[:-1])
            case "again":
                input = self.run.input if self._rng.random() < 0.5 else b'{"other": true}'
                yield from self._ask(self._begin(input))
        answers = yield from self._ask(*calls)
        if twist == "renames":
            other = replace(group[0], template={**group[0].template, "path": "/do/another/{key}"})
            yield from self._ask(replace(self._step(other), changed=True))
        return self._judge(group, answers)

    def _judge(self, group: Sequence[WantedStep], answers: Sequence[Answer]) -> str:
        for step, (code, result) in zip(group, answers, strict=True):
            if code:
                return f"step {step.name} failed: {code}"
            state = result["state"]
            if state != "done" and not (state == "refused" and step.optional):
                return f"step {step.name} is {state}"
        return ""

    def _abort(self, reason: str) -> Body:
        ((code, result),) = yield from self._ask(self._named("abort", reason=reason))
        self.run.state = result["state"] if code == "" else code if code == "committed" else ""

    def _drop(self) -> None:
        """The connection breaks, and comes back: what it waited for is asked again."""
        if not self._over:
            self._disconnect()
            self._program.wait(self._rng.uniform(*_DROPPED_S), self.reconnect)

    def _declared(self) -> Body:
        run = self.run
        params = {"definition": run.definition, "id": run.id, "input": run.input, "traceparent": ""}
        ((code, result),) = yield from self._ask(Call("run", params), patience_s=self._program.begins_s)
        if code in ("", "exists"):
            run.saga = read_saga(result["saga"])
        if run.saga is None:
            return
        if run.twist == "dies" and not self._program.stopped:
            self._program.wait(self._rng.uniform(0.0, 1.0), self._program.die)
        wait = self._named("wait", until="ended", timeout_ms=20_000)
        for _ in range(5):
            ((code, result),) = yield from self._ask(wait)
            if code == "" and result["state"] == "ended":
                run.state = "committed" if result["decision"] == "commit" else "aborted"
                return
