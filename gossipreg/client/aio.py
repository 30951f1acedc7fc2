"""The registry for asyncio and trio. The snapshots are the same; only waiting is different.

    async with gossipreg.aio.connect() as registry:
        billing = registry.service("billing")
        for instance in await billing.lookup():
            print(instance.hostport)

The thread of the process keeps the snapshots here too, so a loop that is busy does not make them stale.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from gossipreg.client.aio_calling import attempted, called, keep, run_call
from gossipreg.client.checks import check_callable, check_text
from gossipreg.client.fallback import FallbackLimits, of_limits
from gossipreg.client.instance import Instance
from gossipreg.client.loops import checkpoint, wait_for_changes
from gossipreg.client.picked import PickedInstance, SinglePick
from gossipreg.client.picking.balancer import DEADLINE_S
from gossipreg.client.registry import MAX_STALE_S, TIMEOUT_S, Registry
from gossipreg.client.service import Service
from gossipreg.client.snapshot import Snapshot

if TYPE_CHECKING:
    from gossipreg.client.events.aio import AsyncEventIterator, AsyncRegistryEvents, AsyncSubscription
    from gossipreg.client.events.event import HandledEvent
    from gossipreg.client.events.published import Published
    from gossipreg.client.sagas.aio_of_registry import AsyncRegistrySagas, AsyncSagaHandle
    from gossipreg.client.sagas.aio_saga import AsyncSaga
    from gossipreg.client.sagas.saga_answers import BegunAnswer

T = TypeVar("T")

LONGEST_S = 4_000_000.0
"""Some 46 days; then the waiting begins anew."""


class AsyncRegistry:
    """As `gossipreg.Registry`; made by `gossipreg.aio.connect`."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        """The same for threads: with `watch`, `stats`, `zone`."""
        self._timeout_s = registry.timeout_s
        self._made_events: dict[None, AsyncRegistryEvents] = {}
        self._made_sagas: dict[None, AsyncRegistrySagas] = {}

    def service(self, name: str, tags: Iterable[str] = (), zone: str | None = None) -> "AsyncService":
        """As `Registry.service`."""
        return AsyncService(self.registry.service(name, tags, zone))

    async def publish(
        self, type: str, data: object = None, *, id: str | None = None, source: str | None = None,
        key: str | None = None, subject: str | None = None, datacontenttype: str | None = None,
        time: str | None = None, extensions: Mapping[str, str] | None = None, timeout: float = 10.0,
        keep: float | None = None,
    ) -> "Published":  # fmt: skip
        """As `Registry.publish`. If it is cancelled, the event may be published or not."""
        return await self._events.publish(
            type, data, id=id, source=source, key=key, subject=subject, datacontenttype=datacontenttype, time=time,
            extensions=extensions, timeout=timeout, keep=keep,
        )  # fmt: skip

    async def subscribe(
        self, pattern: str | Iterable[str], group: str | None = None,
        handler: "Callable[[HandledEvent], Awaitable[object]] | None" = None, *, window: int | None = None,
        on_dead: str | None = None, max_attempts: int | None = None, ack_timeout: float | None = None,
        broadcast: bool = False, past: bool = False,
    ) -> "AsyncSubscription":  # fmt: skip
        """As `Registry.subscribe`, with a handler that is awaited: each event is a task of this loop, and as many run
        at once as `window` allows (64)."""
        return await self._events.subscribe(
            pattern, group, handler, self._timeout_s, window=window, on_dead=on_dead, max_attempts=max_attempts,
            ack_timeout=ack_timeout, broadcast=broadcast, past=past,
        )  # fmt: skip

    def events(
        self, pattern: str | Iterable[str], group: str | None = None, *, window: int | None = None,
        on_dead: str | None = None, max_attempts: int | None = None, ack_timeout: float | None = None,
        broadcast: bool = False, past: bool = False,
    ) -> "AsyncEventIterator":  # fmt: skip
        """`async for event in registry.events(...)`; as `Registry.events`. A refusal is raised by the loop."""
        return self._events.events(
            pattern, group, window=window, on_dead=on_dead, max_attempts=max_attempts, ack_timeout=ack_timeout,
            broadcast=broadcast, past=past,
        )  # fmt: skip

    def saga(
        self, name: str, *, id: str | None = None, input: object = None, timeout: float = 60.0, strict: bool = False,
        traceparent: str | None = None, tracestate: str | None = None,
    ) -> "AsyncSaga":  # fmt: skip
        """`async with registry.saga("create-order") as saga:`; as `Registry.saga`. A block that is cancelled aborts."""
        return self._sagas.saga(
            name, id=id, input=input, timeout=timeout, strict=strict, traceparent=traceparent, tracestate=tracestate
        )  # fmt: skip

    async def run_saga(
        self, definition: Mapping[str, Any] | str, input: object = None, *, id: str | None = None,
        traceparent: str | None = None, tracestate: str | None = None, journal: str | None = None,
        timeout: float = 10.0,
    ) -> "BegunAnswer":  # fmt: skip
        """As `Registry.run_saga`. If it is cancelled, the saga may be begun or not."""
        return await self._sagas.run(definition, input, id, traceparent, timeout, tracestate, journal)

    async def saga_journal(self, *, timeout: float = 10.0) -> str:
        """As `Registry.saga_journal`."""
        return await self._sagas.journal(timeout)

    def saga_of(self, saga: str) -> "AsyncSagaHandle":
        """As `Registry.saga_of`."""
        return self._sagas.saga_of(saga)

    @property
    def _sagas(self) -> "AsyncRegistrySagas":
        parts = self.registry.saga_parts
        found = self._made_sagas.get(None)
        if found is None:
            from gossipreg.client.sagas.aio_of_registry import AsyncRegistrySagas

            found = self._made_sagas.setdefault(None, AsyncRegistrySagas(parts))
        return found

    @property
    def _events(self) -> "AsyncRegistryEvents":
        parts = self.registry.event_parts
        found = self._made_events.get(None)
        if found is None:
            from gossipreg.client.events.aio import AsyncRegistryEvents

            found = self._made_events.setdefault(None, AsyncRegistryEvents(parts))
        return found

    def stats(self) -> dict[str, Any]:
        """As `Registry.stats`."""
        return self.registry.stats()

    def close(self) -> None:
        """As `Registry.close`. It does not wait for handlers; the end of `async with` does."""
        for sagas in self._made_sagas.values():
            sagas.close()
        self.registry.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        try:
            for events in self._made_events.values():
                await events.close()
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"<AsyncRegistry: {self.registry!r}>"


class AsyncService:
    """The instances of one service; made by `AsyncRegistry.service`."""

    def __init__(self, service: Service) -> None:
        self.service = service
        """The same for threads. Its `instances` blocks the loop if nothing is known yet."""

    @property
    def name(self) -> str:
        return self.service.name

    async def lookup(self) -> tuple[Instance, ...]:
        """The passing instances, from memory. Only the first lookup waits, until the sidecar has answered, at most
        `timeout` of `connect`. Raises as `Service.instances` does."""
        return (await self.snapshot()).instances

    async def snapshot(self) -> Snapshot:
        """As `lookup`, with what is known of the instances."""
        await self.ready(self.service.timeout_s)
        return self.service.snapshot

    async def ready(self, wait_s: float) -> None:
        """Wait until anything is known, but no longer than a lookup does. Raises NotSynced, Refused."""
        service = self.service
        if service.known is not None:
            await checkpoint()
            return
        wait_s = min(wait_s, service.timeout_s)
        service.use()
        if not await self.wait_until(lambda: service.is_answered, wait_s):
            service.raise_refused()
            raise service.not_synced(wait_s)
        service.raise_refused()

    async def wait(self, count: int = 1, timeout: float | None = None) -> tuple[Instance, ...]:
        """Wait until at least `count` instances pass, and return them. Raises NotSynced if there are fewer after
        `timeout` seconds; None: the `timeout` of `connect`."""
        service = self.service
        wait_s = service.wait_s(count, timeout)
        service.use()
        if not await self.wait_until(lambda: service.has(count), wait_s):
            raise service.too_few(count, wait_s)
        return service.instances

    def pick(self, key: str | None = None, *, deadline: float = DEADLINE_S) -> "AsyncPick":
        """`async with service.pick() as instance:`; as `Service.pick`."""
        return AsyncPick(self, key, deadline)

    async def call(
        self,
        fn: Callable[[PickedInstance], Awaitable[T]],
        *,
        idempotent: bool = False,
        deadline: float = DEADLINE_S,
        fallback: "AsyncService | Callable[[], Awaitable[T]] | Callable[[FallbackLimits], Awaitable[T]] | None" = None,
        hedge: bool = False,
        key: str | None = None,
        attempts: int = 3,
        depth: int | None = None,
    ) -> T:
        """As `Service.call`, with an `fn` and a `fallback` that are awaited, and cancelled when their time is over.
        `hedge`: if an attempt of an idempotent call takes longer than 95 % of all do, send a second one to another
        instance, and take the first answer; the other attempt is cancelled."""
        options = self.service.call_options(idempotent, deadline, attempts, hedge, depth)
        check_text("key", key, "what the same requests have in common")
        check_callable("fn", fn, "an async function that takes the picked instance")
        fall_back: Callable[[FallbackLimits], Awaitable[T]] | None = None
        if isinstance(fallback, AsyncService):
            other = fallback

            async def fall_back(limits: FallbackLimits) -> T:
                return await attempted(other.service.picker, other.ready, fn, limits.options(options), key, keep)

        elif fallback is not None:
            check_callable("fallback", fallback, "an async function, or a service of gossipreg.aio")
            fall_back = called(of_limits(fallback))
        return await run_call(self.service.picker, self.ready, fn, options, key, fall_back)

    def stats(self) -> dict[str, int | str]:
        """As `Service.stats`."""
        return self.service.stats()

    def changes(self) -> "ServiceChanges":
        """`async for snapshot in service.changes()`: the snapshot now, once there is one, and after each change.
        Changes that come while the loop is busy are given as one."""
        return ServiceChanges(self)

    async def wait_until(self, ready: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait until `ready`, which is asked at each change; return whether it is ready in time."""
        wait_s = LONGEST_S if timeout_s is None else timeout_s
        return await wait_for_changes(self.service.on_change, ready, wait_s, self.service.use)

    def __repr__(self) -> str:
        return f"<Async{repr(self.service).removeprefix('<')}"


class AsyncPick:
    """See `AsyncService.pick`."""

    def __init__(self, service: AsyncService, key: str | None, deadline_s: float) -> None:
        self._service = service
        self._deadline_s = deadline_s
        self._pick = service.service.pick(key, deadline=deadline_s)

    async def __aenter__(self) -> SinglePick:
        if self._service.service.known is None:
            await self._service.ready(self._deadline_s)
        return self._pick.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._pick.__exit__(kind, error, traceback)


class ServiceChanges:
    """See `AsyncService.changes`. It holds nothing, so it needs no end."""

    def __init__(self, service: AsyncService) -> None:
        self._service = service
        self._given: Snapshot | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Snapshot:
        service = self._service.service
        service.use()
        if not await self._service.wait_until(self._is_due, None):
            raise service.not_synced(service.timeout_s)
        service.raise_refused()
        self._given = service.known
        assert self._given is not None
        return self._given

    def _is_due(self) -> bool:
        service = self._service.service
        known = service.known
        return service.is_refused or (known is not None and known is not self._given)


def connect(
    path: str | None = None, *, timeout: float = TIMEOUT_S, max_stale: float | None = MAX_STALE_S,
    zone: str | None = None, service: str | None = None,
) -> AsyncRegistry:  # fmt: skip
    """As `gossipreg.connect`, for `async with` in asyncio or trio."""
    return AsyncRegistry(Registry(path, timeout=timeout, max_stale=max_stale, zone=zone, service=service))
