"""Several tasks that end together, in asyncio and in trio."""

from collections.abc import Awaitable, Callable, Sequence

from gossipreg.client.loops import running_trio


async def together(works: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Run these beside each other, and return when all have ended. They raise nothing but a cancellation."""
    trio = running_trio()
    if trio is not None:
        async with trio.open_nursery() as nursery:
            for work in works:
                nursery.start_soon(work)
        return
    import asyncio

    async def run(work: Callable[[], Awaitable[None]]) -> None:
        await work()

    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(run(work))
