"""DNS as programs ask it: dig, Node.js, dnspython's resolver, at real sidecars."""

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator

import dns.message
import dns.resolver
import pytest

from gossipreg.client import Client
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for

needs_dig = pytest.mark.skipif(shutil.which("dig") is None, reason="dig is not installed (Debian: bind9-dnsutils)")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")


def port_of(sidecar: Sidecar) -> int:
    return int(sidecar.ready["dns"].rpartition(":")[2])


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Sidecar, Sidecar]]:
    """One that answers, and one beside it that has registered; tests only ask them."""
    with Sidecars() as cluster:
        one = cluster.start("one", "--dns", "127.0.0.1:0", "--dns-domain", "svc.example.org").wait_ready()
        two = cluster.start("two").wait_ready()
        two.call("register", name="web", port=80, address="10.0.0.1", weight=7, tags=["v1"], meta={"k": "v"})
        two.call("register", name="web", port=81, address="10.0.0.2")
        two.call("register", name="web", port=82, address="2001:db8::1")
        wait_for(lambda: len(one.lookup("web")) == 3)
        yield one, two


def dig(sidecar: Sidecar, *arguments: str) -> str:
    command = ["dig", "@127.0.0.1", "-p", str(port_of(sidecar)), "+time=5", "+tries=2", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S, check=True).stdout


@needs_dig
def test_dig_reads_every_kind_of_answer(pair: tuple[Sidecar, Sidecar]) -> None:
    one, _ = pair
    assert sorted(dig(one, "+short", "web.service.consul").split()) == ["10.0.0.1", "10.0.0.2"]
    assert dig(one, "+short", "web.service.svc.example.org", "AAAA").split() == ["2001:db8::1"]
    srv = [line.split() for line in dig(one, "+short", "_web._tcp.service.consul", "SRV").splitlines()]
    assert sorted(line[:3] for line in srv) == [["1", "1", "81"], ["1", "1", "82"], ["1", "7", "80"]]
    target = next(line[3] for line in srv if line[2] == "80")
    assert dig(one, "+short", target).split() == ["10.0.0.1"]
    assert dig(one, "+short", "v1.web.service.default.consul", "SRV").split()[2] == "80"
    assert dig(one, "+short", "web.service.consul", "TXT") == '"k=v"\n'
    assert dig(one, "+short", "two.node.consul").split() == ["127.0.0.1"]
    assert dig(one, "+short", "-x", "10.0.0.2").split() == ["web.service.consul."]
    assert "ns.consul." in dig(one, "+short", "consul", "SOA")


@needs_dig
@pytest.mark.parametrize("how", ["+noedns", "+edns", "+tcp", "+nocookie", "+dnssec", "+norecurse", "+bufsize=600"])
def test_dig_finds_no_fault_however_it_asks(pair: tuple[Sidecar, Sidecar], how: str) -> None:
    for _ in range(2):
        said = dig(pair[0], how, "WeB.service.consul", "SRV")
        assert re.search(r"status: NOERROR.*ANSWER: 3,", said, re.DOTALL), said
        assert said.count("WeB.service.consul.") == 4  # as it was asked, in the question and in each answer
        assert not re.search(r"malformed|bad |mismatch|unexpected|Question section", said), said


@needs_dig
def test_dig_is_refused_what_is_not_done(pair: tuple[Sidecar, Sidecar]) -> None:
    one, _ = pair
    assert "status: NXDOMAIN" in dig(one, "none.service.consul")
    assert "status: REFUSED" in dig(one, "example.org")
    assert "status: REFUSED" in dig(one, "version.bind", "CH", "TXT")
    assert "Transfer failed" in dig(one, "consul", "AXFR")
    assert "status: NOTIMP" in dig(one, "+opcode=NOTIFY", "consul", "SOA")
    assert "BADVERS" in dig(one, "+edns=1", "+noednsneg", "web.service.consul")
    nodata = dig(one, "none.service.consul", "+nocomments", "+noall", "+authority")
    assert nodata.split()[:4] == ["consul.", "0", "IN", "SOA"]


@needs_dig
def test_dig_turns_to_tcp_for_what_does_not_fit(cluster: Sidecars) -> None:
    one = cluster.start("one", "--dns", "127.0.0.1:0").wait_ready()
    with Client(str(one.socket)) as client:
        for number in range(60):
            client.call("register", name="many", port=80, id=f"many-{number}", address=f"10.0.0.{number}")
    part = dig(one, "+noedns", "+ignore", "many.service.consul")
    assert re.search(r"flags: qr aa tc", part), part
    assert len(dig(one, "+noedns", "+short", "many.service.consul").split()) == 60


NODE = """
const { Resolver } = require('dns').promises;
const resolver = new Resolver({ timeout: 5000, tries: 2 });
resolver.setServers([`127.0.0.1:${process.argv[1]}`]);
const code = question => question.then(answer => answer, error => error.code);
(async () => {
  const srv = await resolver.resolveSrv('_web._tcp.service.consul');
  const first = srv.find(one => one.port === 80);
  console.log(JSON.stringify({
    srv: srv.map(one => [one.priority, one.weight, one.port]).sort(),
    target: await resolver.resolve4(first.name),
    four: (await resolver.resolve4('web.service.consul', { ttl: true })).sort((a, b) => a.address < b.address ? -1 : 1),
    six: await resolver.resolve6('web.service.consul'),
    text: await resolver.resolveTxt('web.service.consul'),
    back: await resolver.reverse('10.0.0.2'),
    soa: (await resolver.resolveSoa('consul')).nsname,
    many: await Promise.all(Array.from({ length: 200 }, () => resolver.resolve4('web.service.consul'))).then(
      all => all.every(one => one.length === 2)),
    none: await code(resolver.resolve4('none.service.consul')),
    empty: await code(resolver.resolve6('two.node.consul')),
    foreign: await code(resolver.resolve4('example.org')),
  }));
})();
"""


@needs_node
def test_nodes_resolver_finds_services_and_their_targets(pair: tuple[Sidecar, Sidecar]) -> None:
    ended = subprocess.run(["node", "-e", NODE, str(port_of(pair[0]))], capture_output=True, text=True, timeout=BOUND_S)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "srv": [[1, 1, 81], [1, 1, 82], [1, 7, 80]],
        "target": ["10.0.0.1"],
        "four": [{"address": "10.0.0.1", "ttl": 0}, {"address": "10.0.0.2", "ttl": 0}],
        "six": ["2001:db8::1"],
        "text": [["k=v"]],
        "back": ["web.service.consul"],
        "soa": "ns.consul",
        "many": True,
        "none": "ENOTFOUND",
        "empty": "ENODATA",
        "foreign": "EREFUSED",
    }


def resolver_of(sidecar: Sidecar) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], port_of(sidecar)
    resolver.lifetime = BOUND_S
    return resolver


def test_a_service_leaves_the_answers_when_its_sidecar_is_killed(cluster: Sidecars) -> None:
    one = cluster.start("one", "--dns", "127.0.0.1:0").wait_ready()
    two = cluster.start("two", "--service", "web", "--port", "80", "--address", "10.0.0.1").wait_ready()
    wait_for(lambda: len(one.lookup("web")) == 1)
    resolver = resolver_of(one)
    assert [str(answer) for answer in resolver.resolve("web.service.consul")] == ["10.0.0.1"]
    two.kill()
    wait_for(lambda: one.lookup("web") == [])
    for name in ("web.service.consul", "two.node.consul"):
        wait_for(lambda name=name: _is_no_name(resolver, name))  # type: ignore[misc]


def _is_no_name(resolver: dns.resolver.Resolver, name: str) -> bool:
    try:
        resolver.resolve(name)
    except dns.resolver.NXDOMAIN:
        return True
    return False


def test_info_counts_questions_and_drops_by_reason(pair: tuple[Sidecar, Sidecar]) -> None:
    one, _ = pair
    before = Counter(one.call("info")["counters"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"short", ("127.0.0.1", port_of(one)))
        client.sendto(b"\0\0\x80" + bytes(20), ("127.0.0.1", port_of(one)))
    resolver_of(one).resolve("web.service.consul")
    info = one.call("info")
    assert info["dns"] == one.ready["dns"]
    counters = Counter(info["counters"]) - before
    assert counters["dns.queries"] == 3
    assert (counters["drop.dns_short"], counters["drop.dns_response"]) == (1, 1)
    assert counters["dns.answers.noerror"] == 1


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_a_port_in_use_ends_the_start_with_one_line(cluster: Sidecars, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [*COMMAND, "join", "--bind", "127.0.0.1:0", "--socket", str(cluster.folder / "s"), "--dns", where]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S)
    assert ended.returncode == 6
    assert ended.stdout == ""
    assert ended.stderr == (
        f"Error: cannot listen for DNS at {where}: Address already in use; "
        "another program answers there, stop it or take another port with --dns\n"
    )
    assert not (cluster.folder / "s").exists()


def test_a_flood_of_dns_leaves_gossip_and_local_socket_alone(cluster: Sidecars) -> None:
    one = cluster.start("one", "--dns", "127.0.0.1:0", "--service", "web", "--port", "80").wait_ready()
    two = cluster.start("two").wait_ready()
    wait_for(lambda: len(two.lookup("web")) == 1)
    query = dns.message.make_query("web.service.consul", "SRV").to_wire()
    over = threading.Event()

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", port_of(one)))
            while not over.is_set():
                client.send(query)

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        asked = time.perf_counter()
        for number in range(50):
            one.call("register", name="other", port=1000 + number)
        wait_for(lambda: len(two.lookup("other")) == 50)
        assert time.perf_counter() - asked < BOUND_S
        assert two.states() == {"one": "alive", "two": "alive"}
    finally:
        over.set()
        flooding.join()
    assert one.call("info")["counters"]["dns.queries"] > 1000
