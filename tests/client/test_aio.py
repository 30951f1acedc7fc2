"""The registry in asyncio and in trio: only waiting is different, and a busy or ended loop harms nobody."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from gossipreg import aio
from gossipreg.errors import NotSynced, Refused
from tests.client.talking_sidecar import TalkingSidecar, at

BOUND_S = 60.0

Program = Callable[[], Awaitable[None]]
Run = Callable[[Program], None]


def run_asyncio(program: Program) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(program(), BOUND_S)

    asyncio.run(bounded())


def run_trio(program: Program) -> None:
    async def bounded() -> None:
        with trio.fail_after(BOUND_S):
            await program()

    trio.run(bounded)


loops = pytest.mark.parametrize("run", [run_asyncio, run_trio])


@loops
def test_a_lookup_waits_only_for_the_first_answer(run: Run, talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1), at(2, health="critical")]

    async def program() -> None:
        async with aio.connect(str(talking.path)) as registry:
            web = registry.service("web")
            assert [one.port for one in await web.lookup()] == [1]
            talking.silent = True
            assert [one.port for one in await web.lookup()] == [1]
            assert len((await web.snapshot()).all) == 2
            assert registry.stats()["services"] == 1

    run(program)


@loops
def test_wait_returns_when_enough_instances_pass(run: Run, talking: TalkingSidecar) -> None:
    async def program() -> None:
        async with aio.connect(str(talking.path)) as registry:
            web = registry.service("web")
            assert await web.lookup() == ()
            for port in (1, 2):
                threading.Timer(0, talking.change, ("added", at(port))).start()
            assert [one.port for one in await web.wait(2, timeout=BOUND_S)] == [1, 2]

    run(program)


@loops
def test_wait_ends_with_an_error_after_its_timeout(run: Run, talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1)]

    async def program() -> None:
        async with aio.connect(str(talking.path)) as registry:
            web = registry.service("web")
            await web.lookup()
            with pytest.raises(NotSynced, match="1 of 2 instances of web pass"):
                await web.wait(2, timeout=0.05)

    run(program)


@loops
def test_a_lookup_without_a_sidecar_ends_after_its_timeout(run: Run, tmp_path: Path) -> None:
    async def program() -> None:
        async with aio.connect(str(tmp_path / "none.sock"), timeout=2) as registry:
            with pytest.raises(NotSynced, match="no sidecar answers on"):
                await registry.service("web").lookup()

    run(program)


@loops
def test_changes_gives_each_snapshot(run: Run, talking: TalkingSidecar) -> None:
    async def program() -> None:
        async with aio.connect(str(talking.path)) as registry:
            found = []
            async for snapshot in registry.service("web").changes():
                found.append(len(snapshot.all))
                if len(found) == 4:
                    break
                talking.change("added", at(len(found)))
            assert found == [0, 1, 2, 3]

    run(program)


@loops
def test_a_refused_name_is_an_error_at_once(run: Run, talking: TalkingSidecar) -> None:
    talking.refuses["web"] = ("refused", "not this name")

    async def program() -> None:
        async with aio.connect(str(talking.path), timeout=BOUND_S) as registry:
            with pytest.raises(Refused, match="not this name"):
                await registry.service("web").lookup()
            with pytest.raises(Refused, match="not this name"):
                await registry.service("web").wait()

    run(program)


def waiting(service: aio.AsyncService) -> int:
    """How many wait for a change of this service."""
    return len(service.service.feed.waiters._calls)


def test_a_cancelled_wait_leaves_nothing_behind_in_trio(talking: TalkingSidecar) -> None:
    async def program() -> None:
        async with aio.connect(str(talking.path)) as registry:
            web = registry.service("web")
            await web.lookup()
            with trio.move_on_after(0.05) as scope:
                await web.wait(1, timeout=BOUND_S)
            assert scope.cancelled_caught
            assert waiting(web) == 0
            talking.change("added", at(1))
            assert len(await web.wait()) == 1

    run_trio(program)


def test_a_cancelled_wait_leaves_nothing_behind_in_asyncio(talking: TalkingSidecar) -> None:
    async def program() -> None:
        async with aio.connect(str(talking.path)) as registry:
            web = registry.service("web")
            await web.lookup()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(web.wait(1, timeout=BOUND_S), 0.05)
            assert waiting(web) == 0
            talking.change("added", at(1))
            assert len(await web.wait()) == 1

    run_asyncio(program)


def test_a_loop_that_ended_during_a_wait_does_not_stop_the_watcher(talking: TalkingSidecar) -> None:
    registry = aio.connect(str(talking.path))
    web = registry.service("web")
    loop = asyncio.new_event_loop()

    async def wait() -> Any:
        await web.wait(1, timeout=BOUND_S)

    async def until_it_waits() -> None:
        await web.lookup()
        while not waiting(web):
            await asyncio.sleep(0)

    task: Any = loop.create_task(wait())
    loop.run_until_complete(asyncio.wait_for(until_it_waits(), BOUND_S))
    task._log_destroy_pending = False  # the wait goes on, and its loop is closed: that is the test
    loop.close()
    talking.change("added", at(1))
    assert len(web.service.wait(1, timeout=BOUND_S)) == 1
    assert waiting(web) == 0
    registry.close()


def test_one_service_serves_both_loops_and_threads_at_once(talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1)]
    registry = aio.connect(str(talking.path), timeout=BOUND_S)
    web = registry.service("web")
    faults: list[BaseException] = []

    async def program() -> None:
        for _ in range(50):
            assert len(await web.lookup()) == 1

    def guarded(run: Callable[[Program], None]) -> None:
        try:
            run(program)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=guarded, args=(run,)) for run in (run_asyncio, run_trio) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND_S)
    registry.close()
    assert faults == []


def test_outside_of_a_loop_waiting_is_an_error(talking: TalkingSidecar) -> None:
    talking.silent = True
    registry = aio.connect(str(talking.path))
    lookup = registry.service("web").lookup()
    with pytest.raises(RuntimeError, match="no running event loop"):
        lookup.send(None)
    registry.close()
