"""Checks in virtual time, with runners that return the results that a test sets."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing
from trio.testing import MockClock

from gossipreg.daemon.checks.parse import parse_check_untrusted
from gossipreg.daemon.checks.schedule import Checks
from gossipreg.daemon.checks.spec import CheckOutcome, CheckSpec, Progress
from gossipreg.model import Health

P, W, C = Health.PASSING, Health.WARNING, Health.CRITICAL


def spec(text: str) -> CheckSpec:
    return parse_check_untrusted("checks", text)


class World:
    """The runners, and the results that the schedule reported."""

    def __init__(self, clock: MockClock) -> None:
        assert clock.autojump_threshold == 0, "the time of these tests is virtual"
        self.says: dict[str, Health | Exception] = {}
        self.takes_s = 0.001
        self.runs: list[tuple[str, float]] = []
        self.running = 0
        self.most = 0
        self.cancelled = 0
        self.changes: list[tuple[str, Health]] = []
        self.expired: list[tuple[str, str]] = []
        self.bugs: list[Exception] = []

    async def run(self, check: CheckSpec, _: Progress) -> CheckOutcome:
        self.runs.append((check.target, trio.current_time()))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await trio.sleep(self.takes_s)
        except trio.Cancelled:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        said = self.says.get(check.target, P)
        if isinstance(said, Exception):
            raise said
        return CheckOutcome(said, f"it is {said.name}")

    @asynccontextmanager
    async def checks(self, places: int = 128) -> AsyncIterator[Checks]:
        checks = Checks(
            changed=lambda *change: self.changes.append(change),
            expired=lambda *what: self.expired.append(what),
            rng=random.Random(1), bug=lambda _, error: self.bugs.append(error),
            runners=dict.fromkeys(("http", "https", "tcp", "cmd"), self.run), connections_max=places, commands_max=4,
        )  # fmt: skip
        async with trio.open_nursery() as nursery:
            nursery.start_soon(checks.run)
            yield checks
            nursery.cancel_scope.cancel()
