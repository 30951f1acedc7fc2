"""`Service.call` in threads: what the program says of a request, and fallbacks."""

import gc
from collections.abc import Callable
from time import monotonic
from weakref import ref

import pytest

from gossipreg.client.calling import run_call
from gossipreg.client.fallback import FallbackLimits
from gossipreg.client.incoming import INCOMING, NOT_SERVING, IncomingRequest
from gossipreg.client.picked import PickedInstance
from gossipreg.client.picking.options import CallOptions
from gossipreg.client.registry import Registry
from gossipreg.client.service import Service
from gossipreg.errors import DeadlineExceeded
from tests.client.talking_sidecar import TalkingSidecar, at

BOUND_S = 60.0


@pytest.fixture(autouse=True)
def other(talking: TalkingSidecar) -> None:
    """Another service, with one instance."""
    talking.services["other"] = [at(4, service="other")]


def test_the_program_says_that_nothing_was_sent(web: Service) -> None:
    tried: list[int] = []

    def request(instance: PickedInstance) -> int:
        tried.append(instance.port)
        if len(tried) == 1:
            instance.never_sent()
            raise TimeoutError("while connecting, as this program knows")
        return instance.port

    assert web.call(request) == tried[1] != tried[0]

    def sent(instance: PickedInstance) -> None:
        instance.failed()
        raise ConnectionRefusedError("of the second request that this program sends")

    with pytest.raises(ConnectionRefusedError):
        web.call(sent)
    assert web.stats()["attempts"] == 3


def gone(_instance: PickedInstance) -> int:
    raise ConnectionResetError("gone")


def test_a_fallback_is_told_what_is_left_and_that_it_is_a_retry(web: Service) -> None:
    told: list[FallbackLimits] = []
    incoming: list[IncomingRequest] = []

    def instead(limits: FallbackLimits) -> int:
        told.append(limits)
        incoming.append(INCOMING.get())
        return 7

    assert web.call(gone, idempotent=True, attempts=2, deadline=20.0, fallback=instead) == 7
    assert 0 < told[0].timeout_s <= 20.0
    assert told[0].headers()["Gossipreg-Attempt"] == "3"
    assert incoming == [IncomingRequest(3, told[0].deadline)]
    assert INCOMING.get() == NOT_SERVING


def test_a_fallback_needs_no_argument(web: Service) -> None:
    for function in (lambda: 7, lambda given=7: given, lambda *_: 7, lambda **_: 7):
        assert web.call(gone, idempotent=True, attempts=1, fallback=function) == 7


def test_a_call_that_was_never_sent_makes_its_fallback_the_first_request(registry: Registry) -> None:
    told: list[FallbackLimits] = []
    fallback: Callable[[FallbackLimits], None] = told.append
    registry.service("nothing").call(gone, fallback=fallback)
    assert "Gossipreg-Attempt" not in told[0].headers()


def test_the_requests_of_a_fallback_service_are_retries(web: Service, registry: Registry) -> None:
    sent: list[tuple[str, str | None]] = []

    def request(instance: PickedInstance) -> int:
        sent.append((instance.service, instance.headers().get("Gossipreg-Attempt")))
        if instance.service == "web":
            raise ConnectionResetError("gone")
        return instance.port

    assert web.call(request, idempotent=True, attempts=2, fallback=registry.service("other")) == 4
    assert sent == [("web", None), ("web", "2"), ("other", "3")]


def test_a_fallback_service_that_fails_too_gives_what_came_first(web: Service, registry: Registry) -> None:
    def failed(instance: PickedInstance) -> str:
        instance.failed()
        return instance.service

    other = registry.service("other")
    assert web.call(failed, idempotent=True, attempts=1, fallback=other) == "web"
    with pytest.raises(ConnectionResetError, match="web"):
        web.call(lambda one: raise_of(one), idempotent=True, attempts=1, fallback=other)
    assert web.stats()["fallbacks"] == 2


def test_what_came_first_is_let_go_if_the_fallback_raises(web: Service) -> None:
    def failed(instance: PickedInstance) -> str:
        instance.failed()
        return "first"

    def raises(error: BaseException) -> Callable[[FallbackLimits], str]:
        def fallback(_limits: FallbackLimits) -> str:
            raise error

        return fallback

    let_go: list[str] = []
    options = CallOptions(idempotent=True, attempts_max=1)
    for error in (KeyError("mine"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            run_call(web.picker, failed, options, None, raises(error), let_go.append)
    assert let_go == ["first", "first"]


def raise_of(instance: PickedInstance) -> None:
    raise ConnectionResetError(instance.service)


def test_a_status_that_is_no_failure_uses_no_fallback(web: Service) -> None:
    class NotFound(Exception):
        status_code = 404

    def request(_instance: PickedInstance) -> int:
        raise NotFound

    with pytest.raises(NotFound):
        web.call(request, idempotent=True, fallback=lambda: 7)
    assert (web.stats()["fallbacks"], web.stats()["successes"]) == (0, 1)


def test_an_error_leaves_no_circle_behind(web: Service, registry: Registry) -> None:
    class Held:
        pass

    def request(_instance: PickedInstance) -> None:
        held = Held()
        kept.append(ref(held))
        raise ConnectionResetError("gone")

    def fails(fallback: Service | None) -> bool:
        try:
            web.call(request, idempotent=True, attempts=2, fallback=fallback)
        except ConnectionResetError:
            return True
        return False

    kept: list[ref[Held]] = []
    gc.disable()
    try:
        assert fails(None)
        assert fails(registry.service("other"))
        assert [one() for one in kept] == [None] * 6
    finally:
        gc.enable()


def test_a_call_for_a_served_request_obeys_it(web: Service) -> None:
    seen: list[PickedInstance] = []

    def request(instance: PickedInstance) -> None:
        seen.append(instance)
        raise ConnectionResetError("gone")

    token = INCOMING.set(IncomingRequest(2, monotonic() + BOUND_S))
    try:
        with pytest.raises(ConnectionResetError):
            web.call(request, idempotent=True, deadline=10 * BOUND_S)
        assert [one.headers()["Gossipreg-Attempt"] for one in seen] == ["2"]
        assert seen[0].timeout_s <= BOUND_S
        with pytest.raises(ConnectionResetError):
            web.call(request, idempotent=True, depth=1, attempts=2)
        assert len(seen) == 3
    finally:
        INCOMING.reset(token)


def test_nothing_is_called_for_a_caller_that_has_gone(web: Service) -> None:
    token = INCOMING.set(IncomingRequest(1, 0.0))
    try:
        with pytest.raises(DeadlineExceeded, match="web is not called: the caller of this program waits no longer"):
            web.call(gone)
    finally:
        INCOMING.reset(token)
    assert web.stats()["calls"] == 0
