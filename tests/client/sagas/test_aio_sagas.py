"""Sagas in asyncio and in trio, against a sidecar whose answers a test sets."""

import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gossipreg import SagaAborted, SagaConflict, SagaExists, SagaStep, StepAnswer, StepRefused, aio
from gossipreg.client.loops import sleep, within
from gossipreg.client.sagas.aio_saga import AsyncSaga
from gossipreg.client.sagas.saga_caller import SAGAS_AT_ONCE
from gossipreg.errors import OutcomeUnknown, Refused, Unavailable
from tests.client.events.event_sidecar import BOUND_S
from tests.client.events.test_aio_events import together, until
from tests.client.sagas.saga_sidecar import CLOSE, JOURNAL, SagaSidecar, begun, failure, step_answer, story
from tests.client.sagas.test_sagas import UNDO, ends
from tests.client.test_aio import Run, loops

Connected = Callable[[aio.AsyncRegistry], Awaitable[None]]


def run_connected(run: Run, sagas: SagaSidecar, use: Connected) -> None:
    async def program() -> None:
        async with aio.connect(str(sagas.path), timeout=BOUND_S) as registry:
            await use(registry)

    run(program)


async def reserve(saga: AsyncSaga, name: str = "reserve", **given: Any) -> StepAnswer:
    return await saga.step(name, "stock", "PUT", "/reservations/{key}", undo=UNDO, **given)


async def order(registry: aio.AsyncRegistry, *, raises: BaseException | None = None, wait_s: float = 0.0) -> None:
    async with registry.saga("create-order", id="s1") as saga:
        await reserve(saga)
        await sleep(wait_s)
        if raises is not None:
            raise raises


@loops
def test_a_block_begins_takes_steps_and_commits(run: Run, sagas: SagaSidecar) -> None:
    async def use(registry: aio.AsyncRegistry) -> None:
        async with registry.saga("create-order", id="s1", input=[1]) as saga:
            assert (await reserve(saga, json={"n": 1})).json() == {"n": 7}
            await saga.after("mail", "mailer", "POST", "/mails")
            assert saga.saga == f"{JOURNAL}.s1"
        with pytest.raises(Refused, match="is over"):
            await reserve(saga)

    run_connected(run, sagas, use)
    assert sagas.methods == ["begin", "step", "after", "commit"]
    assert sagas.accepted == 1


@loops
def test_an_exception_aborts_and_is_raised_on(run: Run, sagas: SagaSidecar) -> None:
    async def use(registry: aio.AsyncRegistry) -> None:
        with pytest.raises(ValueError, match="no"):
            await order(registry, raises=ValueError("no"))
        sagas.script["saga-step"] = [step_answer(state="refused", status=422)]
        with pytest.raises(StepRefused):
            await order(registry)

        async def aborted() -> None:
            async with registry.saga("create-order") as saga:
                await saga.abort("no tea")

        with pytest.raises(SagaAborted, match="no tea"):
            await aborted()

    run_connected(run, sagas, use)
    assert sagas.methods == ["begin", "step", "abort"] * 2 + ["begin", "abort"]


@loops
def test_a_cancelled_block_aborts(run: Run, sagas: SagaSidecar) -> None:
    """Between two steps, and in a step."""
    over = threading.Event()

    async def use(registry: aio.AsyncRegistry) -> None:
        async def between(_: None) -> None:
            await order(registry, wait_s=BOUND_S)

        async def inside(_: None) -> None:
            sagas.script["saga-step"] = [lambda _: over.wait(BOUND_S) and step_answer()]
            await order(registry)

        for program in (between, inside):
            with pytest.raises(TimeoutError):
                await within(0.1, program, None)

    run_connected(run, sagas, use)
    over.set()
    assert sagas.methods == ["begin", "step", "abort"] * 2
    assert "Cancelled" in sagas.params("saga-abort")[0]["reason"]


@loops
@pytest.mark.usefixtures("hasty")
def test_a_commit_without_answer_is_unknown_and_never_aborts(run: Run, sagas: SagaSidecar) -> None:
    sagas.script["saga-commit"] = [CLOSE, Unavailable("no leader"), lambda _: ends(sagas)]

    async def use(registry: aio.AsyncRegistry) -> None:
        with pytest.raises(OutcomeUnknown) as raised:
            await order(registry)
        sagas.start()
        sagas.script["saga-show"] = [story()]
        assert (await registry.saga_of("s1").wait()).is_committed
        assert (await registry.saga_of(raised.value.saga).show()).saga == f"{JOURNAL}.s1"

    run_connected(run, sagas, use)
    assert sagas.methods == ["begin", "step", "commit", "commit", "commit", "show", "wait", "show"]


@loops
def test_steps_at_once_wait_for_each_other(run: Run, sagas: SagaSidecar) -> None:
    barrier = threading.Barrier(4)
    sagas.usual["saga-step"] = lambda params: (
        barrier.wait(30) is not None and step_answer(body=f'"{params["step"]["name"]}"'.encode())
    )

    async def use(registry: aio.AsyncRegistry) -> None:
        async with registry.saga("create-order") as saga:
            answers = await saga.steps([SagaStep(f"s{n}", "stock", "PUT", "/{key}", undo=UNDO) for n in range(4)])
            assert [one.json() for one in answers] == ["s0", "s1", "s2", "s3"]
            sagas.usual["saga-step"] = lambda _: step_answer()
            assert len(await saga.steps([SagaStep(f"t{n}", "stock", "PUT", "/", undo=UNDO) for n in range(40)])) == 40
        sagas.script["saga-step"] = [step_answer(state="refused", status=422)]

        async def refused() -> None:
            async with registry.saga("create-order") as saga:
                await saga.steps([SagaStep(f"s{n}", "stock", "PUT", "/{key}", undo=UNDO) for n in range(3)])

        with pytest.raises(StepRefused):
            await refused()

    run_connected(run, sagas, use)
    assert sagas.methods.count("commit") == sagas.methods.count("abort") == 1


@loops
def test_more_sagas_than_connections_wait_in_the_loop(run: Run, sagas: SagaSidecar) -> None:
    async def use(registry: aio.AsyncRegistry) -> None:
        async def one() -> None:
            async with registry.saga("create-order") as saga:
                await reserve(saga)
                await until(lambda: sagas.methods.count("begin") >= SAGAS_AT_ONCE)

        await together(*[one] * (SAGAS_AT_ONCE + 20))

    run_connected(run, sagas, use)
    assert sagas.methods.count("commit") == SAGAS_AT_ONCE + 20
    assert sagas.accepted == SAGAS_AT_ONCE


@loops
def test_run_saga_begins_a_declared_saga_once(run: Run, sagas: SagaSidecar) -> None:
    sagas.script["saga-run"] = [CLOSE, lambda params: begun(params) | {"exists": True}, failure("conflict")]

    async def use(registry: aio.AsyncRegistry) -> None:
        assert (await registry.run_saga({"name": "ask"}, [1])).exists
        with pytest.raises(SagaConflict):
            await registry.run_saga({"name": "ask"}, id="s1")

    run_connected(run, sagas, use)
    assert sagas.params("saga-run")[0]["input"] == b"[1]"


@loops
def test_a_known_id_does_not_run_the_block(run: Run, sagas: SagaSidecar) -> None:
    sagas.script["saga-begin"] = [begun({"id": "s1"}) | {"exists": True, "state": "running", "decision": None}]

    async def use(registry: aio.AsyncRegistry) -> None:
        with pytest.raises(SagaExists, match="running"):
            await order(registry)
        await order(registry)

    run_connected(run, sagas, use)
    assert sagas.methods == ["begin", "begin", "step", "commit"]
