"""Events in asyncio and in trio, against a sidecar whose answers and deliveries a test sets."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gossipreg import Event, Reject, Retry, aio
from gossipreg.client.loops import sleep, within
from gossipreg.errors import BadParams, OutcomeUnknown, Unavailable, Unreachable
from tests.client.events.event_sidecar import BOUND_S, EventSidecar, published
from tests.client.test_aio import Program, Run, loops, run_asyncio

Connected = Callable[[aio.AsyncRegistry], Awaitable[None]]


def run_connected(run: Run, events: EventSidecar, use: Connected) -> None:
    async def program() -> None:
        async with aio.connect(str(events.path), timeout=BOUND_S, service="shop") as registry:
            await use(registry)

    run(program)


async def until(ready: Callable[[], Any]) -> None:
    async def wait(_: None) -> None:
        while not ready():
            await sleep(0.002)

    await within(BOUND_S, wait, None)


async def together(*programs: Program) -> None:
    """Run all of them in tasks of the loop that runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        import trio

        async with trio.open_nursery() as nursery:
            for program in programs:
                nursery.start_soon(program)
    else:
        await asyncio.gather(*(program() for program in programs))


@loops
def test_publish_returns_what_the_sidecar_says(run: Run, events: EventSidecar) -> None:
    async def use(registry: aio.AsyncRegistry) -> None:
        assert (await registry.publish("a.b", {"n": 7}, id="e1", key="k")).copies == 3
        [params] = events.params("publish")
        assert (params["data"], params["key"], params["source"]) == (b'{"n":7}', "k", "shop")

    run_connected(run, events, use)


@loops
def test_a_lost_answer_is_asked_for_again(run: Run, events: EventSidecar) -> None:
    events.answers = ["close", Unavailable("no leader"), published(duplicate=True)]

    async def use(registry: aio.AsyncRegistry) -> None:
        assert (await registry.publish("a.b")).duplicate
        assert len({params["id"] for params in events.params("publish")}) == 1
        events.answers = ["close"]
        with pytest.raises(OutcomeUnknown):
            await registry.publish("a.b", timeout=1.0)
        events.end()
        with pytest.raises(Unreachable):
            await registry.publish("a.b", timeout=0.1)

    run_connected(run, events, use)


@loops
def test_a_silent_sidecar_does_not_hold_the_loop(run: Run, events: EventSidecar) -> None:
    over = threading.Event()
    events.answers = [lambda _: over.wait(BOUND_S) and published()]

    async def use(registry: aio.AsyncRegistry) -> None:
        async def publish() -> None:
            await registry.publish("a.b", b"x" * 190_000, timeout=BOUND_S)

        async def other() -> None:
            await until(lambda: events.params("publish"))
            over.set()

        await together(publish, other)
        over.clear()
        with pytest.raises(OutcomeUnknown):
            await registry.publish("a.b", timeout=1.0)
        over.set()

    run_connected(run, events, use)


@loops
def test_more_publishes_than_connections_wait_in_the_loop(run: Run, events: EventSidecar) -> None:
    events.answers = [lambda params: published(id=params["id"])]
    answered: list[str] = []

    async def use(registry: aio.AsyncRegistry) -> None:
        async def publish(number: int) -> None:
            answered.append((await registry.publish("a.b", id=f"e{number}", timeout=BOUND_S)).id)

        await together(*(lambda number=number: publish(number) for number in range(200)))

    run_connected(run, events, use)
    assert len(set(answered)) == 200
    assert events.accepted <= 48


@loops
def test_a_cancelled_publish_leaves_no_answer_to_the_next(run: Run, events: EventSidecar) -> None:
    over = threading.Event()
    events.answers = [lambda _: over.wait(BOUND_S) and published(id="old"), published(id="new")]

    async def use(registry: aio.AsyncRegistry) -> None:
        async def publish(_: None) -> Any:
            return await registry.publish("a.b")

        with pytest.raises(TimeoutError):
            await within(1.0, publish, None)
        over.set()
        assert (await registry.publish("a.b")).id == "new"

    run_connected(run, events, use)


@loops
@pytest.mark.parametrize(
    ("error", "method"), [(None, "ack"), (Reject("no"), "reject"), (Retry(3.0), "retry"), (ValueError("x"), "retry")]
)
def test_what_a_handler_does_decides(
    run: Run, events: EventSidecar, error: Exception | None, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(_event: Event) -> None:
        await sleep(0.001)
        if error is not None:
            raise error

    async def use(registry: aio.AsyncRegistry) -> None:
        async with await registry.subscribe("order.*", "stock", handler) as subscription:
            number = events.deliver("e1")
            await until(lambda: events.params(method))
            assert events.settled(1) == [(method, number)]
            assert subscription.stats()["events"] == 1

    with caplog.at_level(logging.WARNING):
        run_connected(run, events, use)
    assert ("ValueError: x" in caplog.text) == isinstance(error, ValueError)


@loops
def test_plain_function_of_a_loop_has_handled_its_event(run: Run, events: EventSidecar) -> None:
    async def use(registry: aio.AsyncRegistry) -> None:
        done: list[str] = []
        plain: Any = lambda event: done.append(event.id)  # noqa: E731  # its type says that it is async
        async with await registry.subscribe("order.*", "stock", plain):
            number = events.deliver("e1")
            await until(lambda: events.params("ack"))
            assert events.settled(1) == [("ack", number)]
        assert done == ["e1"]
        with pytest.raises(BadParams, match="only argument"):
            await registry.subscribe("order.*", "stock", lambda: sleep(0.0))  # type: ignore[arg-type, misc]

    run_connected(run, events, use)


@loops
def test_handlers_run_beside_each_other_and_inherit(run: Run, events: EventSidecar) -> None:
    async def use(registry: aio.AsyncRegistry) -> None:
        inside: set[str] = set()

        async def handler(event: Event) -> None:
            inside.add(event.id)
            await until(lambda: len(inside) == 5)
            await registry.publish("a.b", id=f"of-{event.id}")

        async with await registry.subscribe("order.*", "stock", handler):
            for index in range(5):
                events.deliver(f"e{index}", index=index)
            await until(lambda: len(events.params("publish")) == 5)
        events.settled(5)
        await registry.publish("a.b", id="outside")

    run_connected(run, events, use)
    for params in events.params("publish")[:5]:
        assert params["id"] == f"of-{params['extensions']['causationid']}"
    assert "extensions" not in events.params("publish")[5]


@loops
def test_iterating_gives_events_to_settle(run: Run, events: EventSidecar) -> None:
    async def use(registry: aio.AsyncRegistry) -> None:
        found = registry.events("order.*", "stock")
        await until(lambda: events.params("subscribe"))
        numbers = [events.deliver(f"e{index}", index=index) for index in range(3)]
        async for event in found:
            if event.index == 0:
                event.ack()
            elif event.index == 1:
                with event:
                    raise Reject("no")
            else:
                with event:
                    await registry.publish("a.b")
                break
        assert events.wait_for("publish")[0]["extensions"]["causationid"] == "e2"
        assert set(events.settled(3)) == {("ack", numbers[0]), ("reject", numbers[1]), ("ack", numbers[2])}
        await found.close()
        with pytest.raises(StopAsyncIteration):
            await found.__anext__()

    run_connected(run, events, use)


@loops
def test_a_refused_subscription_raises(run: Run, events: EventSidecar) -> None:
    async def handler(_event: Event) -> None: ...

    async def use(registry: aio.AsyncRegistry) -> None:
        events.refuses = [BadParams("the pattern")] * 2
        with pytest.raises(BadParams, match="the pattern"):
            await registry.subscribe("a", "g", handler)
        with pytest.raises(BadParams, match="the pattern"):
            async for _ in registry.events("a", "g"):
                pass
        with pytest.raises(BadParams, match="handler None"):
            await registry.subscribe("a", "g")

    run_connected(run, events, use)


@loops
def test_the_end_of_the_registry_lets_handlers_end(run: Run, events: EventSidecar) -> None:
    async def use(registry: aio.AsyncRegistry) -> None:
        begun: list[str] = []

        async def handler(event: Event) -> None:
            begun.append(event.id)
            await sleep(0.1)

        await registry.subscribe("order.*", "stock", handler)
        events.deliver("e1")
        await until(lambda: begun)

    run_connected(run, events, use)
    assert [method for method, _ in events.settled(1)] == ["ack"]


def test_events_after_the_end_of_the_loop_are_given_back(events: EventSidecar) -> None:
    """A program that forgets to close: nobody holds its events."""

    async def handler(_event: Event) -> None: ...

    async def program() -> None:
        registry = aio.connect(str(events.path))
        kept.append(registry)
        await registry.subscribe("order.*", "stock", handler)

    kept: list[aio.AsyncRegistry] = []
    run_asyncio(program)
    number = events.deliver("e1")
    assert events.settled(1) == [("give_back", number)]
    kept[0].close()
