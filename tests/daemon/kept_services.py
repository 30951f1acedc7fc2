"""The inside of a sidecar that keeps its services on a disk; a runner returns the results of checks that a test
sets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
from trio.testing import MockClock

from gossipreg.callers import Caller
from gossipreg.daemon.checks.spec import CheckOutcome, CheckSpec, Progress
from gossipreg.daemon.data_directory import DataDirectory
from gossipreg.daemon.kept import Moment
from gossipreg.model import Health
from tests.daemon.conftest import Inside, close_once_written
from tests.daemon.memory_network import MemoryNetwork

WEB: dict[str, Any] = {"name": "web", "port": 80}


CHECKED: dict[str, Any] = {**WEB, "checks": ["tcp://127.0.0.1:80,interval=10s"]}


ROOT = Caller(0, 1, door="socket", trusted=True)


ME: dict[str, Any] = {"by": ROOT, "holder": None}


@dataclass(eq=False)
class Holder:
    gone: bool = False
    told: list[tuple[str, str]] = field(default_factory=list)

    def lost(self, id: str, why: str) -> None:
        self.told.append((id, why))


@dataclass
class Tcp:
    """Sets the result of the check of port 80; checks of other ports are critical. Virtual time passes while the disk
    is written, so no test may rely on a check not having run yet."""

    health: Health = Health.PASSING
    hangs: trio.Event | None = None
    """Checks of other ports than 80 wait until this is set."""

    async def __call__(self, spec: CheckSpec, _: Progress) -> CheckOutcome:
        if self.hangs is not None and not spec.target.endswith(":80"):
            await self.hangs.wait()
        return CheckOutcome(self.health if spec.target.endswith(":80") else Health.CRITICAL, "as told")


START = Moment(1_000_000_000, 1000.0, "this boot")


@dataclass
class Started:
    """A sidecar's inside with a data directory, its store and its checks running."""

    clock: MockClock
    folder: Path
    tcp: Tcp = field(default_factory=Tcp)
    moment: Moment = START
    """The clock of kept health."""

    async def run(self, use: Callable[["Started"], Any], *, flags: Any = None, file: Any = ()) -> None:
        """Call `use` between a start and a kill of the sidecar, in virtual time."""
        assert self.clock.autojump_threshold == 0
        data = DataDirectory(str(self.folder))
        self.inside = Inside(MemoryNetwork(), "tested", database=data, runners={"tcp": self.tcp})
        self.inside.moment = self.moment
        self.services = self.inside.services
        try:
            self.services.start(data.kept(), flags, file)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.inside.store.run)
                nursery.start_soon(self.services.health.checks.run)
                nursery.start_soon(self.services.health.known.run)
                await use(self)
                nursery.cancel_scope.cancel()
        finally:
            close_once_written(data)
        assert not self.inside.pump.counts, self.inside.log.getvalue()

    async def register(self, params: dict[str, Any]) -> None:
        await self.services.register(params, **ME)

    def found(self, name: str = "web") -> dict[str, Health]:
        """Return the health of each instance by id, critical ones included."""
        return {one.service.id: one.health for one in self.inside.node.catalog.lookup(name, all=True)}

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(3600):
            while not condition():
                await trio.sleep(0.1)


async def passing_once(one: Started, check: str, params: dict[str, Any] = WEB) -> None:
    """Register a service, wait until it is passing and both are on the disk."""
    await one.register({**params, "checks": [check]})
    if check.startswith("ttl"):
        one.services.heartbeat("web-80", Health.PASSING, "", by=ROOT)
    await one.until(lambda: one.found() == {"web-80": Health.PASSING})
    await one.inside.store.flushed()
