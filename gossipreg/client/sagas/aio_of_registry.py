"""The sagas of one registry, for asyncio and trio.

Owns: the connections that they share. Never knows: services and instances.
"""

from collections.abc import Mapping
from time import monotonic
from typing import Any

from gossipreg.client.sagas.aio_caller import AsyncCaller
from gossipreg.client.sagas.aio_saga import AsyncSaga
from gossipreg.client.sagas.of_registry import RegistrySagas
from gossipreg.client.sagas.running import journal_call, run_call, run_failed
from gossipreg.client.sagas.saga_answers import BegunAnswer, SagaStory, read_journal_untrusted
from gossipreg.client.sagas.saga_handle import WAIT_S, SagaWaiting, checked_saga, show_call
from gossipreg.errors import GossipregError


class AsyncRegistrySagas:
    def __init__(self, sagas: RegistrySagas) -> None:
        self._caller = AsyncCaller(sagas.client)

    def saga(self, name: str, **options: Any) -> AsyncSaga:
        """See `Registry.saga`."""
        return AsyncSaga(self._caller, name, **options)

    async def run(
        self, definition: Mapping[str, Any] | str, input: object, id: str | None, traceparent: str | None,
        timeout_s: float, tracestate: str | None = None, journal: str | None = None,
    ) -> BegunAnswer:  # fmt: skip
        """See `Registry.run_saga`."""
        call = run_call(definition, input, id, traceparent, timeout_s, tracestate, journal)
        try:
            return BegunAnswer.read_untrusted("saga-run", await self._caller.call(call))
        except GossipregError as error:
            raise run_failed(call, error) from error.__cause__

    async def journal(self, timeout_s: float) -> str:
        """See `Registry.saga_journal`."""
        return read_journal_untrusted(await self._caller.call(journal_call(timeout_s)))

    def saga_of(self, saga: str) -> "AsyncSagaHandle":
        """See `Registry.saga_of`."""
        return AsyncSagaHandle(self._caller, checked_saga(saga))

    def close(self) -> None:
        """Close idle connections."""
        self._caller.close()


class AsyncSagaHandle:
    """As `SagaHandle`, for asyncio and trio."""

    def __init__(self, caller: AsyncCaller, saga: str) -> None:
        self._caller = caller
        self.saga = saga

    async def show(self) -> SagaStory:
        """As `SagaHandle.show`."""
        return SagaStory.read_untrusted(await self._caller.call(show_call(self.saga)))

    async def wait(self, timeout: float = WAIT_S, *, until: str = "decided") -> SagaStory:
        """As `SagaHandle.wait`."""
        waiting = SagaWaiting(self.saga, until, timeout, monotonic())
        while True:
            story = waiting.found(await self._caller.call(waiting.next_call(monotonic())))
            if story is not None:
                return story

    def __repr__(self) -> str:
        return f"<AsyncSagaHandle of {self.saga}>"
