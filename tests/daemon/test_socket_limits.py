"""Clients of the local socket that do not read, break the protocol, or are too many."""

import os
from contextlib import suppress
from dataclasses import replace

import pytest
import trio
import trio.testing
from msgpack import packb

from gossipreg.callers import Caller
from gossipreg.daemon import local_socket
from gossipreg.daemon.places import MOST, PlaceLimits
from gossipreg.wire.rpc import (
    MAX_QUEUE_BYTES,
    MAX_REQUEST_BYTES,
    encode_request,
)
from tests.daemon.conftest import GENEROUS_S, Sidecar


async def test_a_client_that_does_not_read_its_answers_is_not_read(sidecar: Sidecar) -> None:
    client, other = await sidecar.client(), await sidecar.client()
    for port in range(1, 200):
        await other.call("register", name="web", port=port)
    request = encode_request(1, "lookup", {"name": "web"})
    sent = 0

    async def send() -> None:
        nonlocal sent
        while True:
            await client.stream.send_all(request * 100)
            sent += 100

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        with trio.fail_after(GENEROUS_S):
            await trio.testing.wait_all_tasks_blocked(0.05)  # nobody reads, so nobody can write
        nursery.cancel_scope.cancel()
    assert sent * len(request) < 4 * MAX_QUEUE_BYTES
    assert (await other.call("info"))["name"] == "tested"
    [waiting] = [one.outgoing.waiting_bytes for one in sidecar.socket.places if one.outgoing.waiting_bytes]
    assert waiting < 1 << 20


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xc1", "bad_params"),
        (packb([1, 1, None, "a reply"]), "refused"),
        (packb([2, "lookup", {}]), "refused"),
        (b"\xdd\xff\xff\xff\xff" + bytes(MAX_REQUEST_BYTES), "too_large"),
        (packb([0, 1, "lookup", {"name": "x" * MAX_REQUEST_BYTES}]), "too_large"),
    ],
)
async def test_bytes_that_are_no_request_end_that_connection_alone(sidecar: Sidecar, data: bytes, code: str) -> None:
    client, other = await sidecar.client(), await sidecar.client()
    with trio.move_on_after(GENEROUS_S):
        with suppress(trio.BrokenResourceError):  # it may be cut off before all is written
            await client.stream.send_all(data)
    kind, id, (given, _), _ = await client.next()
    assert (kind, id, given) == ("reply", None, code)
    with pytest.raises((EOFError, trio.BrokenResourceError)):
        await client.next()
    assert (await other.call("info"))["counters"]["drop.client_broke_protocol"] == 1


async def test_a_client_that_closes_its_side_still_gets_its_answers(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    await client.send("info")
    await client.stream.send_eof()
    assert (await client.next())[3]["name"] == "tested"
    with pytest.raises(EOFError):
        await client.next()


async def test_more_connections_of_a_process_than_allowed_are_told(
    sidecar: Sidecar,
) -> None:
    sidecar.socket.places.limits = replace(MOST, of_process=2)
    clients = [await sidecar.client() for _ in range(3)]
    for client in clients[:2]:
        await client.call("info")
    assert (await clients[2].next())[2][0] == "busy"
    assert (await clients[0].call("info"))["counters"]["drop.client_process_too_many"] == 1
    await clients[0].stream.aclose()
    with trio.fail_after(GENEROUS_S):
        while len(sidecar.socket.places) > 1:
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert (await (await sidecar.client()).call("info"))["name"] == "tested"


async def test_the_client_idle_for_longest_makes_room(sidecar: Sidecar) -> None:
    sidecar.socket.places.limits = PlaceLimits(all=3, of_user=3, kept=0)
    watcher, first, second = [await sidecar.client() for _ in range(3)]
    await watcher.call("watch")
    assert (await watcher.change())[1]["kind"] == "current"
    await first.call("info")
    await second.call("info")
    await first.call("info")
    newcomer = await sidecar.client()
    assert (await newcomer.call("info"))["counters"]["drop.client_idle"] == 1
    assert (await second.next())[2][0] == "busy"
    with pytest.raises(EOFError):
        await second.next()
    assert (await first.call("info"))["name"] == "tested"
    await sidecar.register("web", 80)
    assert (await watcher.change())[1]["kind"] == "added"


async def test_a_client_beyond_the_limit_is_refused_if_none_is_idle(
    sidecar: Sidecar,
) -> None:
    sidecar.socket.places.limits = PlaceLimits(all=2, of_user=2, kept=0)
    watcher, holder = [await sidecar.client() for _ in range(2)]
    await watcher.call("watch")
    await holder.call("register", name="web", port=80, attach=True)
    assert (await (await sidecar.client()).next())[2][0] == "busy"
    assert sidecar.methods.dropped["client_too_many"] == 1
    assert len(await holder.call("lookup", name="web")) == 1


async def test_no_user_locks_out_another_or_an_operator(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    sidecar.socket.places.limits = PlaceLimits(all=6, of_user=3, kept=2)
    users = iter([1001, 1001, 1001, 1001, 1002, 1003, os.geteuid()])
    monkeypatch.setattr(local_socket, "caller_at", lambda _sock, door: Caller(next(users), 1, door=door))
    busy = [await sidecar.client() for _ in range(3)]
    for client in busy:
        await client.call("watch")
    too_many = await sidecar.client()
    assert (await too_many.next())[2][0] == "busy"  # a fourth of that user, none of whose own is idle
    other = await sidecar.client()
    assert (await other.call("info"))["name"] == "tested"
    second = await sidecar.client()  # the places that are not kept are taken, and who has most of them is not idle
    assert (await second.next())[2][0] == "busy"
    for client in (await sidecar.client(), other):
        assert (await client.call("info"))["name"] == "tested"
