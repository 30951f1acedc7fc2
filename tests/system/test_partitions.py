"""Networks that fail, with real processes on hosts of their own: who is reachable stays, who is gone goes, and all are
equal again."""

import threading

import pytest

from scripts.tools.wait import wait_for
from tests.system.hosts import Host, Hosts, cut, missing, run

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

BOUND_S = 60


@pytest.fixture
def world() -> type[Hosts]:
    return Hosts


def all_alive(hosts: list[Host]) -> bool:
    names = {host.name: "alive" for host in hosts}
    return all(host.sidecar.states() == names for host in hosts)


def equal(hosts: list[Host]) -> bool:
    return len({host.sidecar.call("info")["fingerprint"] for host in hosts}) == 1


def ids(host: Host, name: str = "web") -> set[str]:
    return {one["id"] for one in host.sidecar.call("lookup", name=name)}


def start_all(hosts: Hosts, *arguments: str, v6: bool = False) -> list[Host]:
    """A sidecar with a service of its own at each; all know all."""
    for host in hosts.all:
        data = ("--data-dir", str(hosts.sidecars.folder / host.name))
        host.start("--service", "web", "--port", "80", "--id", host.name, *data, *arguments, v6=v6)
    for host in hosts.all:
        host.sidecar.wait_ready()
    wait_for(lambda: all_alive(hosts.all) and all(len(ids(host)) == len(hosts.all) for host in hosts.all), BOUND_S)
    return hosts.all


def deaths(hosts: list[Host]) -> int:
    return sum(host.sidecar.log.read_text().count("member_dead") for host in hosts)


def watched_for(seconds: float) -> None:
    """Time for something not to happen."""
    threading.Event().wait(seconds)


def test_halves_of_a_partition_merge_and_resurrect_nothing(world: type[Hosts]) -> None:
    with world(6) as hosts:
        a1, a2, a3, b1, b2, b3 = start_all(hosts)
        a, b = [a1, a2, a3], [b1, b2, b3]
        for host in (a2, b2):
            host.sidecar.call("register", name="old", port=1, id=f"old-{host.name}")
        wait_for(lambda: all(len(ids(host, "old")) == 2 for host in hosts.all), BOUND_S)
        cut(a, b)
        wait_for(lambda: all(ids(host) == {one.name for one in a} for host in a), BOUND_S)
        wait_for(lambda: all(ids(host) == {one.name for one in b} for host in b), BOUND_S)
        for host in (a2, b2):  # both sides go on
            host.sidecar.call("deregister", id=f"old-{host.name}")
            host.sidecar.call("register", name="new", port=1, id=f"new-{host.name}")
        wait_for(lambda: all(ids(host, "new") == {"new-h2"} and not ids(host, "old") for host in a), BOUND_S)
        a3.sidecar.kill()  # dies meanwhile
        b3.sidecar.kill()  # restarts meanwhile
        data = str(hosts.sidecars.folder / b3.name)
        b3.start("--service", "web", "--port", "81", "--id", b3.name, "--data-dir", data).wait_ready()
        wait_for(lambda: all(a3.name not in ids(host) for host in (a1, a2)), BOUND_S)
        wait_for(lambda: b3.name in ids(b1), BOUND_S)
        hosts.heal()
        living = [a1, a2, b1, b2, b3]
        names = {host.name for host in living}
        wait_for(lambda: all(ids(host) == names for host in living) and equal(living), BOUND_S)
        for host in living:
            assert ids(host, "new") == {"new-h2", "new-h5"}
            assert host.sidecar.call("lookup", name="old", all=True) == []
            assert host.sidecar.states().get("h3", "dead") == "dead"  # who started after its death need not know it
            assert len(host.sidecar.call("members")) in (5, 6)
            [port] = [one["port"] for one in host.sidecar.call("lookup", name="web") if one["id"] == b3.name]
            assert port == 81


@pytest.mark.wide
def test_a_bad_link_costs_nobody_his_life(world: type[Hosts]) -> None:
    with world(5) as hosts:
        h1, h2, *_, h5 = start_all(hosts)
        h2.deaf_to(h1)  # one way
        watched_for(8)
        assert deaths(hosts.all) == 0
        assert all(len(ids(host)) == 5 for host in hosts.all)
        hosts.heal()
        for host in (h2, hosts.all[2], hosts.all[3]):  # the last one is reachable by the first alone
            cut([h5], [host])
        h5.sidecar.call("register", name="late", port=1)
        wait_for(lambda: all(len(ids(host, "late")) == 1 for host in hosts.all), BOUND_S)
        watched_for(8)
        assert deaths(hosts.all) == 0
        assert all(len(ids(host)) == 5 for host in hosts.all)
        hosts.heal()
        wait_for(lambda: all_alive(hosts.all) and equal(hosts.all), BOUND_S)


def test_a_third_of_datagrams_lost_kills_nobody_for_long(world: type[Hosts]) -> None:
    with world(5) as hosts:
        start_all(hosts)
        for host in hosts.all:
            host.loses(30)
        for number in range(10):
            hosts.all[number % 5].sidecar.call("register", name="many", port=number + 1)
            watched_for(1)
        wait_for(lambda: all(len(ids(host)) == 5 and len(ids(host, "many")) == 10 for host in hosts.all), BOUND_S)
        hosts.heal()
        wait_for(lambda: all_alive(hosts.all) and equal(hosts.all), BOUND_S)


def test_a_member_is_found_at_its_new_address_with_its_services(world: type[Hosts]) -> None:
    with world(4) as hosts:
        h1, *_, h4 = start_all(hosts)
        h4.ip("addr", "del", f"{h4.v4}/24", "dev", "eth0")
        h4.ip("addr", "add", "10.77.0.104/24", "dev", "eth0")

        def is_at(host: Host) -> set[str]:
            return {one["address"] for one in host.sidecar.call("lookup", name="web") if one["id"] == h4.name}

        wait_for(lambda: all(is_at(host) == {"10.77.0.104"} for host in hosts.all), BOUND_S)
        wait_for(lambda: all_alive(hosts.all) and equal(hosts.all), BOUND_S)
        h4.sidecar.wait_logged("moved")
        [member] = [one for one in h1.sidecar.call("members") if one["name"] == h4.name]
        assert member["address"] == "10.77.0.104:7940"


@pytest.mark.wide
def test_one_way_loss_between_one_pair_is_told_at_both_ends(world: type[Hosts]) -> None:
    with world(4) as hosts:
        ring = sorted(start_all(hosts), key=lambda host: host.sidecar.id)
        one, other, *rest = ring  # the first pings the second

        def said(host: Host) -> str:
            return " ".join(trouble["message"] for trouble in host.sidecar.call("info")["troubles"])

        other.deaf_to(one)
        wait_for(lambda: f"{other.name} ({other.v4}:7940) does not answer pings from here" in said(one), BOUND_S)
        assert any(f"{host.name}" in said(one) for host in rest), "through whom it is reached"
        wait_for(lambda: f"pings of {one.name} ({one.v4}:7940), which is alive" in said(other), BOUND_S)
        assert all(said(host) == "" for host in rest)
        assert one.sidecar.call("info")["counters"]["lossy_pairs"] == 1
        assert deaths(hosts.all) == 0
        hosts.heal()
        wait_for(lambda: said(one) == said(other) == "", BOUND_S)
        assert all_alive(hosts.all)


def test_a_member_behind_a_new_port_is_still_reached(world: type[Hosts]) -> None:
    with world(4) as hosts:
        *_, h4 = hosts.all
        h4.nft("add table ip n; add chain ip n out { type nat hook postrouting priority 100; }")
        h4.nft("add rule ip n out udp sport 7940 masquerade to :50001")
        h4.nft("add rule inet t input udp dport 7940 ct state new drop")  # nobody gets in who was not spoken to
        start_all(hosts, "--log-level", "debug")
        for port in (50002, 50003):
            h4.nft(f"flush chain ip n out; add rule ip n out udp sport 7940 masquerade to :{port}")
            h4.ip("link", "set", "eth0", "down")  # forgets what it knew of connections
            h4.ip("link", "set", "eth0", "up")
            h4.sidecar.call("register", name="nat", port=port)
            wait_for(lambda port=port: all(f"nat-{port}" in ids(host, "nat") for host in hosts.all), BOUND_S)  # type: ignore[misc]
            wait_for(lambda: all_alive(hosts.all), BOUND_S)
        wait_for(lambda: equal(hosts.all), BOUND_S)


def test_members_on_slow_reordering_links_hold_the_same_table(world: type[Hosts]) -> None:
    with world(4) as hosts:
        for host in hosts.all[2:]:
            host.behind_a_bad_road(0.001, 0.1)
        all = start_all(hosts)
        for port in range(1, 61):
            host = all[port % 4]
            host.sidecar.call("register", name="many", port=port)
            if port % 3 == 0:
                host.sidecar.call("deregister", id=f"many-{port}")
        wait_for(lambda: all_alive(all) and all_hold(all, "many", 40) and equal(all), BOUND_S)
        [rtt_ms] = [one["rtt_ms"] for one in all[2].sidecar.call("members") if one["name"] == "h4"]
        assert rtt_ms is None or rtt_ms > 4  # the roads are slow indeed
        assert deaths(all) == 0


def all_hold(hosts: list[Host], name: str, count: int) -> bool:
    return all(len(ids(host, name)) == count for host in hosts)


def test_hosts_with_ipv6_alone_are_a_cluster(world: type[Hosts]) -> None:
    with world(3, v4=False) as hosts:
        h1, h2, h3 = start_all(hosts, v6=True)
        assert {one["address"] for one in h1.sidecar.call("lookup", name="web")} >= {h2.v6, h3.v6}
        run("ip", "-n", h3.namespace, "link", "set", "eth0", "down")
        wait_for(lambda: h3.name not in ids(h1) and h3.name not in ids(h2), BOUND_S)
