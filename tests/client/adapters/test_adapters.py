"""httpx, requests and aiohttp call services by name: what arrives, what is retried, and what the program sees."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gossipreg.client.registry import Registry
from gossipreg.errors import NoInstance
from scripts.tools.wait import wait_for
from tests.client.adapters.servers import BOUND_S, HttpInstance
from tests.client.talking_sidecar import TalkingSidecar

URL = "http://billing.service"


def requests_seen(instances: list[HttpInstance]) -> list[str]:
    return [path for one in instances for _, path, _, _ in one.seen]


def test_a_request_reaches_an_instance_under_the_services_name(program: Any, instances: list[HttpInstance]) -> None:
    reply = program("GET", f"{URL}/port")
    got = json.loads(reply.body)
    assert (reply.status, reply.url) == (200, f"{URL}/port")
    assert got["port"] in {one.port for one in instances}
    assert got["Host"] == "billing.service"
    assert 0 < int(got["Gossipreg-Timeout-Ms"]) <= 1000 * BOUND_S
    assert "Gossipreg-Attempt" not in got


def test_each_request_picks_again(program: Any, instances: list[HttpInstance]) -> None:
    ports = {json.loads(program("GET", f"{URL}/port").body)["port"] for _ in range(60)}
    assert ports == {one.port for one in instances}


def test_other_hosts_pass_untouched(program: Any, registry: Registry, instances: list[HttpInstance]) -> None:
    got = json.loads(program("GET", f"http://127.0.0.1:{instances[0].port}/port").body)
    assert got["Host"] == f"127.0.0.1:{instances[0].port}"
    assert "Gossipreg-Timeout-Ms" not in got
    assert registry.stats()["services"] == 0


def test_proxies_of_the_environment_are_not_used(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert make()("GET", f"{URL}/port").status == 200


def test_cookies_belong_to_the_service(program: Any, instances: list[HttpInstance]) -> None:
    assert program("GET", f"{URL}/cookie").cookies == {"seen": "yes"}
    program("GET", f"{URL}/200")
    assert next(headers for one in instances for _, path, headers, _ in one.seen if path == "/200")["Cookie"] == (
        "seen=yes"
    )
    got = json.loads(program("GET", "http://other.service/port").body)
    assert "Cookie" not in got


def test_a_redirect_to_a_service_picks_again(program: Any, instances: list[HttpInstance], registry: Registry) -> None:
    reply = program("GET", f"{URL}/to/port")
    assert (reply.status, reply.url) == (200, f"{URL}/port")
    assert registry.service("billing").stats()["picks"] == 2
    reply = program("GET", f"{URL}/away")
    assert reply.url == "http://other.service/port"
    assert json.loads(reply.body)["port"] == instances[-1].port


def test_a_refused_connection_goes_to_another_instance(
    program: Any, registry: Registry, instances: list[HttpInstance]
) -> None:
    instances[0].stop()
    registry.service("billing").configure(policy="round_robin")
    for _ in range(12):
        assert program("POST", f"{URL}/200", b"charge").status == 200
    stats = registry.service("billing").stats()
    assert stats["retries"] == stats["failures"] != 0
    assert (stats["in_flight"], stats["calls_succeeded"]) == (0, 12)


def test_a_body_of_parts_survives_a_refused_connection(
    program: Any, registry: Registry, instances: list[HttpInstance]
) -> None:
    instances[0].stop()
    registry.service("billing").configure(policy="round_robin")
    for _ in range(12):
        assert program("POST", f"{URL}/200", iter([b"a", b"b"])).status == 200
    assert {body for one in instances for _, _, _, body in one.seen} == {b"ab"}


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_get_that_fails_goes_to_another_instance(
    program: Any, registry: Registry, instances: list[HttpInstance], status: int
) -> None:
    for one in instances[:2]:
        one.answers["/200"] = status
    registry.service("billing").configure(policy="round_robin")
    assert {program("GET", f"{URL}/200").status for _ in range(5)} == {200}  # at most 10 retries: the reserve
    stats = registry.service("billing").stats()
    assert stats["overloaded" if status == 429 else "failures"] != 0
    assert stats["in_flight"] == 0
    attempts = [headers.get("Gossipreg-Attempt") for headers in sent_headers(instances)]
    assert "2" in attempts


def sent_headers(instances: list[HttpInstance]) -> list[dict[str, str]]:
    return [headers for one in instances for _, _, headers, _ in one.seen]


def test_a_post_is_sent_once(program: Any, instances: list[HttpInstance]) -> None:
    for one in instances:
        one.answers["/charge"] = 503
    reply = program("POST", f"{URL}/charge", b"x")
    assert (reply.status, reply.body) == (503, b"ok")
    assert requests_seen(instances) == ["/charge"]


def test_a_post_with_a_key_is_sent_again(program: Any, instances: list[HttpInstance]) -> None:
    for one in instances:
        one.answers["/charge"] = 503
    assert program("POST", f"{URL}/charge", b"x", Idempotency_Key="7").status == 503
    assert requests_seen(instances) == ["/charge"] * 3
    assert {body for one in instances for _, _, _, body in one.seen} == {b"x"}


def test_a_put_whose_body_cannot_be_repeated_is_sent_once(program: Any, instances: list[HttpInstance]) -> None:
    for one in instances:
        one.answers["/charge"] = 503
    assert program("PUT", f"{URL}/charge", iter([b"a", b"b"])).status == 503
    assert requests_seen(instances) == ["/charge"]


def test_a_client_error_is_no_failure(program: Any, registry: Registry, instances: list[HttpInstance]) -> None:
    assert program("GET", f"{URL}/404").status == 404
    stats = registry.service("billing").stats()
    assert (stats["successes"], stats["failures"], len(requests_seen(instances))) == (1, 0, 1)


def test_a_reset_on_a_kept_connection_may_have_been_served(make: Any, instances: list[HttpInstance]) -> None:
    program = make(attempts=3)
    for _ in range(20):
        program("GET", f"{URL}/200")
    assert sum(one.connections for one in instances) <= 3  # they are kept
    for one in instances:
        one.seen.clear()
    with pytest.raises(program.errors):
        program("POST", f"{URL}/reset", b"x")
    assert requests_seen(instances) == ["/reset"]
    with pytest.raises(program.errors):
        program("GET", f"{URL}/reset")
    assert requests_seen(instances) == ["/reset"] * 4  # and not one by the library itself


def test_an_instance_that_hangs_leaves_time_for_another(make: Any, instances: list[HttpInstance]) -> None:
    program = make(deadline=3.0)
    for one in instances[:2]:
        one.answers["/hang"] = 200
    for _ in range(30):
        assert program("GET", f"{URL}/hang").status == 200
        if instances[2].seen:
            return
    raise AssertionError("no request went to the instance that hangs")


def test_a_call_that_hangs_everywhere_ends_as_a_timeout(make: Any, registry: Registry) -> None:
    program = make(deadline=0.6)
    with pytest.raises(program.errors):
        program("POST", f"{URL}/hang", b"x")
    stats = registry.service("billing").stats()
    assert (stats["failures"], stats["in_flight"], stats["attempts"]) == (1, 0, 1)


def test_a_body_is_in_flight_until_it_is_read(program: Any, registry: Registry, instances: list[HttpInstance]) -> None:
    billing = registry.service("billing")
    end = program.open(f"{URL}/body")
    assert (billing.stats()["in_flight"], billing.stats()["calls_succeeded"]) == (1, 1)
    for one in instances:
        one.finish.set()
    assert end(True) == b"halfrest"
    assert (billing.stats()["in_flight"], billing.stats()["successes"]) == (0, 1)


def test_a_body_is_in_flight_until_it_is_closed(program: Any, registry: Registry) -> None:
    end = program.open(f"{URL}/body")
    assert registry.service("billing").stats()["in_flight"] == 1
    end(False)
    assert registry.service("billing").stats()["in_flight"] == 0


def test_a_body_that_breaks_off_is_a_failure(program: Any, registry: Registry, instances: list[HttpInstance]) -> None:
    with pytest.raises(Exception, match=r".") as raised:
        program("GET", f"{URL}/cut")
    assert type(raised.value).__module__.split(".")[0] in ("httpx", "requests", "aiohttp")
    stats = registry.service("billing").stats()
    assert (stats["failures"], stats["in_flight"], len(requests_seen(instances))) == (1, 0, 1)


def test_the_load_that_servers_tell_moves_requests_away(program: Any, instances: list[HttpInstance]) -> None:
    instances[0].extra_headers["gossipreg-load"] = "in_flight=500"
    for _ in range(80):
        program("GET", f"{URL}/200")
    counts = [len(one.seen) for one in instances]
    assert counts[0] < min(counts[1:]) / 2, counts


def test_a_service_without_instances_is_an_error_at_once(program: Any) -> None:
    with pytest.raises(NoInstance, match="no instance of nothing is registered"):
        program("GET", "http://nothing.service/")


def test_changes_of_the_registry_reach_the_next_request(
    make: Callable[..., Any], talking: TalkingSidecar, registry: Registry, instances: list[HttpInstance]
) -> None:
    program = make()
    program("GET", f"{URL}/200")
    for shape in talking.services["billing"][:2]:
        talking.change("removed", shape, "billing")
    wait_for(lambda: len(registry.service("billing").instances) == 1)
    assert {json.loads(program("GET", f"{URL}/port").body)["port"] for _ in range(10)} == {instances[2].port}
