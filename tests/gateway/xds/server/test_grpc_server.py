"""Connections: what they wait for and how long, too many of them, and what is left of them."""

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gossipreg.gateway.xds.server import grpc_connections as bounds
from gossipreg.gateway.xds.server.grpc_connections import XdsConnection
from gossipreg.gateway.xds.server.http2_frames import DATA, ENHANCE_YOUR_CALM, PING, PREFACE, frame
from gossipreg.gateway.xds.server.http2_windows import FIRST_WINDOW_BYTES
from gossipreg.gateway.xds.server.ports import listen_unix
from gossipreg.net.selection import Selection
from tests.gateway.xds.http2_client import Http2Client
from tests.gateway.xds.served import ServedXds, SocketClient


async def test_a_call_works_over_tcp_and_over_a_unix_socket(served: ServedXds) -> None:
    for unix in (False, True):
        client = await served.client(unix=unix)
        id = await client.call(b"one")
        assert await client.answers(id, 1) == [b"one"]
        served.streams.last.send(b"two" * 50_000)
        assert await client.answers(id, 2) == [b"one", b"two" * 50_000]
    tcp, unix_ = served.streams.calls
    assert tcp.peer.startswith("127.0.0.1:")
    assert unix_.peer == f"process {os.getpid()} of user {os.geteuid()}"


async def test_a_client_that_is_gone_ends_its_call(served: ServedXds) -> None:
    client = await served.client()
    await client.answers(await client.call(b"one"), 1)
    await client.stream.aclose()
    await wait_all_tasks_blocked(0.05)
    assert served.streams.last.closed == 1
    assert len(served.server.connections) == 0


async def test_a_change_reaches_many_clients(served: ServedXds) -> None:
    clients = [await served.client() for _ in range(100)]
    for client in clients:
        await client.answers(await client.call(b"one"), 1)
    for call in served.streams.calls:
        call.send(b"change")
    for client in clients:
        assert await client.answers(1, 2) == [b"one", b"change"]


async def test_a_connection_costs_no_task(served: ServedXds) -> None:
    tasks = trio.lowlevel.current_statistics().tasks_living
    clients = [await served.client() for _ in range(20)]
    for client in clients:
        await client.answers(await client.call(b"one"), 1)
    assert trio.lowlevel.current_statistics().tasks_living == tasks


async def test_a_stop_ends_the_calls_of_all_clients_with_a_status(served: ServedXds) -> None:
    clients = [await served.client() for _ in range(3)]
    for client in clients:
        await client.answers(await client.call(b"one"), 1)
    for connection in served.server.connections:
        served.server.stop(connection)
    for client in clients:
        assert await client.closed()
        assert client.http2.trailers[1] == {"grpc-status": "14", "grpc-message": "this sidecar stops"}
        assert client.http2.goaway == (0, "this sidecar stops")


# -- time --------------------------------------------------------------------------------------------------------------


async def test_a_connection_that_never_begins_is_closed(served: ServedXds, mock_clock: MockClock) -> None:
    silent, half = await served.connect(), await served.connect()
    await half.send_all(PREFACE[:-1])
    await wait_all_tasks_blocked(0.05)
    mock_clock.jump(bounds.OPENING_S + 0.1)
    for stream in (silent, half):
        with suppress(trio.BrokenResourceError):
            while await stream.receive_some(1000):
                pass
    assert served.counts["drop.xds_late_preface"] == 2


async def test_a_message_that_does_not_become_whole_is_cut_off(served: ServedXds, mock_clock: MockClock) -> None:
    client = await served.client()
    id = await client.call(b"one")
    await client.answers(id, 1)
    client.http2.h2.send_data(id, b"\0\0\0\1\0part")
    await client.stream.send_all(client.http2.out())
    await wait_all_tasks_blocked(0.05)
    mock_clock.jump(bounds.MESSAGE_S - 1)
    client.http2.h2.ping(b"I live!!")
    await client.stream.send_all(client.http2.out())
    await client.until(lambda: bool(client.http2.pongs))
    mock_clock.jump(1.1)
    assert await client.closed()
    assert served.counts["drop.xds_late_message"] == 1
    assert served.server.connections.held_bytes == 0


async def test_a_silent_client_is_pinged_and_one_that_answers_stays(served: ServedXds, mock_clock: MockClock) -> None:
    client = await served.client()
    await client.answers(await client.call(b"one"), 1)
    for pings in range(1, 4):
        await wait_all_tasks_blocked(0.05)
        mock_clock.jump(bounds.PING_S + 0.1)
        await client.until(lambda pings=pings: len(client.http2.pings) == pings)  # type: ignore[misc]
        await wait_all_tasks_blocked(0.05)
    mock_clock.jump(bounds.PING_S + 0.1)
    await wait_all_tasks_blocked(0.05)
    mock_clock.jump(bounds.PING_ANSWER_S + 0.1)
    assert await client.closed()
    assert served.counts["drop.xds_no_pong"] == 1
    assert client.http2.trailers[1]["grpc-status"] == "14"


async def test_a_connection_without_a_call_is_closed(served: ServedXds, mock_clock: MockClock) -> None:
    client, busy = await served.client(), await served.client()
    for one in (client, busy):
        await one.answers(await one.call(b"one"), 1)
    client.http2.h2.end_stream(1)
    await client.stream.send_all(client.http2.out())
    await client.until(lambda: 1 in client.http2.ended)
    mock_clock.jump(bounds.IDLE_S + 0.1)
    assert await client.closed()
    await busy.send(1, b"two")
    assert await busy.answers(1, 2) == [b"one", b"two"]
    assert served.counts["drop.xds_idle"] == 1


async def test_a_client_whose_window_stays_shut_is_cut_off(served: ServedXds, mock_clock: MockClock) -> None:
    client = await served.client(acknowledges=False)
    await client.answers(await client.call(b"one"), 1)
    served.streams.last.send(bytes(FIRST_WINDOW_BYTES * 2))
    await client.until(lambda: len(client.http2.data[1]) == FIRST_WINDOW_BYTES)
    await wait_all_tasks_blocked(0.05)
    mock_clock.jump(bounds.SEND_S - 1)
    await client.send(1, b"it sends all the same")
    await wait_all_tasks_blocked(0.05)
    mock_clock.jump(1.1)
    assert await client.closed()
    assert served.counts["drop.xds_too_slow"] == 1
    assert served.server.connections.unread_bytes == 0


async def test_a_client_that_does_not_read_its_socket_is_cut_off(served: ServedXds, mock_clock: MockClock) -> None:
    client = await _with_a_wide_window(served)
    served.streams.last.send(*[bytes(1_000_000)] * 4)
    served.streams.last.send(b"a later state")
    await wait_all_tasks_blocked(0.2)
    assert 0 < served.server.connections.unread_bytes < 5_000_000
    mock_clock.jump(bounds.SEND_S + 0.1)
    await wait_all_tasks_blocked(0.05)
    assert served.counts["drop.xds_too_slow"] == 1
    assert len(served.server.connections) == 0
    await client.stream.aclose()


async def test_a_slow_reader_gets_all_in_the_end(served: ServedXds) -> None:
    client = await _with_a_wide_window(served)
    served.streams.last.send(*[bytes(1_000_000)] * 4)
    await wait_all_tasks_blocked(0.2)
    served.streams.last.send(b"the newest state")
    assert (await client.answers(1, 6))[-1] == b"the newest state"
    assert served.streams.last.taken == 3
    await wait_all_tasks_blocked(0.05)
    assert served.server.connections.unread_bytes == 0


async def _with_a_wide_window(served: ServedXds) -> SocketClient:
    client = await served.client()
    await client.answers(await client.call(b"one"), 1)
    for connection in served.server.connections:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    for stream_id in (None, 1):
        client.http2.h2.increment_flow_control_window(10_000_000, stream_id)
    await client.stream.send_all(client.http2.out())
    await wait_all_tasks_blocked(0.05)
    return client


# -- bounds ------------------------------------------------------------------------------------------------------------


async def test_beyond_the_bound_those_without_a_call_give_way(served: ServedXds) -> None:
    served.server.connections.most = 3
    busy = [await served.client() for _ in range(2)]
    for client in busy:
        await client.answers(await client.call(b"one"), 1)
    idle = await served.connect()
    await wait_all_tasks_blocked(0.05)
    third = await served.client()
    await third.answers(await third.call(b"one"), 1)
    await SocketClient(idle, Http2Client()).closed()
    refused = await served.client()
    with suppress(trio.BrokenResourceError):
        await refused.call(b"one")
    assert await refused.closed()
    assert served.counts["drop.xds_crowded"] == 2
    for client in (*busy, third):
        await client.send(1, b"two")
        assert await client.answers(1, 2) == [b"one", b"two"]


async def test_parts_of_messages_have_a_bound_in_all(served: ServedXds, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client with the most gives way, and not the one whose part is the last drop."""
    monkeypatch.setattr(bounds, "HELD_MAX_BYTES", 50_000)
    good = await served.client()
    await good.answers(await good.call(b"one"), 1)
    for _ in range(8):
        hog = await served.client()
        await hog.answers(await hog.call(b"one"), 1)
        await _send_part(hog, 10_000)
    assert served.counts["drop.xds_held_too_much"] == 4
    assert served.server.connections.held_bytes == 4 * 10_005
    await _send_part(good, 9_976)
    assert served.counts["drop.xds_held_too_much"] == 5
    good.http2.h2.send_data(1, bytes(16_384 - 9_976))
    await good.stream.send_all(good.http2.out())
    assert len((await good.answers(1, 2))[1]) == 16_384


async def _send_part(client: SocketClient, size: int) -> None:
    """So many bytes of a message of 16 KiB."""
    client.http2.h2.send_data(1, b"\0\0\0\x40\0" + bytes(size))
    await client.stream.send_all(client.http2.out())
    await wait_all_tasks_blocked(0.02)


async def test_what_nobody_reads_has_a_bound_in_all(served: ServedXds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "UNREAD_MAX_BYTES", 1_000_000)
    good = await served.client()
    await good.answers(await good.call(b"one"), 1)
    slow = [await served.client(acknowledges=False) for _ in range(5)]
    for client in slow:
        await client.answers(await client.call(b"one"), 1)
        served.streams.last.send(bytes(FIRST_WINDOW_BYTES + 300_000))
    await wait_all_tasks_blocked(0.1)
    assert served.counts["drop.xds_unread_too_much"] == 2
    assert served.server.connections.unread_bytes <= 1_000_000
    served.streams.calls[0].send(bytes(FIRST_WINDOW_BYTES + 150_000))
    assert len((await good.answers(1, 2))[1]) == FIRST_WINDOW_BYTES + 150_000
    assert served.counts["drop.xds_unread_too_much"] == 3


@pytest.mark.parametrize(
    ("first", "answer", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 505 ", "xds_not_http2"),
        (b"\x16\x03\x01\x00\x05hello", b"\x15\x03", "xds_tls"),
        (b"\0\1\2\3 nothing known", b"", "xds_not_http2"),
    ],
)
async def test_another_protocol_is_told_and_closed(served: ServedXds, first: bytes, answer: bytes, reason: str) -> None:
    stream = await served.connect()
    await stream.send_all(first)
    data = b""
    while more := bytes(await stream.receive_some(1000)):
        data += more
    assert data.startswith(answer)
    assert bool(data) == bool(answer)
    assert served.counts[f"drop.{reason}"] == 1


async def test_a_flood_is_cut_off_and_others_are_served(served: ServedXds) -> None:
    good, bad = await served.client(), await served.client()
    for client in (good, bad):
        await client.answers(await client.call(b"one"), 1)
    served.streams.last.echoes = False
    with suppress(trio.BrokenResourceError):
        while True:
            await bad.stream.send_all((frame(PING, 0, 0, b"12345678") + frame(DATA, 0, 1, b"\0\0\0\0\0")) * 500)
            await good.send(1, b"more")
            await good.until(lambda: good.http2.messages[1][-1] == b"more")
    await bad.closed()
    assert served.counts["drop.xds_flood"] == 1
    if bad.http2.goaway is not None:  # the kernel may have dropped it with the rest
        assert bad.http2.goaway[0] == ENHANCE_YOUR_CALM
    await good.send(1, b"two")
    await good.until(lambda: good.http2.messages[1][-1] == b"two")


async def test_a_connection_that_cannot_be_waited_for_ends_alone(
    served: ServedXds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel watches a bounded number of descriptors for each user (`fs.epoll.max_user_watches`)."""
    watch = Selection.watch

    def none_left(selection: Selection[XdsConnection], connection: XdsConnection, mask: int) -> None:
        if mask and not connection.mask:
            raise OSError(errno.ENOSPC, "No space left on device")
        watch(selection, connection, mask)

    other = await served.client()
    await other.answers(await other.call(b"one"), 1)
    with monkeypatch.context() as limited:
        limited.setattr(Selection, "watch", none_left)
        refused = await served.connect()
        assert await refused.receive_some(100) == b""
    served.streams.last.send(b"two")
    assert await other.answers(1, 2) == [b"one", b"two"]
    assert len(served.server.connections) == 1
    [(where, _)] = served.bugs
    served.bugs.clear()
    assert where == "xds_connection"


async def test_the_address_of_a_unix_socket_is_right_in_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bootstrap has it, and its client runs elsewhere."""
    monkeypatch.chdir(tmp_path)
    listener = listen_unix(Path("s"), None)
    try:
        assert listener.text == f"unix:{tmp_path}/s"
    finally:
        listener.close()
