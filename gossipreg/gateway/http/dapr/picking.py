"""Calls to services: an instance is picked, and another one after a failure, by the rules of the client.

The rules are in `client/picking/`, which is pure: shares, zones, ejection, breaker, budget for retries. A call is sent
again where nothing of it was sent, or where its method or an Idempotency-Key says that it may be.
"""

import time
from collections.abc import Callable
from random import Random

import trio

from gossipreg.client.instance import Instance
from gossipreg.client.picking.attempts import AfterAttempt, Attempt
from gossipreg.client.picking.headers import ATTEMPT, LOAD, attempt_untrusted, is_idempotent, load_untrusted
from gossipreg.client.picking.options import CallOptions, PickOptions
from gossipreg.client.picking.outcomes import FAILURE, NEVER_SENT, TIMED_OUT, Outcome, status_outcome
from gossipreg.client.picking.resilience import Resilience
from gossipreg.client.picking.retry_after import retry_after_untrusted
from gossipreg.core.view import View
from gossipreg.errors import BreakerOpen, DeadlineExceeded, NoInstance
from gossipreg.gateway.http.dapr.call_spans import begin_attempt, end_attempt
from gossipreg.gateway.http.dapr.invocation import Invocation
from gossipreg.model import CatalogInstance, fold_name
from gossipreg.net.http_client import HttpAnswer, HttpClient, NotReached, NoWholeAnswer, OutgoingCall
from gossipreg.net.http_message import HttpError
from gossipreg.tracing import Tracer
from gossipreg.wire.shapes import HEALTH_NAMES

CALL_S = 60.0
"""How long a call may take, all attempts together."""
ANSWER_MAX_BYTES = 4 * 1024 * 1024
"""Of a service's response: as Dapr has it."""
SERVICES_MAX = 1024
"""Services whose instances are known; with more, the one that was not called for longest is forgotten."""
CALLS_MAX = 1024
"""Calls at once: each has a response in memory, and a connection."""


class ServiceCalls:
    def __init__(self, view: View, client: HttpClient, rng: Random, *, zone: Callable[[], str], tracer: Tracer) -> None:
        self._view = view
        self._client = client
        self._rng = rng
        self._zone = zone
        self._tracer = tracer
        self._running = 0
        self._services: dict[str, tuple[Resilience, int]] = {}
        """By folded name; the last used is the last. With the index of the catalog at which its instances were read."""

    async def call(self, wanted: Invocation) -> HttpAnswer:
        """What an instance of the service answers, whatever the status. Raises HttpError."""
        if self._running >= CALLS_MAX:
            raise _failed(f"{CALLS_MAX} calls run already: call again later")
        service = self._service(wanted.app)
        options = CallOptions(
            deadline_s=CALL_S, idempotent=is_idempotent(wanted.method, dict(wanted.headers)),
            depth=attempt_untrusted(wanted.header(ATTEMPT.lower())),
        )  # fmt: skip
        self._running += 1
        try:
            return await self._attempts(service, options, wanted)
        except (BreakerOpen, NoInstance, DeadlineExceeded) as error:
            raise _failed(str(error)) from None
        finally:
            self._running -= 1

    def _service(self, name: str) -> Resilience:
        folded, index = fold_name(name), self._view.catalog.index(name)
        service, at = self._services.pop(folded, (None, -1))
        if service is None:
            service = Resilience(name, PickOptions(zone=self._zone()), Random(self._rng.getrandbits(64)))
        if at != index:
            found = self._view.catalog.lookup(name, all=True)
            service.balancer.update(tuple(map(_instance, found)), trio.current_time())
        if self._view.knowledge.partial and not self._view.catalog.lookup(name, all=True):
            raise _failed(f"this sidecar is not synced yet, and knows no service {name!r}")
        if len(self._services) >= SERVICES_MAX:
            del self._services[next(iter(self._services))]
        self._services[folded] = service, index
        return service

    async def _attempts(self, service: Resilience, options: CallOptions, wanted: Invocation) -> HttpAnswer:
        call = service.begin(options, trio.current_time())
        failure: HttpAnswer | str = ""
        try:
            while True:
                try:
                    attempt = call.next_attempt(trio.current_time())
                except (NoInstance, DeadlineExceeded):
                    if failure:
                        break
                    raise
                answer, outcome = await self._attempt(attempt, wanted, options)
                load = None if isinstance(answer, str) else load_untrusted(answer.header(LOAD))
                after = call.ended(attempt, outcome, trio.current_time(), load)
                failure = answer
                if after is not AfterAttempt.RETRY:
                    break
                await trio.sleep_until(call.retry_at)
        finally:
            call.close(trio.current_time())
        if isinstance(failure, str):
            raise _failed(failure)
        return failure

    async def _attempt(
        self, attempt: Attempt, wanted: Invocation, options: CallOptions
    ) -> tuple[HttpAnswer | str, Outcome]:
        instance = attempt.pick.instance
        ours = {name.lower(): value for name, value in attempt.headers().items()}
        span, given = begin_attempt(self._tracer, wanted, attempt)
        headers = [item for item in given if item[0] not in ours]
        call = OutgoingCall(wanted.method, wanted.target, [*headers, *ours.items()], wanted.body)
        place = instance.address, instance.port
        with span:
            try:
                with trio.fail_after(attempt.timeout_s):
                    answer = await self._client.ask(place, call, most_bytes=ANSWER_MAX_BYTES, again=options.idempotent)
            except NotReached as error:
                span.end("not_sent")
                return str(error), NEVER_SENT
            except NoWholeAnswer as error:
                span.end("no_answer")
                return str(error), FAILURE
            except trio.TooSlowError:
                span.end("timeout")
                return f"{instance.hostport} did not answer within {attempt.timeout_s:.1f} s", TIMED_OUT
            end_attempt(span, answer)
        asked_s = retry_after_untrusted(answer.header("retry-after"), answer.header("date"), time.time())
        return answer, status_outcome(answer.status, asked_s)


def _failed(why: str) -> HttpError:
    return HttpError(500, "direct_invoke", why)


def _instance(one: CatalogInstance) -> Instance:
    service = one.service
    return Instance(
        service.id, service.name, one.node.hex(), one.node_name, service.address, service.port, service.tags,
        dict(service.meta), service.weight, HEALTH_NAMES[one.health], one.zone, one.stale, one.version, one.reason,
    )  # fmt: skip
