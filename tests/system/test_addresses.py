"""Addresses that change, come late or are of one family alone, with real processes on hosts of their own: every member
gets the present address, and a loopback address stays on its host."""

import subprocess
import sys

import pytest

from scripts.tools.sidecars import Sidecar
from scripts.tools.wait import wait_for
from tests.system.hosts import Host, Hosts, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

BOUND_S = 60
DNS = "127.0.0.1:8600"
ASK = """
import sys, dns.message, dns.query
for name, type in zip(sys.argv[1::2], sys.argv[2::2]):
    reply = dns.query.udp(dns.message.make_query(name, type), "127.0.0.1", timeout=5, port=8600)
    print(*sorted(str(item) for rrset in reply.answer for item in rrset), sep=",")
"""


def ask_dns(host: Host, *questions: str) -> list[str]:
    """NAME TYPE ...: what the sidecar of this host answers to each, separated by commas."""
    command = ["ip", "netns", "exec", host.namespace, sys.executable, "-c", ASK, *questions]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def addresses_of(host: Host, service: str) -> list[str]:
    return [one["address"] for one in host.sidecar.call("lookup", name=service)]


def gossip_of(host: Host, name: str) -> list[str]:
    return [one["address"] for one in host.sidecar.call("members") if one["name"] == name]


def info_address(host: Host) -> str | None:
    address: str | None = host.sidecar.call("info")["address"]
    return address


def found_at(hosts: Hosts, moved: Host, address: str) -> bool:
    """Whether every member gives out only this address for the host's service and its sidecar."""
    services = [addresses_of(host, f"svc-{moved.name}") for host in hosts.all]
    return all(one == [address] for one in services) and all(
        gossip_of(host, moved.name) == [f"{address}:7940"] for host in hosts.all
    )


def give(host: Host, address: str) -> None:
    host.ip("addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))


def take(host: Host, address: str) -> None:
    host.ip("addr", "del", address, "dev", "eth0")


@pytest.mark.wide
def test_an_interface_that_changes_to_and_fro_is_found_each_time() -> None:
    with Hosts(3) as hosts:
        for host in hosts.all:
            host.start("--service", f"svc-{host.name}", "--port", "80", "--dns", DNS)
        for host in hosts.all:
            host.sidecar.wait_ready()
        h1, h2, h3 = hosts.all
        take(h3, f"{h3.v6}/64")
        now = h3.v4
        for new in ("10.77.0.33", h3.v4, "10.77.0.33", h3.v4):
            take(h3, f"{now}/24")
            give(h3, f"{new}/24")
            before, now = now, new
            wait_for(lambda: found_at(hosts, h3, now), BOUND_S)  # noqa: B023
            assert info_address(h3) == f"{now}:7940"
            reverse = [".".join([*reversed(one.split(".")), "in-addr.arpa"]) for one in (now, before)]
            wanted = [now, "", "h3.node.consul.", ""]
            questions = ["h3.node.consul", "A", "h3.node.consul", "AAAA", reverse[0], "PTR", reverse[1], "PTR"]
            wait_for(lambda: ask_dns(h1, *questions) == wanted == ask_dns(h2, *questions), BOUND_S)  # noqa: B023
        assert h1.sidecar.states() == dict.fromkeys(("h1", "h2", "h3"), "alive")


def test_without_a_default_route_nobody_is_told_loopback() -> None:
    """The first member of a network without a way out: its own services, from the first answer on."""
    with Hosts(2) as hosts:
        h1, h2 = hosts.all
        h1.start("--service", "first", "--port", "80").wait_ready()
        assert addresses_of(h1, "first") == [h1.v4]
        h2.start().wait_ready()
        wait_for(lambda: addresses_of(h2, "first") != [], BOUND_S)
        assert addresses_of(h2, "first") == [h1.v4]
        assert gossip_of(h2, "h1") == [f"{h1.v4}:7940"]


def test_a_first_member_with_ipv6_alone_tells_that() -> None:
    with Hosts(2, v4=False) as hosts:
        h1, h2 = hosts.all
        h1.start("--service", "first", "--port", "80").wait_ready()
        assert addresses_of(h1, "first") == [h1.v6]
        h2.start(v6=True).wait_ready()
        wait_for(lambda: addresses_of(h2, "first") == [h1.v6], BOUND_S)


def troubles(sidecar: Sidecar) -> str:
    return " ".join(trouble["message"] for trouble in sidecar.call("info")["troubles"])


def test_a_service_is_withheld_until_an_interface_is_up() -> None:
    """A sidecar that starts before its network registers services, reports it in `info`, and announces them with the
    first address."""
    with Hosts(2, v6=False) as hosts:
        h1, h2 = hosts.all
        take(h1, f"{h1.v4}/24")
        h1.start("--service", "first", "--port", "80").wait_ready()
        h1.sidecar.call("register", name="named", port=81, address="10.77.0.99")
        h1.sidecar.call("register", name="gone", port=82)
        h1.sidecar.call("deregister", id="gone-82")
        assert addresses_of(h1, "first") == []
        assert addresses_of(h1, "named") == ["10.77.0.99"], "its address was given"
        assert info_address(h1) is None
        assert "this host has no known address except loopback" in troubles(h1.sidecar)
        give(h1, f"{h1.v4}/24")
        wait_for(lambda: addresses_of(h1, "first") == [h1.v4], BOUND_S)
        assert troubles(h1.sidecar) == ""
        h2.start().wait_ready()
        wait_for(lambda: addresses_of(h2, "first") == [h1.v4], BOUND_S)
        assert addresses_of(h2, "gone") == []
        assert "127.0.0.1:80" not in h1.sidecar.log.read_text()
