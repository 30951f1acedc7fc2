"""What grpcio does with each setting of the policy: the column of C-core in the table of docs/mesh.md."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import wait_for
from tests.system.grpc_programs import client, servers

POLICY = """
[service.plain]
lb = "least_request"
mirror = { to = "nobody" }
limits = { connections = 1, pending = 1, retries = 1 }
outlier = { consecutive_5xx = 1, ejection_time = "60s" }
[service.retried]
retries = { attempts = 2, on = ["unavailable"] }
[service.timed]
timeout = "500ms"
[service.limited]
limits = { requests = 3 }
[service.ejecting]
outlier = { failure_percentage = 50, minimum_hosts = 2, request_volume = 5, interval = "500ms", ejection_time = "60s" }
[service.hashed]
lb = "ring_hash"
hash_header = "x-user"
[service.canary]
split = { v1 = 1, v2 = 1 }
[[service.canary.route]]
headers = { x-new = { prefix = "y" }, x-any = { present = true } }
tag = "v2"
"""
SERVICES = ("plain", "retried", "timed", "limited", "ejecting", "hashed", "canary")


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar with this policy, at which the servers a (v1) and b (v2) are instances of every service."""
    policy: Path = tmp_path_factory.mktemp("xds") / "policy.toml"
    policy.write_text(POLICY)
    with servers("a", "b") as ports, Sidecars() as cluster:
        one = cluster.start("one", "--xds", "127.0.0.1:0", "--xds-policy", str(policy)).wait_ready()
        for service in SERVICES:
            for name, tag in (("a", "v1"), ("b", "v2")):
                one.call(
                    "register", name=service, id=f"{service}-{name}", address="127.0.0.1", port=ports[name], tags=[tag]
                )
        yield one


def test_what_is_not_for_it_leaves_it_at_round_robin(sidecar: Sidecar) -> None:
    with client(sidecar, "xds:///plain") as calls:
        wait_for(lambda: calls.answers() == {"a", "b"})
        assert calls.tell(calls=20) == {"a": 10, "b": 10}
        assert calls.tell(calls=20, headers={"x-fail": "a"}) == {"UNAVAILABLE": 10, "b": 10}
        assert set(calls.tell(calls=10, headers={"x-slow": "0.2"}, at_once=True)) == {"a", "b"}


def test_a_failed_call_is_sent_again(sidecar: Sidecar) -> None:
    with client(sidecar, "xds:///retried") as calls:
        wait_for(lambda: calls.answers() == {"a", "b"})
        assert calls.tell(calls=20, headers={"x-fail": "a"}) == {"b": 20}


def test_it_gets_no_limit_of_time_that_it_would_take_too_early(sidecar: Sidecar) -> None:
    with client(sidecar, "xds:///timed") as calls:
        assert calls.answers() <= {"a", "b"}
        assert set(calls.tell(calls=1, headers={"x-slow": "1"})) <= {"a", "b"}


def test_no_more_calls_than_the_limit_are_under_way(sidecar: Sidecar) -> None:
    with client(sidecar, "xds:///limited") as calls:
        wait_for(lambda: calls.answers() == {"a", "b"})
        found = calls.tell(calls=10, headers={"x-slow": "2"}, at_once=True)
        assert found["UNAVAILABLE"] == 7


def test_without_a_limit_any_number_of_calls_is_under_way(sidecar: Sidecar) -> None:
    """The client's own limit is 1,024."""
    with client(sidecar, "xds:///plain") as calls:
        assert set(calls.tell(calls=1500, headers={"x-slow": "0.01"}, at_once=True)) <= {"a", "b"}


def test_an_endpoint_that_fails_is_left_out(sidecar: Sidecar) -> None:
    with client(sidecar, "xds:///ejecting") as calls:
        wait_for(lambda: set(calls.tell(calls=40, headers={"x-fail": "a"})) == {"b"})
        assert calls.answers() == {"b"}


def test_the_value_of_a_header_chooses_the_endpoint(sidecar: Sidecar) -> None:
    with client(sidecar, "xds:///hashed") as calls:
        chosen = [set(calls.tell(calls=3, headers={"x-user": f"user-{number}"})) for number in range(40)]
        assert all(len(one) == 1 for one in chosen)
        assert set.union(*chosen) == {"a", "b"}


def test_shares_and_headers_lead_to_tags(sidecar: Sidecar) -> None:
    with client(sidecar, "xds:///canary") as calls:
        wait_for(lambda: calls.answers() == {"a", "b"})
        assert calls.answers(headers={"x-new": "yes", "x-any": "1"}) == {"b"}
        for headers in ({"x-new": "no", "x-any": "1"}, {"x-new": "yes"}):
            assert set(calls.tell(calls=40, headers=headers)) == {"a", "b"}
    with client(sidecar, "xds:///v1.canary") as calls:
        assert calls.answers() == {"a"}
