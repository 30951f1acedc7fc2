"""A service that takes part in sagas: instances on some hosts, with common books, which take time and fail.

Owns: what an instance does with a request, and when it is down. Never knows: what a saga is, beyond the headers of a
request.

What happens to a request is drawn for each while faults are on:

    ok        takes 1 to 30 ms
    slow      takes up to 12 s: it is still working when the repeat comes, and answers after the deadline
    unheard   does it, and the answer is lost
    dies      does it, and the program crashes before it answers; it is down for a while
    fails     crashes before it does anything
    error     500 before it does anything
    busy      503 with Retry-After
    outside   a proxy answers with a 4xx, and the service never sees the request. To an undo it never says 404: that
              counts as undone, so a proxy that says so hides what is left
    declines  422 for good, if it may decline
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from simulations.host import Host
from simulations.orchestrating.key_ledger import HttpAnswer, KeyLedger, KeyState
from simulations.orchestrating.observer import SagaObserver

if TYPE_CHECKING:
    from simulations.world import World

UNDOES = "gossipreg-undoes"
KEY = "idempotency-key"
_DRAWN = (
    ("ok", 74), ("slow", 6), ("unheard", 4), ("dies", 3), ("fails", 2), ("error", 3), ("busy", 2), ("outside", 3),
    ("declines", 5),
)  # fmt: skip
"""How often in about a hundred times."""
_OUTSIDE = (400, 401, 404, 409, 413, 422, 429)
_DOWN_S = (0.05, 5.0)
_SLOW_S = (0.5, 12.0)

Reply = Callable[[HttpAnswer | None], None]
"""None: the connection ends without an answer."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def undoes(self) -> str:
        """The key of the step that it undoes; empty where it undoes none."""
        return self.headers.get(UNDOES, "")

    @property
    def key(self) -> str:
        return self.headers.get(KEY, "")

    @property
    def may_be_declined(self) -> bool:
        return not self.undoes and not self.path.startswith("/after/")


class Instance:
    def __init__(
        self, world: "World", ledger: KeyLedger, host: Host, port: int, watcher: SagaObserver, rng: random.Random
    ) -> None:
        self.ledger = ledger
        self.host = host
        self.name = f"{host.address.host}:{port}"
        self.steady = False
        """Faults have ended: it does what it is asked."""
        self._world = world
        self._watcher = watcher
        self._rng = rng
        self._starts = 1
        self._down = False

    @property
    def runs(self) -> bool:
        return not self._down

    def receive(self, request: HttpRequest, reply: Reply) -> None:
        """A request came: `reply` is called once, at once or later, unless the answer is never sent."""
        does = self._does(request)
        match does:
            case "error":
                self._later(self._brief_s(), lambda: reply(HttpAnswer(500)))
            case "busy":
                self._later(self._brief_s(), lambda: reply(HttpAnswer(503, retry_after_s=self._rng.choice([1.0, 3.0]))))
            case "outside":
                status = self._rng.choice([one for one in _OUTSIDE if one != 404 or not request.undoes])
                self._later(self._brief_s(), lambda: reply(HttpAnswer(status)))
            case "fails":
                self._crash(reply)
            case _ if request.undoes:
                self._later(self._takes_s(does), partial(self._undo, request, does, reply))
            case _:
                self._begin(request, does, reply)

    def _does(self, request: HttpRequest) -> str:
        if self.steady:
            return "ok"
        words, weights = zip(*_DRAWN, strict=True)
        chosen: str = self._rng.choices(words, weights)[0]
        return "ok" if chosen == "declines" and not request.may_be_declined else chosen

    def _brief_s(self) -> float:
        return float(0.001 * 30 ** self._rng.random())

    def _takes_s(self, does: str) -> float:
        return self._rng.uniform(*_SLOW_S) if does == "slow" else self._brief_s()

    # -- a request that the service sees -----------------------------------------------------------------------------

    def _begin(self, request: HttpRequest, does: str, reply: Reply) -> None:
        known = self.ledger.begin(request.key)
        if known is not None:
            self._later(self._brief_s(), lambda: reply(known))
            return
        starts = self._starts

        def work() -> None:
            if self._starts != starts:
                self.ledger.abandon(request.key)  # its transaction ended with the program
            else:
                self._work(request, does, reply)

        self._world.after(self._takes_s(does), work)

    def _work(self, request: HttpRequest, does: str, reply: Reply) -> None:
        if does == "declines":
            self._answer(self.ledger.decline(request.key), does, reply)
            return
        held = self.ledger.of(request.key).state is not KeyState.UNDONE
        if held:
            self._watcher.on_held(self, request.key)
        self._answer(self.ledger.do(request.key), does, reply)

    def _undo(self, request: HttpRequest, does: str, reply: Reply) -> None:
        self._watcher.on_undone(self, request.undoes)
        self._answer(self.ledger.undo(request.undoes), does, reply)

    def _answer(self, answer: HttpAnswer, does: str, reply: Reply) -> None:
        match does:
            case "unheard":
                pass
            case "dies":
                self._crash(reply)
            case _:
                reply(answer)

    # -- its life ----------------------------------------------------------------------------------------------------

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call this, if the program has not crashed meanwhile."""
        starts = self._starts
        self._world.after(seconds, lambda: call() if self._starts == starts else None)

    def _crash(self, reply: Reply) -> None:
        self._starts += 1
        self._down = True
        self._world.after(self._rng.uniform(*_DOWN_S), self.start)
        reply(None)

    def start(self) -> None:
        self._down = False
