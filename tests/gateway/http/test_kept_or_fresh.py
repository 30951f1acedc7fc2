"""A kept answer is the one that would be made now, whatever has changed: services, health, maintenance, members, and
how much this sidecar knows, rows of the last run included. Over HTTP and over the local socket, in virtual time."""

import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gossipreg.callers import Caller
from gossipreg.config import local
from gossipreg.core.knowledge import Knowledge
from gossipreg.daemon.socket_client import SocketClient
from gossipreg.errors import RequestError
from gossipreg.gateway.http import blocking
from gossipreg.net.http_message import HttpError, Request, Response, target_untrusted
from gossipreg.wire.messages import Delta
from tests.daemon import conftest
from tests.daemon.conftest import ME, NOWHERE, Inside
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Served

MEMBERS = 5
"""More than those of a small cluster: the last ones of that are taken for gone after a while."""
ALONE_S = 15.0
"""How long the last known answers count, for one that is isolated and after a restart. It is found isolated sooner."""
OVER_TCP = Caller()
OTHER = Caller(ME.uid + 1, 1, door="http")
TARGETS = (
    *(f"/v1/health/service/web{more}" for more in ("", "?passing", "?tag=blue", "?near=_agent")),
    "/v1/health/service/web?filter=Service.Port==1",
    *("/v1/health/service/own?tag=none", "/v1/health/service/none", "/v1/catalog/service/web", "/v1/health/checks/own"),
    *("/v1/catalog/services", "/v1/catalog/nodes?near=_agent", "/v1/catalog/node/m2", "/v1/catalog/node-services/m3"),
    *("/v1/health/node/m2", "/v1/health/state/any", "/v1/catalog/datacenters"),
)  # fmt: skip
LOOKUPS: tuple[dict[str, Any], ...] = (
    *({"name": "web", **more} for more in ({}, {"tags": ["blue"]}, {"all": True}, {"near": True})),
    *({"name": "web", "zone": zone} for zone in ("a", "b")),
    *({"name": "own", "tags": ["none"]}, {"name": "none"}),
)  # fmt: skip
STEPS = st.one_of(
    st.tuples(
        st.just("register"), st.integers(1, MEMBERS),
        st.fixed_dictionaries(
            {"name": st.sampled_from(["web", "own"]), "id": st.sampled_from("ab"), "port": st.integers(1, 2)},
            optional={"tags": st.just(["blue"]), "checks": st.just(["ttl:1h"])},
        ),
    ),
    st.tuples(st.just("deregister"), st.integers(1, MEMBERS), st.fixed_dictionaries({"id": st.sampled_from("ab")})),
    st.tuples(st.just("heartbeat"), st.integers(1, MEMBERS), st.fixed_dictionaries({"id": st.sampled_from("ab")})),
    st.tuples(
        st.just("maint"), st.integers(1, MEMBERS),
        st.fixed_dictionaries({}, optional={"id": st.sampled_from("ab"), "reason": st.just("oil")}),
    ),
    st.tuples(st.just("cut"), st.integers(1, MEMBERS), st.just({})),
    st.tuples(st.just("heal"), st.just(0), st.just({})),
    st.tuples(st.just("wait"), st.sampled_from([1, 20]), st.just({})),
    st.tuples(st.just("restart"), st.booleans(), st.just({})),
)  # fmt: skip
Step = tuple[str, Any, dict[str, Any]]
APART: list[Step] = [
    ("register", 1, {"name": "own", "id": "b", "port": 1}),
    *(("cut", 1, {}), ("wait", 20, {}), ("heal", 0, {}), ("wait", 1, {})),
]  # fmt: skip
"""A name that is registered there alone, while that member is isolated for longer than ALONE_S."""


class World:
    """Five members. The first one is asked, and is started again, with the rows that it knew, or without."""

    def __init__(self, folder: Path, nursery: trio.Nursery) -> None:
        self.folder = folder
        self.nursery = nursery
        self.network = MemoryNetwork()
        self.others = [
            Inside(self.network, f"m{number}", number, zone="ab"[number % 2]) for number in range(2, MEMBERS + 1)
        ]
        self.starts = 0
        self.known: set[Knowledge] = set()
        """What the one that is asked has known so far."""

    async def start(self, pages: list[Delta], *, seeded: bool) -> None:
        self.starts += 1
        self.asked = Served(self.folder, self.network, f"m1-{self.starts}", 1)
        seed = self.others[0].transport.address if seeded else NOWHERE
        self.asked.seek = lambda *_: None  # type: ignore[method-assign]  # the rows of the last run come before
        self.scope = await self.nursery.start(self._run, self.asked)
        self.asked.pump.order(lambda now: self.asked.node.recall(pages, ALONE_S, now))
        self.asked.pump.order(lambda now: self.asked.node.seek((seed,), now))

    async def _run(self, served: Served, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                await nursery.start(served.run)
                task_status.started(scope)
        served.close()

    async def restart(self, *, seeded: bool) -> None:
        pages = pages_of(self.asked)
        self.scope.cancel()
        del self.network.bound[self.asked.transport.address]
        await trio.testing.wait_all_tasks_blocked()
        await self.start(pages, seeded=seeded)

    async def take(self, step: Step) -> None:
        kind, which, params = step
        match kind:
            case "cut":
                cut = self._address(which)
                self.network.cut |= {frozenset((cut, other)) for other in self.network.bound if other != cut}
            case "heal":
                self.network.cut.clear()
            case "wait":
                for _ in range(10):
                    await trio.sleep(which / 10)
                    self.check()
            case "restart":
                await self.restart(seeded=which)
            case _:
                methods = (self.asked if which == 1 else self.others[which - 2]).methods
                call: Callable[[dict[str, Any], SocketClient], Awaitable[Any]] = getattr(methods, kind)
                with suppress(RequestError):  # a service that is not there
                    await call(params, SocketClient(ME))

    def _address(self, which: int) -> Any:
        return (self.asked if which == 1 else self.others[which - 2]).transport.address

    def check(self) -> None:
        """Each answer is the same as before all that is kept was dropped, for every caller."""
        self.known.add(self.asked.node.knowledge)
        answers, lookups = self.asked.http.api.answers, self.asked.methods.lookups
        for caller in (OVER_TCP, OTHER):
            kept = [self.answer(target, caller) for target in TARGETS]
            for record in answers._records.values():
                answers._keep(record, None)
            assert kept == [self.answer(target, caller) for target in TARGETS]
        told = [self.lookup(question) for question in LOOKUPS]
        for asked in list(lookups._kept._kept):
            lookups._kept.get(asked, -1)
        assert told == [self.lookup(question) for question in LOOKUPS]

    def answer(self, target: str, caller: Caller) -> Any:
        found = target_untrusted(target.encode())
        try:
            answer = self.asked.http.api.answer(Request("GET", found.path, found.query, caller=caller))
        except HttpError as error:
            return error.status, error.code, str(error), error.headers
        assert isinstance(answer, Response)
        return answer

    def lookup(self, question: dict[str, Any]) -> Any:
        try:
            return self.asked.methods.lookups.lookup(question)
        except RequestError as error:
            return error.code, str(error)


def pages_of(served: Served) -> list[Delta]:
    """The rows of others that a sidecar keeps over a restart."""
    rows = [row for row in served.node.table.rows.values() if row.id != served.node.id and row.answers]
    return [row.content.cut(row.id, 0, 65536) for row in rows if row.content is not None]


async def follow(steps: list[Step]) -> set[Knowledge]:
    with tempfile.TemporaryDirectory() as folder:
        async with trio.open_nursery() as nursery:
            world = World(Path(folder), nursery)
            for number, other in enumerate(world.others):
                nursery.start_soon(other.pump.run)
                other.seek(*[world.others[0].transport.address][:number])
            await world.start([], seeded=True)
            await trio.sleep(1.0)
            for number in range(1, MEMBERS + 1):
                await world.take(("register", number, {"name": "web", "id": "a", "port": number % 2 + 1}))
            for step in steps:
                await world.take(step)
                world.check()
                await trio.sleep(0.1)
                world.check()
            nursery.cancel_scope.cancel()
        world.asked.close()
        assert world.asked.bugs == []
    return world.known


def run(steps: list[Step]) -> set[Knowledge]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocking, "FRESH_S", 1e9)
        patch.setattr(conftest, "local", replace(local, alone_s=ALONE_S))
        return trio.run(follow, steps, clock=trio.testing.MockClock(autojump_threshold=0))


@settings(max_examples=15, deadline=None)
@example(steps=APART)
@given(steps=st.lists(STEPS, max_size=8))
def test_kept_answers_are_fresh_ones_whatever_changes(steps: list[Step]) -> None:
    run(steps)


def test_the_steps_lead_through_everything_that_can_be_known() -> None:
    assert run([*APART, ("restart", False, {})]) == set(Knowledge)
