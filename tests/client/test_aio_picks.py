"""`AsyncService.pick` and `.call` in asyncio and trio: timeouts end attempts, losers are cancelled, nothing blocks."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import trio

from gossipreg import aio
from gossipreg.client.aio_calling import run_call
from gossipreg.client.fallback import FallbackLimits
from gossipreg.client.incoming import INCOMING, IncomingRequest
from gossipreg.client.loops import loop_event, sleep, within
from gossipreg.client.picked import PickedInstance
from gossipreg.client.picking.options import CallOptions
from gossipreg.errors import BreakerOpen, NotSynced
from tests.client.talking_sidecar import TalkingSidecar, at
from tests.client.test_aio import Run, loops

BOUND_S = 60.0
FOREVER_S = 1000.0


def with_service(talking: TalkingSidecar, test: Callable[[aio.AsyncService], Any]) -> Callable[[], Any]:
    talking.services["web"] = [at(1), at(2), at(3)]

    async def program() -> None:
        async with aio.connect(str(talking.path), timeout=BOUND_S) as registry:
            await test(registry.service("web"))

    return program


@loops
def test_a_pick_waits_for_the_first_snapshot_and_records_its_end(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        async with web.pick() as instance:
            assert instance.port in (1, 2, 3)
            assert web.stats()["in_flight"] == 1
        with pytest.raises(TimeoutError):
            async with web.pick():
                raise TimeoutError
        stats = web.stats()
        assert (stats["in_flight"], stats["successes"], stats["failures"]) == (0, 1, 1)

    run(with_service(talking, test))


@loops
def test_a_hanging_attempt_ends_in_time_for_another(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        hung: list[int] = []

        async def request(instance: PickedInstance) -> int:
            if not hung:
                hung.append(instance.port)
                await sleep(FOREVER_S)
            return instance.port

        port = await web.call(request, idempotent=True, deadline=1.5)
        assert port not in hung
        assert (web.stats()["attempts"], web.stats()["in_flight"]) == (2, 0)

    run(with_service(talking, test))


@loops
def test_a_call_that_may_not_be_repeated_raises_timeout(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        async def request(_instance: PickedInstance) -> None:
            await sleep(FOREVER_S)

        with pytest.raises(TimeoutError, match=r"not ended within 0\."):
            await web.call(request, deadline=0.5)
        assert (web.stats()["attempts"], web.stats()["failures"], web.stats()["in_flight"]) == (1, 1, 0)

    run(with_service(talking, test))


@loops
def test_a_fallback_takes_over_and_the_first_error_stays(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        async def gone(_instance: PickedInstance) -> int:
            raise ConnectionResetError("gone")

        async def good() -> int:
            return 7

        async def bad() -> int:
            raise ValueError("second")

        assert await web.call(gone, idempotent=True, fallback=good) == 7
        with pytest.raises(ConnectionResetError):
            await web.call(gone, idempotent=True, fallback=bad)
        with pytest.raises(ConnectionResetError):
            await web.call(gone, fallback=good)

    run(with_service(talking, test))


@loops
def test_a_fallback_is_cancelled_at_the_deadline(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        ended: list[BaseException] = []

        async def gone(_instance: PickedInstance) -> int:
            raise ConnectionResetError("gone")

        async def hang(limits: FallbackLimits) -> int:
            assert limits.headers()["Gossipreg-Attempt"] == "2"
            assert INCOMING.get() == IncomingRequest(2, limits.deadline)
            try:
                await sleep(FOREVER_S)
            except BaseException as error:
                ended.append(error)
                raise
            return 7

        await web.lookup()
        with pytest.raises(ConnectionResetError) as raised:
            await web.call(gone, idempotent=True, attempts=1, deadline=0.5, fallback=hang)
        assert isinstance(raised.value.__cause__, TimeoutError)
        assert len(ended) == 1

    run(with_service(talking, test))


async def learn(web: aio.AsyncService) -> None:
    async def quick(_instance: PickedInstance) -> None:
        return None

    for _ in range(120):
        await web.call(quick)


@loops
def test_a_hedge_wins_and_the_loser_is_cancelled(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        await learn(web)
        began: list[int] = []
        ended: list[str] = []

        async def request(instance: PickedInstance) -> int:
            began.append(instance.port)
            try:
                if len(began) == 1:
                    await sleep(FOREVER_S)
            except BaseException:
                ended.append("cancelled")
                raise
            return instance.port

        port = await web.call(request, idempotent=True, hedge=True)
        assert len(began) == 2
        assert port == began[1] != began[0]
        assert ended == ["cancelled"]
        stats = web.stats()
        assert (stats["hedges"], stats["in_flight"], stats["neutral"]) == (1, 0, 1)

    run(with_service(talking, test))


@loops
def test_a_hedged_call_survives_the_failure_of_one(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        await learn(web)
        began: list[int] = []
        both = loop_event()

        async def request(instance: PickedInstance) -> int:
            began.append(instance.port)
            if len(began) == 1:
                await both.wait(BOUND_S)
                raise ConnectionResetError("gone")
            both.set()
            await sleep(0.05)
            return instance.port

        assert await web.call(request, idempotent=True, hedge=True, deadline=BOUND_S) == began[1]
        assert web.stats()["in_flight"] == 0

    run(with_service(talking, test))


@loops
def test_a_failed_answer_is_let_go_if_the_other_one_came_too(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        await learn(web)
        began: list[int] = []
        let_go: list[str] = []
        both = loop_event()

        async def request(instance: PickedInstance) -> str:
            began.append(instance.port)
            if len(began) == 1:
                await both.wait(BOUND_S)
                return "good"
            both.set()
            await both.wait(BOUND_S)
            instance.failed()
            return "failed"

        async def discard(result: str) -> None:
            let_go.append(result)

        options = CallOptions(BOUND_S, idempotent=True, hedge=True)
        answer = await run_call(web.service.picker, web.ready, request, options, None, None, discard)
        assert (answer, let_go) == ("good", ["failed"])

    run(with_service(talking, test))


@loops
def test_what_came_first_is_let_go_if_the_fallback_is_cancelled(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        let_go: list[str] = []

        async def request(instance: PickedInstance) -> str:
            instance.failed()
            return "first"

        async def fallback(_limits: FallbackLimits) -> str:
            await sleep(FOREVER_S)
            return "never"

        async def discard(result: str) -> None:
            let_go.append(result)

        async def call(_argument: None) -> str:
            options = CallOptions(BOUND_S, idempotent=True, attempts_max=1)
            return await run_call(web.service.picker, web.ready, request, options, None, fallback, discard)

        with pytest.raises(TimeoutError):
            await within(0.5, call, None)
        assert let_go == ["first"]

    run(with_service(talking, test))


@loops
def test_an_error_of_the_program_leaves_a_hedged_call_unchanged(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        await learn(web)

        async def request(_instance: PickedInstance) -> int:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await web.call(request, idempotent=True, hedge=True)
        assert web.stats()["in_flight"] == 0

    run(with_service(talking, test))


def test_a_hedged_call_ends_if_its_request_awaits_what_was_cancelled(talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        await learn(web)

        async def request(_instance: PickedInstance) -> None:
            shared = asyncio.get_running_loop().create_future()
            shared.cancel()
            await shared

        task = asyncio.create_task(web.call(request, idempotent=True, hedge=True))
        done, _ = await asyncio.wait([task], timeout=BOUND_S)
        assert done
        assert task.cancelled()
        assert (web.stats()["in_flight"], web.stats()["failures"]) == (0, 0)

    asyncio.run(with_service(talking, test)())


@loops
def test_an_error_of_another_service_uses_no_fallback(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        async def request(_instance: PickedInstance) -> int:
            raise BreakerOpen("of another service, after this one has done its work")

        async def fallback() -> int:
            return 7

        with pytest.raises(BreakerOpen, match="of another service"):
            await web.call(request, fallback=fallback)
        assert web.stats()["fallbacks"] == 0

    run(with_service(talking, test))


@loops
def test_a_call_waits_for_the_first_snapshot_within_its_deadline(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        talking.silent = True

        async def request(instance: PickedInstance) -> int:
            return instance.port

        with pytest.raises(NotSynced, match=r"within 0\.05 s"):
            await web.call(request, deadline=0.05)
        with pytest.raises(NotSynced, match=r"within 0\.04 s"):
            async with web.pick(deadline=0.04):
                pass

    run(with_service(talking, test))


@loops
def test_a_fallback_service_gets_what_is_left(run: Run, talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        left: list[float] = []

        async def request(instance: PickedInstance) -> int:
            left.append(instance.attempt.left_s if instance.attempt else 0.0)
            raise ConnectionResetError("gone")

        with pytest.raises(ConnectionResetError):
            await web.call(request, idempotent=True, deadline=2.0, fallback=web, attempts=1)
        assert len(left) == 2
        assert left[1] < left[0] <= 2.0

    run(with_service(talking, test))


def test_cancelling_a_call_in_asyncio_leaves_nothing_in_flight(talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        began = asyncio.Event()

        async def request(_instance: PickedInstance) -> None:
            began.set()
            await asyncio.sleep(FOREVER_S)

        task = asyncio.create_task(web.call(request, idempotent=True))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (web.stats()["in_flight"], web.stats()["neutral"], web.stats()["failures"]) == (0, 1, 0)

    asyncio.run(with_service(talking, test)())


def test_cancelling_a_call_in_trio_leaves_nothing_in_flight(talking: TalkingSidecar) -> None:
    async def test(web: aio.AsyncService) -> None:
        with trio.CancelScope() as scope:

            async def request(_instance: PickedInstance) -> None:
                scope.cancel()
                await trio.sleep_forever()

            await web.call(request, idempotent=True)
        assert (web.stats()["in_flight"], web.stats()["neutral"], web.stats()["failures"]) == (0, 1, 0)

    trio.run(with_service(talking, test))


@loops
def test_a_silent_sidecar_does_not_block_the_loop(run: Run, talking: TalkingSidecar) -> None:
    talking.silent = True

    async def program() -> None:
        async with aio.connect(str(talking.path), timeout=0.05) as registry:

            async def request(_instance: PickedInstance) -> int:
                return 1

            async def instead() -> int:
                return 2

            with pytest.raises(NotSynced):
                await registry.service("web").call(request)
            assert await registry.service("web").call(request, fallback=instead) == 2

    run(program)


@pytest.mark.parametrize("turns", range(6))
def test_an_event_that_is_set_loses_no_cancellation(turns: int) -> None:
    async def program() -> None:
        event = loop_event()

        async def wait() -> None:
            await event.wait(BOUND_S)
            await sleep(FOREVER_S)

        task = asyncio.create_task(wait())
        await sleep(0)
        event.set()
        for _ in range(turns):
            await sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=BOUND_S)
        assert done

    asyncio.run(program())
