"""A program that is an instance of a group: it subscribes at the sidecar of its host, and handles events.

Owns: what it does with an event, and when it subscribes again. Never knows: what others of its group do.

What a handler does is in the event's data, or drawn for each handling while faults are on:

    ok       takes 1 ms to 5 s, most often little; then acknowledges. It renews its time while it runs.
    reject   never wants it
    fail     asks for it to be delivered again, every time
    crash    the program dies while it handles it, every time
    drawn    fails, asks for a wait, hangs until its time is over, acknowledges late, crashes: now and then
"""

import random
from functools import partial
from typing import TYPE_CHECKING

from gossipreg.events.effects import HandleEvent
from gossipreg.events.messages import DeliveryResult

if TYPE_CHECKING:
    from simulations.eventing.process import EventProcess

POISON = (b"reject", b"fail", b"crash")
"""What every handler of such an event does with it."""
_DRAWN = (("ok", 84), ("fail", 6), ("wait", 3), ("late", 2), ("hang", 2), ("crash", 3))
"""What a handler does with any other, and how often in a hundred times."""
_PROGRAM_DOWN_S = (0.1, 4.0)
_STEADY_DOWN_S = (0.1, 0.3)
"""Once faults have ended it is started again at once: a group of one program may have dozens of events behind it of
which each kills it three times, and the time until all is handled has a bound."""
_BEGIN_S = (0.0, 1.5)
"""From the start of its sidecar, or of the program, until it subscribes."""


class Subscriber:
    def __init__(
        self, group: str, patterns: tuple[str, ...], *, host: int, window: int, max_attempts: int, ack_timeout_s: float,
        hold: bool, past: bool, rng: random.Random,
    ) -> None:  # fmt: skip
        self.group = group
        """Empty: broadcast."""
        self.hold = hold
        """A dead letter of it holds its key."""
        self.past = past
        """It begins with the events that are kept."""
        self.patterns = patterns
        self.host = host
        """The number of the host on which it runs."""
        self.window = window
        self.max_attempts = max_attempts
        self.ack_timeout_s = ack_timeout_s
        self.steady = False
        """Faults have ended: it handles everything but poisonous events."""
        self.begun = False
        """It was started, and so runs whenever its sidecar does."""
        self.ran = False
        """It has subscribed."""
        self._rng = rng
        self._process: EventProcess | None = None
        self._number = 0
        """Of its subscription; 0: it has none."""
        self._running: dict[int, HandleEvent] = {}

    # -- its life ----------------------------------------------------------------------------------------------------

    def begin(self, process: "EventProcess | None") -> None:
        """The program is started, or its sidecar is a new process: None, that does not run now."""
        self._process, self._number = process, 0
        self._running.clear()
        if process is not None and self.begun:
            self._later(self._rng.uniform(*_BEGIN_S), partial(self._subscribe, process))

    def _subscribe(self, process: "EventProcess") -> None:
        if process is self._process and not self._number:
            self._number = process.subscribe(self)
            self.ran = True

    def _crash(self) -> None:
        process, number = self._process, self._number
        if process is None or not number:
            return
        self._number = 0
        running, self._running = self._running, {}
        process.hang_up(number, running)
        down_s = _STEADY_DOWN_S if self.steady else _PROGRAM_DOWN_S
        self._later(self._rng.uniform(*down_s), partial(self._subscribe, process))

    def _later(self, seconds: float, call: "partial[None]") -> None:
        process = self._process
        assert process is not None, "only a program that runs waits"
        host, world = process.host, process.process.world

        def to_process() -> None:
            if process.runs and process is self._process:
                world.to_process(host, run, network=False)

        def run() -> None:
            if process.runs and process is self._process:
                call()

        world.after(seconds, to_process)

    # -- events ------------------------------------------------------------------------------------------------------

    def handle(self, handed: HandleEvent) -> None:
        """Its sidecar hands it an event. Nobody waits for what becomes of a broadcast."""
        if not handed.group:
            self._later(self._takes_s(), partial(self._take, handed))
            return
        self._running[handed.number] = handed
        does, takes_s = self._does(handed), self._takes_s()
        match does:
            case "ok" | "late":
                if does == "late":
                    takes_s = self.ack_timeout_s * self._rng.uniform(1.0, 1.5)
                elif takes_s > self.ack_timeout_s / 2:
                    self._later(self.ack_timeout_s / 2, partial(self._renew, handed))
                self._later(takes_s, partial(self._answer, handed, DeliveryResult.ACKED))
            case "reject":
                self._later(takes_s, partial(self._answer, handed, DeliveryResult.REJECTED))
            case "fail":
                self._later(takes_s, partial(self._answer, handed, DeliveryResult.FAILED))
            case "wait":
                self._later(takes_s, partial(self._answer, handed, DeliveryResult.FAILED, self._rng.randint(1, 3000)))
            case "crash":
                self._later(takes_s, partial(self._crash_of, handed))
            case _:
                pass  # it hangs

    def drop(self, number: int) -> None:
        """Nobody waits for this any more. A handler that acknowledges late does so all the same."""

    def _does(self, handed: HandleEvent) -> str:
        for word in POISON:
            if word in handed.event:
                return word.decode()
        if self.steady:
            return "ok"
        words, weights = zip(*_DRAWN, strict=True)
        chosen: str = self._rng.choices(words, weights)[0]
        return chosen

    def _takes_s(self) -> float:
        rng = self._rng
        return float(0.001 * 10 ** rng.uniform(0, 1.5) if rng.random() < 0.96 else 0.03 * 10 ** rng.uniform(0, 2.2))

    def _renew(self, handed: HandleEvent) -> None:
        process = self._process
        if process is not None and handed.number in self._running and process.renew(handed):
            self._later(self.ack_timeout_s / 2, partial(self._renew, handed))

    def _answer(self, handed: HandleEvent, result: DeliveryResult, after_ms: int = 0) -> None:
        process = self._process
        if process is not None and self._running.pop(handed.number, None) is handed:
            process.answer(self, handed, result, after_ms)

    def _take(self, handed: HandleEvent) -> None:
        process = self._process
        if process is not None and self._number == handed.subscription:
            process.take(handed)

    def _crash_of(self, handed: HandleEvent) -> None:
        if self._running.get(handed.number) is handed:
            self._crash()
