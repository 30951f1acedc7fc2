"""One HTTP request of a program as a logical call: what all adapters share. It sends nothing; `driving.py` does.

    exchange = Exchange(registry, name, method, headers, can_resend, options)
    with exchange:
        while instance := exchange.next_instance():
            send; then `failed(outcome)` or `answered(answer)`: True: another attempt may follow after `wait_s`

The answer that the program gets is in flight until `BodyInFlight.end`: when its body is drained or closed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic, time
from typing import NamedTuple, Self

from gossipreg.client.calling import is_bad, picked
from gossipreg.client.incoming import INCOMING
from gossipreg.client.picked import PickedInstance
from gossipreg.client.picker import Picker
from gossipreg.client.picking import headers as known
from gossipreg.client.picking.attempts import AfterAttempt, LogicalCall
from gossipreg.client.picking.balancer import DEADLINE_S
from gossipreg.client.picking.outcomes import FAILURE, NEUTRAL, SUCCESS, Outcome, status_outcome
from gossipreg.client.picking.retry_after import retry_after_untrusted
from gossipreg.client.registry import Registry
from gossipreg.client.service import Service
from gossipreg.errors import DeadlineExceeded, NoInstance

SUFFIX = ".service"


@dataclass(frozen=True, slots=True)
class AdapterOptions:
    """For all requests of one adapter."""

    deadline_s: float = DEADLINE_S
    """From the request to the headers of its answer, all attempts together."""
    attempts: int = 3


class HttpAnswer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    """With names in any case: those of the libraries compare without case."""


def service_name(host: str | None) -> str | None:
    """The service that this host of a URL means; None: it is any other host."""
    name = (host or "").lower().removesuffix(SUFFIX)
    return name if name and name != (host or "").lower() else None


def tls_name(instance: PickedInstance, host: str) -> str:
    """The name that the certificate of this instance has to be for. `host` is that of the URL."""
    return instance.meta.get("tls_name") or host


class Exchange:
    def __init__(
        self, service: Service, method: str, headers: Mapping[str, str], can_resend: bool, options: AdapterOptions
    ) -> None:
        """`can_resend`: the body can be sent a second time. Raises DeadlineExceeded if the request that this program
        serves has nobody who waits for it."""
        depth, deadline = INCOMING.get()
        deadline_s = options.deadline_s if deadline is None else min(options.deadline_s, deadline - monotonic())
        if deadline_s <= 0:
            raise DeadlineExceeded(f"{service.name} is not called: the caller of this program waits no longer")
        idempotent = can_resend and known.is_idempotent(method, headers)
        self.wait_s = 0.0
        """Before the next attempt."""
        self.body: BodyInFlight | None = None
        """Of the answer that the program gets."""
        self._picker = service.picker
        self._options = service.call_options(idempotent, deadline_s, options.attempts, False, depth)
        self._call: LogicalCall | None = None
        self._instance: PickedInstance | None = None

    def next_instance(self) -> PickedInstance | None:
        """Where the next attempt goes. None: there can be no other one, so the program gets how the last one ended.
        The first raises what a pick raises."""
        if self._call is None:
            self._call = self._picker.begin(self._options, None)
        try:
            attempt = self._picker.next_attempt(self._call)
        except (NoInstance, DeadlineExceeded):
            if self._instance is None:
                raise
            return None
        self._instance = picked(attempt)
        return self._instance

    def failed(self, outcome: Outcome) -> bool:
        """The attempt brought no answer. Returns whether another one may follow."""
        return self._ended(outcome, None)

    def answered(self, answer: HttpAnswer) -> bool:
        """The headers of an answer came. Returns whether another attempt may follow: then close the answer, once
        `next_instance` has given one."""
        load = known.load_untrusted(answer.headers.get(known.LOAD))
        given = answer.headers.get(known.RETRY_AFTER), answer.headers.get(known.DATE)
        outcome = status_outcome(answer.status, retry_after_untrusted(*given, time()))
        if is_bad(outcome):
            return self._ended(outcome, load)
        assert self._call is not None
        assert self._instance is not None
        assert self._instance.attempt is not None
        self._picker.call_answered(self._call, self._instance.attempt)
        self.body = BodyInFlight(self._picker, self._instance, load)
        return False

    def _ended(self, outcome: Outcome, load: int | None) -> bool:
        assert self._call is not None
        assert self._instance is not None
        assert self._instance.attempt is not None
        after = self._picker.attempt_ended(self._call, self._instance.attempt, outcome, load)
        self.wait_s = max(0.0, self._call.retry_at - monotonic())
        return after is AfterAttempt.RETRY

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._call is not None:
            self._picker.close(self._call)


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


def registry_for_threads(registry: object) -> Registry:
    """The registry itself, for one of `gossipreg.connect` and for one of `gossipreg.aio.connect`."""
    inner = getattr(registry, "registry", registry)
    assert isinstance(inner, Registry), f"{registry!r} is no registry: give what gossipreg.connect() returns"
    return inner
