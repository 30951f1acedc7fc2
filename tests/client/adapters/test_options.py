"""What `call` can do, through each library: keys, fallbacks, hedges, for an adapter and for single requests."""

import gc
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from gossipreg.client.adapters import request_options
from gossipreg.client.adapters.exchange import make_adapter
from gossipreg.client.incoming import INCOMING
from gossipreg.client.registry import Registry
from gossipreg.errors import BadParams, NotSynced
from tests.client.adapters.programs import Aiohttp, AsyncHttpx, Requests, SyncHttpx, httpx
from tests.client.adapters.servers import BOUND_S, HttpInstance
from tests.client.talking_sidecar import TalkingSidecar

URL = "http://billing.service"
Make = Callable[..., Any]


def ports(program: Any) -> set[int]:
    return {json.loads(program("GET", f"{URL}/port").body)["port"] for _ in range(20)}


def test_a_key_of_the_request_picks_its_instance(make: Make, registry: Registry) -> None:
    assert len(ports(make(key=lambda request: request.method))) == 1
    assert registry.service("billing").stats()["picks_by_key"] == 20


def test_requests_of_a_block_have_its_key(make: Make, registry: Registry) -> None:
    registry.service("billing").configure(policy="round_robin")
    program = make(key=lambda _request: None)
    with request_options(key="user-7"), request_options(deadline=BOUND_S):
        assert len(ports(program)) == 1
    assert len(ports(program)) == 3


@pytest.fixture
def backup(registry: Registry, talking: TalkingSidecar, instances: list[HttpInstance]) -> HttpInstance:
    """The last instance is of `other` alone; those of `billing` fail at /charge."""
    assert registry.stats()["services"] == 0  # nothing was looked up yet
    talking.services["billing"] = talking.services["billing"][:2]
    for one in instances[:2]:
        one.answers["/charge"] = 503
    instances[2].answers["/charge"] = 200
    return instances[2]


@pytest.mark.parametrize("fallback", ["other", lambda _request: "other"], ids=["name", "function"])
def test_a_fallback_service_gets_the_request_as_a_retry(
    make: Make, backup: HttpInstance, registry: Registry, fallback: Any
) -> None:
    reply = make(deadline=BOUND_S, fallback=fallback)("PUT", f"{URL}/charge", b"x")
    assert (reply.status, reply.url) == (200, f"{URL}/charge")
    [(method, path, headers, body)] = backup.seen
    assert (method, path, body, headers["Host"], headers["Gossipreg-Attempt"]) == (
        "PUT", "/charge", b"x", "other.service", "4",
    )  # fmt: skip
    assert registry.service("billing").stats()["fallbacks"] == 1
    assert [registry.service(name).stats()["in_flight"] for name in ("billing", "other")] == [0, 0]


def test_a_post_that_was_sent_has_no_fallback(make: Make, backup: HttpInstance) -> None:
    program = make(deadline=BOUND_S, fallback="other")
    assert program("POST", f"{URL}/charge", b"x").status == 503
    assert backup.seen == []
    with request_options(idempotent=True):
        assert program("POST", f"{URL}/charge", b"x").status == 200


def test_a_body_of_parts_goes_to_the_fallback_if_it_was_never_sent(
    make: Make, instances: list[HttpInstance], backup: HttpInstance
) -> None:
    for one in instances[:2]:
        one.stop()
    assert make(deadline=BOUND_S, fallback="other")("POST", f"{URL}/charge", iter([b"a", b"b"])).status == 200
    assert [body for _, _, _, body in backup.seen] == [b"ab"]


def broken(_request: Any) -> None:
    raise KeyError("billing")


@pytest.mark.parametrize(
    "fallback", ["other", "nothing", lambda _request: None, broken], ids=["fails", "none", "no name", "raises"]
)
def test_a_fallback_that_fails_too_gives_the_first_answer(
    make: Make, backup: HttpInstance, registry: Registry, fallback: Any
) -> None:
    backup.answers["/charge"] = 500
    assert make(deadline=BOUND_S, fallback=fallback)("GET", f"{URL}/charge").status == 503
    assert registry.service("billing").stats()["in_flight"] == 0
    gc.collect()  # aiohttp warns of an answer that nobody closed


def test_the_error_of_a_fallback_is_the_cause_of_the_first(make: Make, instances: list[HttpInstance]) -> None:
    for one in instances:
        one.stop()
    program = make(deadline=BOUND_S, fallback=broken)
    with pytest.raises(program.errors) as raised:
        program("GET", f"{URL}/charge")
    causes = [raised.value]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    assert any(isinstance(cause, KeyError) for cause in causes)


@pytest.mark.usefixtures("backup")
def test_a_fallback_function_serves_a_retry(make: Make) -> None:
    seen: list[int] = []

    def fallback(_request: Any) -> str:
        seen.append(INCOMING.get().depth)
        return "other"

    with request_options(fallback=fallback, attempts=1):
        assert make(deadline=BOUND_S)("GET", f"{URL}/charge").status == 200
    assert seen == [2]


@pytest.mark.usefixtures("backup")
def test_a_fallback_function_may_answer_itself(registry: Registry) -> None:
    async def answer(request: Any) -> Any:
        return httpx.Response(200, content=b"kept", request=request)

    program = AsyncHttpx(registry, fallback=answer)
    assert program("GET", f"{URL}/charge").body == b"kept"
    program.close()


@pytest.mark.parametrize("kind", [AsyncHttpx, Aiohttp])
def test_a_slow_request_is_hedged_and_the_loser_cancelled(
    kind: Any, registry: Registry, instances: list[HttpInstance]
) -> None:
    billing = registry.service("billing").configure(policy="round_robin")
    with closing(kind(registry, deadline=BOUND_S, hedge=True)) as program:
        for _ in range(120):
            program("GET", f"{URL}/200")
        before = billing.stats()["failures"]
        for one in instances[:2]:
            one.answers["/hang"] = 200
        for _ in range(30):
            assert program("GET", f"{URL}/hang").status == 200
            if any(path == "/hang" for _, path, _, _ in instances[2].seen):
                break
        stats = billing.stats()
        assert stats["hedges"] != 0
        assert (stats["in_flight"], stats["failures"]) == (0, before), f"{before} before"


@pytest.mark.parametrize("kind", [SyncHttpx, Requests])
def test_threads_cannot_hedge(kind: Any, registry: Registry) -> None:
    with pytest.raises(BadParams, match="hedge=True needs requests that can be cancelled"):
        kind(registry, hedge=True)
    program = kind(registry)
    with request_options(hedge=True), pytest.raises(BadParams, match="hedge=True needs"):
        program("GET", f"{URL}/200")
    program.close()


def test_wrong_options_are_refused_at_once(make: Make, registry: Registry) -> None:
    with pytest.raises(BadParams, match="there is no option hege: there are attempts, deadline"):
        request_options(hege=True).__enter__()
    with pytest.raises(BadParams, match="key 7 is no text"):
        make_adapter(registry, {"key": 7}, can_cancel=True)
    for name, value in (("idempotent", "no"), ("hedge", "no"), ("deadline", "2"), ("attempts", 1.5)):
        with pytest.raises(BadParams, match=rf"^{name} {value!r} is "):
            make_adapter(registry, {name: value}, can_cancel=True)
        with pytest.raises(BadParams, match=rf"^{name} {value!r} is "):
            request_options(**{name: value}).__enter__()
    with pytest.raises(BadParams, match="registry 'billing' is no registry"):
        make_adapter("billing", {}, can_cancel=True)
    program = make(key=lambda _request: 7)
    with pytest.raises(BadParams, match="key 7 is no text"):
        program("GET", f"{URL}/200")


def test_the_first_lookup_waits_no_longer_than_the_deadline(make: Make, talking: TalkingSidecar) -> None:
    talking.silent = True
    with pytest.raises(NotSynced, match=r"within 0\.2\d* s"):
        make(deadline=0.2)("GET", f"{URL}/200")
