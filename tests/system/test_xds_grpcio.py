"""A real gRPC client finds services by xds:///NAME at a real sidecar, with nothing between them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import wait_for
from tests.system.grpc_programs import client, servers


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    """The ports of servers by their names; each answers with its name."""
    with servers("a", "b", "c") as found:
        yield found


def register(sidecar: Sidecar, ports: dict[str, int], name: str, **more: Any) -> None:
    """Register the server of this name as an instance of `web`."""
    sidecar.call("register", name="web", id=name, address="127.0.0.1", port=ports[name], **more)


def test_a_client_follows_registrations_health_and_drains(ports: dict[str, int]) -> None:
    with Sidecars() as cluster:
        one = cluster.start("one", "--xds", "127.0.0.1:0").wait_ready()
        with client(one, "xds:///web") as calls:
            assert calls.answers() == {"UNAVAILABLE"}  # at once: nobody serves it
            calls.tell(begin=True)
            register(one, ports, "a")
            assert calls.tell(end=True) == {"a": 1}
            register(one, ports, "b")
            wait_for(lambda: calls.answers() == {"a", "b"})
            one.call("maint", service="a")
            wait_for(lambda: calls.answers() == {"b"})
            one.call("maint", service="a", off=True)
            wait_for(lambda: calls.answers() == {"a", "b"})
            one.call("deregister", id="a")
            one.call("deregister", id="b")
            wait_for(lambda: calls.answers() == {"UNAVAILABLE"})
            register(one, ports, "c")
            wait_for(lambda: calls.answers() == {"c"})
        assert one.end() == 0


@pytest.mark.parametrize("alone", [False, True])
def test_no_call_fails_while_the_sidecar_is_away_and_comes_back(ports: dict[str, int], alone: bool) -> None:
    """The registry of a sidecar that comes back is not known at first: clients keep what they have until it is."""
    with Sidecars() as cluster:
        flags = ["--xds", f"unix:{cluster.folder}/xds", "--data-dir", f"{cluster.folder}/data"]
        first = cluster.start("first")
        first.wait_ready()
        one = cluster.start("one", *flags, seed=not alone).wait_ready()
        register(one, ports, "a")
        register(one if alone else first, ports, "b")
        with client(one, "xds:///web") as calls:
            wait_for(lambda: calls.answers() == {"a", "b"})
            one.kill()
            assert calls.answers() == {"a", "b"}
            again = cluster.start("one", *flags, seed=not alone).wait_ready()
            found: set[str] = set()

            def connected() -> bool:
                found.update(calls.answers())
                return bool(again.call("info")["counters"]["xds_streams"])

            wait_for(connected)
            assert found | calls.answers() == {"a", "b"}
            register(again, ports, "c")
            wait_for(lambda: calls.answers() == {"a", "b", "c"})


@pytest.mark.parametrize(
    ("target", "found"), [("xds:///V2.Web", {"b"}), ("xds:///web.service.consul", {"a", "b"}), ("port", {"b"})]
)
def test_tags_ports_and_names_of_dns_are_understood(ports: dict[str, int], target: str, found: set[str]) -> None:
    with Sidecars() as cluster:
        one = cluster.start("one", "--xds", "127.0.0.1:0").wait_ready()
        register(one, ports, "a", tags=["v1"])
        register(one, ports, "b", tags=["v2"])
        with client(one, f"xds:///web:{ports['b']}" if target == "port" else target) as calls:
            assert calls.answers() == found


def test_the_own_zone_goes_first_and_weights_are_kept(ports: dict[str, int]) -> None:
    with Sidecars() as cluster:
        one = cluster.start("one", "--xds", "127.0.0.1:0", "--zone", "z1").wait_ready()
        two = cluster.start("two", "--zone", "z2").wait_ready()
        register(one, ports, "a")
        register(two, ports, "b", weight=9)
        wait_for(lambda: len(one.call("lookup", name="web")) == 2)
        with client(one, "xds:///web", zone="z2") as calls:
            assert calls.answers() == {"b"}
        with client(one, "xds:///web") as calls:
            found = calls.tell(calls=300)
            assert found["b"] > 3 * found["a"] > 0


def test_a_policy_shifts_calls_and_a_reload_shifts_them_again(ports: dict[str, int], tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[service.web]\nsplit = { v1 = 1 }\n[[service.web.route]]\nheaders = { x-new = "1" }\ntag = "v2"\n'
    )
    with Sidecars() as cluster:
        one = cluster.start("one", "--xds", "127.0.0.1:0", "--xds-policy", str(policy)).wait_ready()
        register(one, ports, "a", tags=["v1"])
        register(one, ports, "b", tags=["v2"])
        with client(one, "xds:///web") as calls:
            assert calls.answers() == {"a"}
            assert calls.answers(headers={"x-new": "1"}) == {"b"}
            policy.write_text("[service.web]\nsplit = { v1 = 50, v2 = 50 }\nlimits = { pending = 1 }\n")
            one.call("reload")
            wait_for(lambda: calls.answers() == {"a", "b"})
        said = one.log.read_text()
        assert "do not use limits.pending of [service.web] in the policy" in said
