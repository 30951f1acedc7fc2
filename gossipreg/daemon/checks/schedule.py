"""When checks run, and what follows from their results.

Owns: the health of each service with checks (the worst of its checks), the time at which each check is due, and the
limit on checks that run at the same time. If the limit is reached, the check that was due first runs first. Commands
have a limit of their own, because they cost more. Never knows: how a check is run, or what a service is beyond its id.

A check first runs when it is set. As long as it has not passed, it is retried after growing pauses, until a pause would
be as long as its interval: so a program that starts beside its sidecar is found soon after it is up. Then the check
runs once at a random moment within its interval, which spreads checks that were set together, and once per interval
after that. Runs of one check never overlap: after a run that was longer than the interval, the check waits for the next
multiple of the interval.

A result that is better than the present health counts towards `passes`, a worse one towards `fails`; after enough of
them in a row the last result becomes the health. A result equal to the present health resets the count. For a ttl check
each heartbeat is a result, and becomes the health at once. So does the first result after a start of the sidecar, and
the first result of a check that took over the health of an earlier one (see `state.py`).
"""

import heapq
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from importlib import import_module
from itertools import count
from math import ceil, inf

import trio

from gossipreg.daemon.checks.spec import CheckOutcome, CheckSpec, Kind, Progress, check_ids, shortened
from gossipreg.daemon.checks.state import Beginning, CheckStatus, Restored, ScheduledCheck, damped, paired
from gossipreg.errors import NotFound
from gossipreg.model import Health
from gossipreg.quick_dataclass import dataclass

Runner = Callable[[CheckSpec, Progress], Awaitable[CheckOutcome]]


def _loaded_at_first_use(module: str) -> Runner:
    """`run` of this module: most sidecars run checks of one kind, or of none."""

    def run(spec: CheckSpec, progress: Progress) -> Awaitable[CheckOutcome]:
        runner: Runner = import_module(f"gossipreg.daemon.checks.{module}").run
        return runner(spec, progress)

    return run


_HTTP, _GRPC = _loaded_at_first_use("http"), _loaded_at_first_use("grpc")
RUNNERS: Mapping[Kind, Runner] = {
    "http": _HTTP,
    "https": _HTTP,
    "tcp": _loaded_at_first_use("tcp"),
    "grpc": _GRPC,
    "grpcs": _GRPC,
    "cmd": _loaded_at_first_use("command"),
}
"""The function that runs a check, by kind. The sidecar adds the one for `alias`, which asks the sidecar itself."""

CONNECTIONS_MAX = 128
"""The most checks with a connection at the same time: each takes a descriptor. If one takes 10 ms, 12,000 can run in a
second."""
COMMANDS_MAX = 16
"""The most commands at the same time: each takes at least one process and a pipe."""

SOON_GROWTH = 1.6
SOON_A_SECOND = 200
"""The most retries per second of all checks that have not passed yet: the more services, the longer the pauses."""
FIRST_A_SECOND = 2000
"""The most first runs per second after a start of the sidecar."""


@dataclass(slots=True)
class _Lane:
    places: int
    running: int = 0
    waiting: deque[ScheduledCheck] = field(default_factory=deque)


class Checks:
    def __init__(
        self,
        *,
        changed: Callable[[str, Health], None],
        expired: Callable[[str, str], None],
        kept_out: Callable[[str], None] = lambda _: None,
        spoke: Callable[[str, int], None] = lambda *_: None,
        rng: random.Random,
        bug: Callable[[str, Exception], None],
        runners: Mapping[Kind, Runner] = RUNNERS,
        connections_max: int = CONNECTIONS_MAX,
        commands_max: int = COMMANDS_MAX,
    ) -> None:
        """`changed(id, health)`: this service has a new health. `expired(id, why)`: one of its checks was critical for
        its `deregister_after`. `kept_out(id)`: the first result of one of its checks did not pass. `spoke(id, n)`: its
        check number n gave a result, or received a heartbeat. `bug` receives the exceptions of runners and of these
        callbacks."""
        self._changed = changed
        self._expired = expired
        self._kept_out = kept_out
        self._spoke = spoke
        self._rng = rng
        self._bug = bug
        self._runners = runners
        self._services: dict[str, list[ScheduledCheck]] = {}
        self._reported: dict[str, Health] = {}
        self._connections, self._commands = _Lane(connections_max), _Lane(commands_max)
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._wake = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._runs = 0

    # -- what is checked ---------------------------------------------------------------------------------------------

    def health(self, service_id: str, specs: tuple[CheckSpec, ...], beginning: Beginning) -> Health:
        """The health that this service would have with these checks."""
        return max((check.health for check in self._planned(service_id, specs, beginning)), default=Health.PASSING)

    def set(self, service_id: str, specs: tuple[CheckSpec, ...], beginning: Beginning) -> None:
        """Replace the checks of this service. A check that asks the same as an earlier one (`CheckSpec.asked`) goes on
        with its health. A check that asks something else in the place of an earlier one has that one's health until its
        own first result."""
        now, planned = trio.current_time(), self._planned(service_id, specs, beginning)
        spread_s = 0.0 if beginning.restored is None else len(self._services) / FIRST_A_SECOND
        before = self._services.pop(service_id, [])
        self._reported.pop(service_id, None)
        if planned:
            self._services[service_id] = planned
            self._reported[service_id] = max(check.health for check in planned)
        for check in before:
            if check not in planned:
                self._end(check)
        for check, spec in zip(planned, specs, strict=True):
            if check not in before:
                self._begin(check, now, spread_s)
            elif check.spec != spec:
                self._edit(check, spec, now)

    def _planned(self, service_id: str, specs: tuple[CheckSpec, ...], beginning: Beginning) -> list[ScheduledCheck]:
        """The checks for these specs: those that continue, and new ones that have not begun."""
        now, before = trio.current_time(), self._services.get(service_id, [])
        places = paired(service_id, [check.spec for check in before], specs)
        restored = [None] * len(specs) if beginning.restored is None else beginning.restored(specs)
        planned: list[ScheduledCheck] = []
        for spec, id, place, known in zip(specs, check_ids(service_id, specs), places, restored, strict=True):
            old = None if place is None else before[place]
            if old is not None and old.spec.asked == spec.asked:
                planned.append(old)
            elif beginning.restored is not None:
                planned.append(_restored(service_id, spec, known, now))
            else:
                health = beginning.said.get(id, beginning.fresh) if old is None else old.health
                unproven = health is not Health.CRITICAL
                planned.append(ScheduledCheck(service_id, spec, health, now, unproven=unproven))
        return planned

    def remove(self, service_id: str) -> None:
        """Stop checking this service, and end the run of each of its checks."""
        self.set(service_id, (), Beginning())

    def heartbeat(self, service_id: str, health: Health, note: str, check_id: str | None = None) -> None:
        """Pass a heartbeat to its ttl checks, or to one of them. Raises NotFound if it has none."""
        known = self._services.get(service_id, [])
        called = check_ids(service_id, [check.spec for check in known])
        checks = [
            check
            for check, id in zip(known, called, strict=True)
            if check.spec.kind == "ttl" and check_id in (None, id)
        ]
        if not checks:
            raise NotFound(
                f"no service of this id with a ttl check is registered here: {service_id!r}; see `gossipreg info`"
            )
        for check in checks:
            self._set_due(check, trio.current_time() + check.spec.interval_s)
            self._said(check, CheckOutcome(health, shortened(note)), at_once=True)

    def look_at_aliases(self, service_id: str) -> None:
        """Run the checks that alias this service now: something about it changed."""
        for checks in self._services.values():
            for check in checks:
                if check.spec.kind == "alias" and check.spec.target == service_id and check.runs is None:
                    self._set_due(check, trio.current_time())

    def statuses(self, service_id: str) -> tuple[CheckStatus, ...]:
        checks = self._services.get(service_id)
        if checks is None:
            return ()
        now = trio.current_time()
        return tuple(
            CheckStatus(
                check.spec, check.health, check.shown(), now - check.since,
                None if check.checked_at is None else now - check.checked_at,
            )
            for check in checks
        )  # fmt: skip

    def counts(self) -> dict[str, int]:
        """Counters for `info`."""
        lanes = (self._connections, self._commands)
        return {
            "checks": sum(map(len, self._services.values())),
            "checks_running": sum(lane.running for lane in lanes),
            "checks_waiting": sum(len(lane.waiting) for lane in lanes),
            "checks_run": self._runs,
        }

    # -- when a check runs -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run the checks that are due, until cancelled."""
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

    def _begin(self, check: ScheduledCheck, now: float, spread_s: float) -> None:
        if check.spec.kind == "ttl":
            self._set_due(check, check.due if check.due < inf else now + check.spec.interval_s)
            if check.checked_at is None:
                return
        else:
            self._set_due(check, now + self._rng.random() * min(check.spec.interval_s, spread_s))
        self._watch_expiry(check)

    def _edit(self, check: ScheduledCheck, spec: CheckSpec, now: float) -> None:
        """Replace the options of a check that asks the same as before: its health, its count and a current run stay."""
        before, check.spec = check.spec, spec
        if spec.kind == "ttl" and spec.interval_s != before.interval_s:
            began = check.since if check.checked_at is None else check.checked_at
            self._set_due(check, max(began + spec.interval_s, min(check.due, now + spec.interval_s)))
        elif check.settled and check.runs is None and not check.waiting:
            self._set_due(check, min(check.due, now + spec.interval_s))
        if spec.deregister_after_s != before.deregister_after_s:
            self._watch_expiry(check)

    def _end(self, check: ScheduledCheck) -> None:
        check.gone = True
        if check.runs is not None:
            check.runs.cancel()

    def _set_due(self, check: ScheduledCheck, when: float) -> None:
        check.due = when
        self._at(when, lambda: self._on_due(check, when))

    def _on_due(self, check: ScheduledCheck, when: float) -> None:
        if check.gone or check.due != when:
            return
        if check.spec.kind == "ttl":
            if check.checked_at is None:  # it could not pass before its first interval: critical counts from now
                check.since = trio.current_time()
                self._watch_expiry(check)
            self._said(
                check, CheckOutcome(Health.CRITICAL, f"no heartbeat for {check.spec.interval_s:g}s"), at_once=True
            )
            return
        check.waiting = True
        self._lane(check).waiting.append(check)

    def _next_due(self, check: ScheduledCheck, passed: bool) -> float:
        now, interval_s = trio.current_time(), check.spec.interval_s
        if check.settled:
            return check.due + interval_s * max(1, ceil((now - check.due) / interval_s))
        wait_s = max(check.soon_s, len(self._services) / SOON_A_SECOND)
        if check.health is Health.CRITICAL and not passed and wait_s < interval_s:
            check.soon_s = wait_s * SOON_GROWTH
            return now + wait_s * (0.75 + self._rng.random() / 2)
        check.settled = True
        return now + self._rng.random() * interval_s

    def _lane(self, check: ScheduledCheck) -> _Lane:
        return self._commands if check.spec.kind == "cmd" else self._connections

    def _fill(self, lane: _Lane) -> None:
        """Start the checks that wait, as long as there are free places."""
        while self._nursery is not None and lane.waiting and lane.running < lane.places:
            check = lane.waiting.popleft()
            check.waiting = False
            if not check.gone:
                lane.running += 1
                self._nursery.start_soon(self._run_one, check)

    async def _run_one(self, check: ScheduledCheck) -> None:
        lane = self._lane(check)
        self._runs += 1
        try:
            with trio.CancelScope() as check.runs:
                outcome = await self._outcome(check.spec, check.service_id)
        finally:
            check.runs = None
            lane.running -= 1
            self._wake.set()
        if not check.gone:
            self._said(check, outcome)
            self._set_due(check, self._next_due(check, outcome.health is Health.PASSING))

    async def _outcome(self, spec: CheckSpec, service_id: str) -> CheckOutcome:
        progress = Progress(service=service_id)
        try:
            with trio.move_on_after(spec.timeout_s):
                return await self._runners[spec.kind](spec, progress)
        except Exception as error:
            self._bug("check", error)
            return CheckOutcome(Health.CRITICAL, "this check failed inside the sidecar, and its log says how")
        why = f"no answer within {spec.timeout_s:g}s"
        return CheckOutcome(Health.CRITICAL, shortened(f"{why}: {progress.text}" if progress.text else why))

    # -- results -----------------------------------------------------------------------------------------------------

    def _said(self, check: ScheduledCheck, outcome: CheckOutcome, *, at_once: bool = False) -> None:
        now, first = trio.current_time(), check.checked_at is None or check.unproven
        check.streak, health = damped(check.health, outcome.health, check.streak, check.spec)
        if at_once or check.unproven:
            check.streak, health = 0, outcome.health
        check.checked_at, check.output, check.unproven = now, outcome.output, False
        if health is not check.health:
            check.health, check.since = health, now
            self._watch_expiry(check)
            self._tell(check.service_id)
        elif first and health is not Health.PASSING:
            self._kept_out(check.service_id)
        if not check.gone:
            self._spoke(check.service_id, self._services[check.service_id].index(check))

    def _tell(self, service_id: str) -> None:
        """Report the health of the service if it is not the one reported last."""
        health = max(check.health for check in self._services[service_id])
        if health is not self._reported[service_id]:
            self._reported[service_id] = health
            try:
                self._changed(service_id, health)
            except Exception as error:
                self._bug("check", error)

    def _watch_expiry(self, check: ScheduledCheck) -> None:
        limit_s, since = check.spec.deregister_after_s, check.since
        if limit_s is None or check.health is not Health.CRITICAL:
            return

        def look() -> None:
            if (check.since, check.spec.deregister_after_s) != (since, limit_s) or check.health is not Health.CRITICAL:
                return
            if not check.gone:
                try:
                    self._expired(check.service_id, f"{check.spec.shown} was critical for {limit_s:g}s")
                except Exception as error:
                    self._bug("check", error)

        self._at(since + limit_s, look)


def _restored(service_id: str, spec: CheckSpec, known: Restored | None, now: float) -> ScheduledCheck:
    """A check at a start of the sidecar."""
    if known is None:
        return ScheduledCheck(service_id, spec, Health.CRITICAL, now, unproven=True)
    check = ScheduledCheck(service_id, spec, known.health, now, checked_at=now - known.age_s, unproven=True)
    if spec.kind == "ttl":
        check.due = now + known.left_s
    return check
