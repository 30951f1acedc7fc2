"""A request that is cancelled, or whose answer is dropped, is in flight no longer, and says nothing of the instance."""

import asyncio
import gc
from typing import Any

import pytest
import trio

from gossipreg.client.calling import keep
from gossipreg.client.picked import PickedInstance
from gossipreg.client.registry import Registry
from scripts.tools.wait import wait_for
from tests.client.adapters.servers import BOUND_S, HttpInstance

httpx = pytest.importorskip("httpx")
aiohttp = pytest.importorskip("aiohttp")

from gossipreg.client.adapters.aiohttp import service_middleware  # noqa: E402 - after the libraries are known to be here
from gossipreg.client.adapters.exchange import BodyInFlight, Exchange, make_adapter  # noqa: E402
from gossipreg.client.adapters.httpx import AsyncServiceTransport  # noqa: E402

HANGS = "http://billing.service/hang"


def neutral(registry: Registry) -> None:
    stats = registry.service("billing").stats()
    assert (stats["in_flight"], stats["neutral"], stats["failures"], stats["attempts"]) == (0, 1, 0, 1)


def arrived(instances: list[HttpInstance]) -> bool:
    return any(one.seen for one in instances)


def test_a_cancelled_httpx_request_in_trio_is_neutral(registry: Registry, instances: list[HttpInstance]) -> None:
    async def program() -> None:
        transport = AsyncServiceTransport(registry, deadline=BOUND_S)
        async with httpx.AsyncClient(transport=transport, timeout=None) as client, trio.open_nursery() as nursery:
            nursery.start_soon(client.get, HANGS)
            await trio.to_thread.run_sync(lambda: wait_for(lambda: arrived(instances)))
            nursery.cancel_scope.cancel()

    trio.run(program)
    neutral(registry)


@pytest.mark.parametrize("library", ["httpx", "aiohttp"])
def test_a_cancelled_request_in_asyncio_is_neutral(
    library: str, registry: Registry, instances: list[HttpInstance]
) -> None:  # fmt: skip
    async def program() -> None:
        session: Any
        if library == "httpx":
            session = httpx.AsyncClient(transport=AsyncServiceTransport(registry, deadline=BOUND_S), timeout=None)
        else:
            session = aiohttp.ClientSession(middlewares=[service_middleware(registry, deadline=BOUND_S)])
        async with session:

            async def request() -> None:
                await session.get(HANGS)

            task = asyncio.create_task(request())
            await asyncio.to_thread(wait_for, lambda: arrived(instances))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(program())
    neutral(registry)


def test_an_answer_that_nobody_closes_ends_with_its_object(registry: Registry) -> None:
    billing = registry.service("billing")
    bodies: list[BodyInFlight | None] = []
    adapter, _ = make_adapter(registry, {}, can_cancel=False)
    exchange = Exchange(adapter, "billing", None, "GET", {}, True)

    def send(instance: PickedInstance, host: str | None) -> None:
        bodies.append(exchange.answered(instance, host, 200, {}))

    exchange.run(send, keep)
    assert billing.stats()["in_flight"] == 1
    bodies.clear()
    gc.collect()
    with billing.pick():
        assert (billing.stats()["in_flight"], billing.stats()["abandoned"]) == (1, 1)
