"""When checks run, and what follows from what they say.

Owns the health of each check and of each service with checks (the worst of its checks), when each is due, and the
bounds: so many run at once, in the order in which they fell due, so that none is starved; commands apart from the
others, since they are dear. Never knows how a check is run, or what a service is beyond its id.

A check runs when it is set; where it is critical then, again soon, ever less often, until it has passed for the first
time or that would be as seldom as its interval: what starts beside its sidecar is found when it is up. Then it runs
once at a random moment of its interval, so that many set together are spread, and from there on at every interval. What
was missed because all places were taken is not made up for.

A result that is better than the health so far counts towards `passes`, one that is worse towards `fails`; enough of
them in a row, and the last one is the health. A result that agrees begins both counts anew. A ttl check hears
heartbeats instead, each of which counts at once.
"""

import heapq
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from math import ceil, inf

import trio

from gossipreg.daemon.checks import command, http, tcp
from gossipreg.daemon.checks.spec import CheckSpec, Kind, Outcome, Progress, check_ids, shortened
from gossipreg.errors import NotFound
from gossipreg.model import Health

Runner = Callable[[CheckSpec, Progress], Awaitable[Outcome]]
RUNNERS: Mapping[Kind, Runner] = {"http": http.run, "https": http.run, "tcp": tcp.run, "cmd": command.run}

CONNECTIONS_MAX = 128
"""Each takes a descriptor; and twelve thousand a second can be begun where each takes 10 ms."""
COMMANDS_MAX = 16
"""Each is a process or more, and a pipe."""

SOON_S, SOON_GROWTH = 0.2, 1.6
SOON_A_SECOND = 200
"""Where more services are checked than that, those that never passed are tried again no sooner than this allows."""


@dataclass(frozen=True, slots=True)
class CheckStatus:
    spec: CheckSpec
    health: Health
    output: str
    since_s: float
    """How long it has been of this health."""
    checked_s: float | None
    """How long ago it spoke last; None: never."""


@dataclass(slots=True, eq=False)
class _Check:
    service_id: str
    spec: CheckSpec
    health: Health
    since: float
    output: str = ""
    checked_at: float | None = None
    streak: int = 0
    """Results in a row on the same side of the health: below 0 better, above 0 worse."""
    due: float = inf
    """When it runs next; for a ttl, when its time is up."""
    soon_s: float = SOON_S
    """How long until it runs again, as long as it has not passed."""
    settled: bool = False
    """It runs at its interval."""
    runs: trio.CancelScope | None = None
    gone: bool = False


@dataclass(slots=True)
class _Lane:
    places: int
    running: int = 0
    waiting: deque[_Check] = field(default_factory=deque)


class Checks:
    def __init__(
        self,
        *,
        changed: Callable[[str, Health], None],
        expired: Callable[[str, str], None],
        kept_out: Callable[[str], None] = lambda _: None,
        rng: random.Random,
        bug: Callable[[str, Exception], None],
        runners: Mapping[Kind, Runner] = RUNNERS,
        connections_max: int = CONNECTIONS_MAX,
        commands_max: int = COMMANDS_MAX,
    ) -> None:
        """`changed(id, health)`: the health of this service is another one. `expired(id, why)`: one of its checks was
        critical for as long as it may be. `kept_out(id)`: a check of it has spoken for the first time, and not passed.
        `bug` is told of what runners and these raise."""
        self._changed = changed
        self._expired = expired
        self._kept_out = kept_out
        self._rng = rng
        self._bug = bug
        self._runners = runners
        self._services: dict[str, list[_Check]] = {}
        self._told: dict[str, Health] = {}
        self._connections, self._commands = _Lane(connections_max), _Lane(commands_max)
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._wake = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._runs = 0

    # -- what is checked ---------------------------------------------------------------------------------------------

    def health(self, service_id: str, checks: tuple[CheckSpec, ...], fresh: Health) -> Health:
        """The health that this service would have with these checks; those that are new to it begin as `fresh`."""
        known = {check.spec: check.health for check in self._services.get(service_id, ())}
        return max((known.get(spec, fresh) for spec in checks), default=Health.PASSING)

    def set(self, service_id: str, checks: tuple[CheckSpec, ...], fresh: Health) -> None:
        """Check this service so from now on. Checks that it has already go on as they are, new ones are `fresh` until
        they have spoken."""
        health = self.health(service_id, checks, fresh)
        before = {check.spec: check for check in self._services.pop(service_id, ())}
        self._told.pop(service_id, None)
        if checks:
            self._services[service_id] = [
                before.pop(spec) if spec in before else self._new(service_id, spec, fresh) for spec in checks
            ]
            self._told[service_id] = health
        for check in before.values():
            self._end(check)

    def remove(self, service_id: str) -> None:
        """Check it no more; what is running is ended."""
        self.set(service_id, (), Health.PASSING)

    def heartbeat(self, service_id: str, health: Health, note: str, check_id: str | None = None) -> None:
        """The answer to its ttl checks, or to one of them. Raises NotFound where it has none."""
        known = self._services.get(service_id, [])
        called = check_ids(service_id, [check.spec for check in known])
        checks = [
            check
            for check, id in zip(known, called, strict=True)
            if check.spec.kind == "ttl" and check_id in (None, id)
        ]
        if not checks:
            raise NotFound(f"no service {service_id!r} with a ttl check is registered here: see `gossipreg info`")
        for check in checks:
            self._set_due(check, trio.current_time() + check.spec.interval_s)
            self._said(check, Outcome(health, shortened(note)), at_once=True)

    def statuses(self, service_id: str) -> tuple[CheckStatus, ...]:
        checks = self._services.get(service_id)
        if checks is None:
            return ()
        now = trio.current_time()
        return tuple(
            CheckStatus(
                check.spec, check.health, _shown(check), now - check.since,
                None if check.checked_at is None else now - check.checked_at,
            )
            for check in checks
        )  # fmt: skip

    def counts(self) -> dict[str, int]:
        """Figures for the operator."""
        lanes = (self._connections, self._commands)
        return {
            "checks": sum(map(len, self._services.values())),
            "checks_running": sum(lane.running for lane in lanes),
            "checks_waiting": sum(len(lane.waiting) for lane in lanes),
            "checks_run": self._runs,
        }

    # -- when --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as self._nursery:
            while True:
                while self._timers and self._timers[0][0] <= trio.current_time():
                    heapq.heappop(self._timers)[2]()
                for lane in (self._connections, self._commands):
                    self._fill(lane)
                with trio.move_on_at(self._timers[0][0] if self._timers else inf):
                    await self._wake.wait()
                self._wake = trio.Event()

    def _at(self, when: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (when, next(self._order), call))
        self._wake.set()

    def _new(self, service_id: str, spec: CheckSpec, health: Health) -> _Check:
        now = trio.current_time()
        check = _Check(service_id, spec, health, now)
        self._set_due(check, now + spec.interval_s if spec.kind == "ttl" else now)
        if spec.kind != "ttl":
            self._watch_expiry(check)
        return check

    def _end(self, check: _Check) -> None:
        check.gone = True
        if check.runs is not None:
            check.runs.cancel()

    def _set_due(self, check: _Check, when: float) -> None:
        check.due = when
        self._at(when, lambda: self._on_due(check, when))

    def _on_due(self, check: _Check, when: float) -> None:
        if check.gone or check.due != when:
            return
        if check.spec.kind == "ttl":
            if check.checked_at is None:  # it may be critical from now on; until now it could not be otherwise
                check.since = trio.current_time()
                self._watch_expiry(check)
            self._said(check, Outcome(Health.CRITICAL, f"no heartbeat for {check.spec.interval_s:g}s"), at_once=True)
            return
        self._lane(check).waiting.append(check)

    def _next_due(self, check: _Check, passed: bool) -> float:
        now, interval_s = trio.current_time(), check.spec.interval_s
        if check.settled:
            return check.due + interval_s * max(1, ceil((now - check.due) / interval_s))
        wait_s = max(check.soon_s, len(self._services) / SOON_A_SECOND)
        if check.health is Health.CRITICAL and not passed and wait_s < interval_s:
            check.soon_s = wait_s * SOON_GROWTH
            return now + wait_s * (0.75 + self._rng.random() / 2)
        check.settled = True
        return now + self._rng.random() * interval_s

    def _lane(self, check: _Check) -> _Lane:
        return self._commands if check.spec.kind == "cmd" else self._connections

    def _fill(self, lane: _Lane) -> None:
        """Start what waits, as far as there are places."""
        while self._nursery is not None and lane.waiting and lane.running < lane.places:
            check = lane.waiting.popleft()
            if not check.gone:
                lane.running += 1
                self._nursery.start_soon(self._run_one, check)

    async def _run_one(self, check: _Check) -> None:
        lane = self._lane(check)
        self._runs += 1
        try:
            with trio.CancelScope() as check.runs:
                outcome = await self._outcome(check.spec)
        finally:
            check.runs = None
            lane.running -= 1
            self._wake.set()
        if not check.gone:
            self._said(check, outcome)
            self._set_due(check, self._next_due(check, outcome.health is Health.PASSING))

    async def _outcome(self, spec: CheckSpec) -> Outcome:
        progress = Progress()
        try:
            with trio.move_on_after(spec.timeout_s):
                return await self._runners[spec.kind](spec, progress)
        except Exception as error:
            self._bug("check", error)
            return Outcome(Health.CRITICAL, "this check failed inside the sidecar, and its log says how")
        why = f"no answer within {spec.timeout_s:g}s"
        return Outcome(Health.CRITICAL, shortened(f"{why}: {progress.text}" if progress.text else why))

    # -- what follows ------------------------------------------------------------------------------------------------

    def _said(self, check: _Check, outcome: Outcome, *, at_once: bool = False) -> None:
        now, first = trio.current_time(), check.checked_at is None
        check.checked_at, check.output = now, outcome.output
        check.streak, health = damped(check.health, outcome.health, check.streak, check.spec)
        if at_once:
            check.streak, health = 0, outcome.health
        if health is not check.health:
            check.health, check.since = health, now
            self._watch_expiry(check)
            self._tell(check.service_id)
        elif first and health is not Health.PASSING:
            self._kept_out(check.service_id)

    def _tell(self, service_id: str) -> None:
        """Say it where the health of the service is another one than was said."""
        health = max(check.health for check in self._services[service_id])
        if health is not self._told[service_id]:
            self._told[service_id] = health
            try:
                self._changed(service_id, health)
            except Exception as error:
                self._bug("check", error)

    def _watch_expiry(self, check: _Check) -> None:
        limit_s, since = check.spec.deregister_after_s, check.since
        if limit_s is None or check.health is not Health.CRITICAL:
            return

        def look() -> None:
            if not check.gone and check.health is Health.CRITICAL and check.since == since:
                try:
                    self._expired(check.service_id, f"{check.spec.text} was critical for {limit_s:g}s")
                except Exception as error:
                    self._bug("check", error)

        self._at(since + limit_s, look)


def _shown(check: _Check) -> str:
    """What it said last, and how far it is on its way to another health."""
    if check.checked_at is None:
        return "no heartbeat yet" if check.spec.kind == "ttl" else "no result yet"
    if check.streak < 0:
        return f"{check.output}; {-check.streak} of {check.spec.passes} in a row"
    if check.streak > 0:
        return f"{check.output}; {check.streak} of {check.spec.fails} in a row"
    return check.output


def damped(health: Health, said: Health, streak: int, spec: CheckSpec) -> tuple[int, Health]:
    """The streak and the health after a result."""
    if said is health:
        return 0, health
    streak = min(streak, 0) - 1 if said < health else max(streak, 0) + 1
    enough = streak <= -spec.passes or streak >= spec.fails
    return (0, said) if enough else (streak, health)
