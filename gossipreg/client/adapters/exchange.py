"""One HTTP request of a program as a logical call: what all adapters share. It sends nothing itself.

    exchange = Exchange(adapter, name, request, method, headers, can_resend)
    answer = exchange.run(send, discard)        or `await exchange.run_async(send, discard)`

`send(instance, host)` makes one attempt; it tells the answer's status and headers to `exchange.answered`. The answer
that the program gets is in flight until `BodyInFlight.end`: when its body is drained or closed.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import isawaitable
from time import time
from typing import Any, NamedTuple, TypeVar

from gossipreg.client import aio_calling, calling
from gossipreg.client.adapters.options import AdapterOptions, chosen_options, split_options
from gossipreg.client.aio import AsyncService
from gossipreg.client.checks import refuse_coroutine
from gossipreg.client.fallback import FallbackLimits
from gossipreg.client.loops import within
from gossipreg.client.picked import PickedInstance
from gossipreg.client.picker import Picker
from gossipreg.client.picking import headers as known
from gossipreg.client.picking.outcomes import FAILURE, NEUTRAL, SUCCESS, status_outcome
from gossipreg.client.picking.retry_after import retry_after_untrusted
from gossipreg.client.registry import Registry
from gossipreg.client.service import Service
from gossipreg.errors import BadParams

R = TypeVar("R")
SUFFIX = ".service"


class Adapter(NamedTuple):
    """What all requests of one adapter have in common."""

    registry: Registry
    options: AdapterOptions
    can_cancel: bool
    """It is for asyncio or trio."""


def make_adapter(registry: object, options: dict[str, Any], *, can_cancel: bool) -> tuple[Adapter, dict[str, Any]]:
    """The adapter for a registry of `gossipreg.connect` or `gossipreg.aio.connect`, and the options that are left for
    the library. Raises BadParams."""
    inner = getattr(registry, "registry", registry)
    if not isinstance(inner, Registry):
        raise BadParams(f"registry {registry!r} is no registry: give what gossipreg.connect() returns")
    own, others = split_options(options, can_cancel)
    return Adapter(inner, own, can_cancel), others


def service_name(host: str | None) -> str | None:
    """The service that this host of a URL means; None: it is any other host."""
    name = (host or "").lower().removesuffix(SUFFIX)
    return name if name and name != (host or "").lower() else None


def tls_name(instance: PickedInstance, host: str) -> str:
    """The name that the certificate of this instance has to be for. `host` is that of the URL."""
    return instance.meta.get("tls_name") or host


class Exchange:
    def __init__(
        self, adapter: Adapter, name: str, request: Any, method: str, headers: Mapping[str, str], can_resend: bool
    ) -> None:
        """`request`: that of the library. `can_resend`: its body can be sent a second time. Raises BadParams, and
        DeadlineExceeded if the request that this program serves has nobody who waits for it."""
        chosen = chosen_options(adapter.options, adapter.can_cancel)
        idempotent = known.is_idempotent(method, headers) if chosen.idempotent is None else chosen.idempotent
        self.hedge = chosen.hedge
        self._registry = adapter.registry
        self._service = adapter.registry.service(name)
        self._request = request
        self._key = chosen.key_of(request)
        self._fallback = chosen.fallback
        self._options = self._service.call_options(
            idempotent and can_resend, chosen.deadline, chosen.attempts, chosen.hedge, None
        )

    def run(self, send: Callable[[PickedInstance, str | None], R], discard: Callable[[R], object]) -> R:
        """The answer for the program; raises what the last attempt raised. `send(instance, host)` sends one attempt,
        under the name of a fallback if `host` is not None. `discard` closes an answer that the program does not get."""

        def call_fallback(limits: FallbackLimits) -> R:
            given: Any = self._fallback
            if callable(given):
                with limits.obeyed(), _failing():
                    given = given(self._request)
                refuse_coroutine("fallback", self._fallback, given)
            if not isinstance(given, str):
                answer: R = _answer_of(given)
                return answer
            other, host = self._registry.service(given), given + SUFFIX
            options = limits.options(self._options)
            return calling.attempted(other.picker, lambda one: send(one, host), options, self._key, discard)

        fallback = None if self._fallback is None else call_fallback
        picker = self._service.picker
        return calling.run_call(picker, lambda one: send(one, None), self._options, self._key, fallback, discard)

    async def run_async(
        self, send: Callable[[PickedInstance, str | None], Awaitable[R]], discard: Callable[[R], Awaitable[object]]
    ) -> R:
        """As `run`."""

        async def asked(_limits: FallbackLimits) -> Any:
            given: Any = self._fallback
            if callable(given):
                given = given(self._request)
            return await given if isawaitable(given) else given

        async def call_fallback(limits: FallbackLimits) -> R:
            with limits.obeyed(), _failing():
                given = await within(limits.timeout_s, asked, limits)
            if not isinstance(given, str):
                answer: R = _answer_of(given)
                return answer
            other, host = AsyncService(self._registry.service(given)), given + SUFFIX
            return await aio_calling.attempted(
                other.service.picker, other.ready, lambda one: send(one, host), limits.options(self._options),
                self._key, discard,
            )  # fmt: skip

        fallback = None if self._fallback is None else call_fallback
        service = AsyncService(self._service)
        return await aio_calling.run_call(
            self._service.picker,
            service.ready,
            lambda one: send(one, None),
            self._options,
            self._key,
            fallback,
            discard,
        )

    def answered(
        self, instance: PickedInstance, host: str | None, status: int, headers: Mapping[str, str]
    ) -> "BodyInFlight | None":
        """The headers of an answer came; their names are found in any case. Returns what the end of its body ends, if
        the program gets the answer for certain."""
        load = known.load_untrusted(headers.get(known.LOAD))
        if load is not None:
            instance.server_load(load)
        outcome = status_outcome(
            status, retry_after_untrusted(headers.get(known.RETRY_AFTER), headers.get(known.DATE), time())
        )
        instance.ended_as(outcome)
        if outcome != SUCCESS:
            return None
        instance.body_follows = True
        return BodyInFlight(self._picker(host), instance, load)

    def _picker(self, host: str | None) -> Picker:
        service: Service = self._service if host is None else self._registry.service(host.removesuffix(SUFFIX))
        return service.picker


@contextmanager
def _failing() -> Iterator[None]:
    """An error of a function as fallback: the program gets the first answer or error, and this one as its cause."""
    try:
        yield
    except Exception as error:
        raise calling.CallFailed(error) from None


def _answer_of(given: R | None) -> R:
    """What a function as fallback returned."""
    if given is None:
        raise calling.CallFailed(None)
    return given


class BodyInFlight:
    """The body of a good answer, which the program reads."""

    def __init__(self, picker: Picker, instance: PickedInstance, load: int | None) -> None:
        assert instance.attempt is not None
        self._picker = picker
        self._pick = instance.attempt.pick
        self._load = load

    def end(self, error: BaseException | None = None) -> None:
        """It was drained or closed, or reading it failed. A second end changes nothing."""
        outcome = SUCCESS if error is None else FAILURE if isinstance(error, Exception) else NEUTRAL
        if not self._pick.ended:
            self._picker.body_ended(self._pick, outcome, self._load)

    def __del__(self) -> None:
        """An answer that nobody closed."""
        if not self._pick.ended:
            self._picker.abandon(self._pick)
