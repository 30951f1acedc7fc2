"""Hostile networks and hostile local clients against real sidecars: everybody else goes on being answered."""

import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from gossipreg.client.connection import Client
from gossipreg.errors import RequestError
from gossipreg.wire.rpc import encode_request
from scripts.tools.machine import usage
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system.asker import Asker

MAY_GROW_KIB = 6 * 1024


def counters(sidecar: Sidecar) -> dict[str, int]:
    found: dict[str, int] = sidecar.call("info")["counters"]
    return found


def three(cluster: Sidecars) -> list[Sidecar]:
    members = cluster.grow(3)
    members[1].call("register", name="web", port=80)
    wait_for(lambda: all(len(one.lookup("web")) == 1 for one in members))
    return members


def assert_unhurt(cluster: Sidecars) -> None:
    names = {one.name: "alive" for one in cluster.all}
    wait_for(lambda: all(one.states() == names for one in cluster.all))
    for one in cluster.all:
        assert not [name for name in counters(one) if name.startswith("bug")], one.log.read_text()


def test_a_flood_of_datagrams_costs_no_member_answer_or_memory(cluster: Sidecars) -> None:
    first, *_ = three(cluster)
    before = usage(first)
    port = first.gossip.rpartition(":")[2]
    with Asker(first):
        subprocess.run(
            [sys.executable, "-m", "tests.system.flood", port, str(cluster.key_file), "4000", "2"],
            check=True, timeout=120, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    assert_unhurt(cluster)
    assert usage(first)["memory_kib"] - before["memory_kib"] < MAY_GROW_KIB
    dropped = counters(first)
    for reason in ("unknown_key", "bad_tag", "short", "unbound", "unknown_format", "strangers_throttled"):
        assert dropped[f"drop.{reason}"] > 0
    assert len(first.call("members")) == 3


def test_what_the_kernel_has_no_room_for_is_counted(cluster: Sidecars) -> None:
    sidecar = cluster.start("one").wait_ready()
    host, _, port = sidecar.gossip.rpartition(":")
    sidecar.stop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(10_000):
            sock.sendto(bytes(1000), (host, int(port)))
    sidecar.resume()
    found = counters(sidecar)
    assert 0 < found["drop.receive_buffer"] < 10_000
    wait_for(lambda: counters(sidecar)["drop.unknown_format"] == 10_000 - found["drop.receive_buffer"])


def icmp_refusal(of: int, to: int) -> bytes:
    """What a host says where nobody listens on port `to`, forged for who has port `of`."""
    home = socket.inet_aton("127.0.0.1")

    def ip(protocol: int, size: int) -> bytes:
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + size, 1, 0, 64, protocol, 0, home, home)

    quoted = ip(socket.IPPROTO_UDP, 8) + struct.pack("!HHHH", of, to, 8, 0)
    icmp = struct.pack("!BBHI", 3, 3, 0, 0) + quoted
    words = sum(struct.unpack(f"!{len(icmp) // 2}H", icmp))
    checksum = ~((words >> 16) + (words & 0xFFFF)) & 0xFFFF
    return ip(socket.IPPROTO_ICMP, len(icmp)) + struct.pack("!BBHI", 3, 3, checksum, 0) + quoted


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need root")
def test_forged_refusals_make_nobody_dead(cluster: Sidecars) -> None:
    members = three(cluster)
    ports = [int(one.gossip.rpartition(":")[2]) for one in members]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as forger, Asker(members[0]):
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for of in ports:
                for to in ports:
                    forger.sendto(icmp_refusal(of, to), ("127.0.0.1", 0))
            time.sleep(0.01)
    assert_unhurt(cluster)
    assert not any("member_dead" in one.log.read_text() for one in members)
    checks = sum(value for one in members for name, value in counters(one).items() if name == "probes")
    assert checks < 500  # each refusal makes one look at most once a period


def connected(sidecar: Sidecar) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(BOUND_S)
    sock.connect(str(sidecar.socket))
    return sock


def junk(sock: socket.socket) -> None:
    sock.sendall(os.urandom(5000))


def half_a_frame(sock: socket.socket) -> None:
    sock.sendall(encode_request(1, "lookup", {"name": "x" * 100})[:50])


def never_reads(sock: socket.socket) -> None:
    sock.setblocking(False)
    for number in range(64):
        sock.send(encode_request(number, "watch", {}))
    try:
        for number in range(100_000):
            sock.send(encode_request(number, "lookup", {"name": "web"}))
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass


@pytest.mark.parametrize("misdeed", [junk, half_a_frame, never_reads])
def test_a_client_that_misbehaves_harms_only_itself(
    cluster: Sidecars, misdeed: Callable[[socket.socket], None]
) -> None:
    sidecar = cluster.start("one").wait_ready()
    sidecar.call("register", name="web", port=80)
    before = usage(sidecar)
    with Asker(sidecar):
        socks = [connected(sidecar) for _ in range(60)]
        for sock in socks:
            with_errors(misdeed, sock)
        for port in range(1, 200):  # what watchers that never read are told
            sidecar.call("register", name="other", port=port)
        for sock in socks:
            sock.close()
    for port in range(1, 200):
        sidecar.call("deregister", id=f"other-{port}")
    wait_for(lambda: usage(sidecar)["descriptors"] <= before["descriptors"] + 2)
    wait_for(lambda: usage(sidecar)["tasks"] <= before["tasks"] + 2)
    wait_for(lambda: usage(sidecar)["memory_kib"] - before["memory_kib"] < 2 * MAY_GROW_KIB)
    assert_unhurt(cluster)


def with_errors(misdeed: Callable[[socket.socket], None], sock: socket.socket) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # thrown out already
        misdeed(sock)


MANY = """if True:
    import socket, sys
    socks = []
    for _ in range(125):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(sys.argv[1])
        socks.append(sock)
    print("held", flush=True)
    sys.stdin.read()
"""


FEW_DESCRIPTORS = ["sh", "-c", 'ulimit -n 1024; exec "$@"', "sh", *COMMAND]
"""A sidecar that the system leaves 1,024 descriptors takes 512 clients."""


def test_a_thousand_connections_lock_out_nobody(cluster: Sidecars) -> None:
    sidecar = cluster.start("one", command=FEW_DESCRIPTORS).wait_ready()
    sidecar.call("register", name="web", port=80)
    before = usage(sidecar)["descriptors"]
    with Asker(sidecar):
        holders = [
            subprocess.Popen(
                [sys.executable, "-c", MANY, str(sidecar.socket)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            for _ in range(8)
        ]
        for holder in holders:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
        assert "those idle for longest are closed" in sidecar.call("info")["troubles"][0]["message"]
        sidecar.wait_logged("clients_crowded")
        assert sidecar.log.read_text().count("clients_crowded") == 1
        for holder in holders:
            holder.communicate(timeout=BOUND_S)
    wait_for(lambda: usage(sidecar)["descriptors"] <= before + 2)
    assert sidecar.call("info")["troubles"] == [], "the crowd is gone"
    assert_unhurt(cluster)


@pytest.mark.wide
def test_registrations_beyond_the_limit_are_refused_alone(cluster: Sidecars) -> None:
    """A million are the same, only longer."""
    sidecar = cluster.start("one").wait_ready()
    sidecar.call("register", name="web", port=80)
    with Asker(sidecar), Client(str(sidecar.socket), timeout_s=BOUND_S) as client:
        for number in range(4095):
            client.call("register", name="many", port=1 + number, id=f"m{number}")
        for number in range(100):
            with pytest.raises(RequestError, match="4096 services"):
                client.call("register", name="many", port=1 + number, id=f"late{number}")
        client.call("deregister", id="m0")
        client.call("register", name="many", port=9, id="late")
    assert len(sidecar.call("lookup", name="many")) == 4095
    assert_unhurt(cluster)
