"""The local socket with a real node behind it: requests, answers, errors, and lists that come in pieces."""

import pytest
import trio
import trio.testing
from msgpack import packb, unpackb

from gossipreg.daemon.params import PAGE_DEFAULT
from gossipreg.daemon.pieces import PIECE
from gossipreg.daemon.watches import RPC_FORM
from gossipreg.wire.rpc import (
    encode_notification,
    encode_reply,
    encode_request,
    packed_reply,
)
from tests.core.speaker import Speaker
from tests.daemon.conftest import GENEROUS_S, Inside, Sidecar
from tests.daemon.memory_network import MemoryNetwork


def test_packed_replies_are_the_bytes_that_rpc_makes() -> None:
    for id in (0, 127, 128, 70_000, 1 << 40):
        for result in ({"a": [1, None]}, "a" * 5000):
            assert b"".join(packed_reply(id, packb(result))) == encode_reply(id, result)
        shape = {"kind": "current", "instances": []}
        params = {"watch": id, "change": shape}
        assert b"".join(RPC_FORM.watch(id, RPC_FORM.body(shape))) == encode_notification("watch", params)
        state = b"".join(RPC_FORM.notification("state", RPC_FORM.body({"others": True})))
        assert state == encode_notification("state", {"others": True})


async def test_services_and_members_are_paged(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    for port in range(80, 85):
        await client.call("register", name=f"web-{port}", port=port)
    names = [s["name"] for s in await client.call("services")]
    assert names == [f"web-{port}" for port in range(80, 85)]
    assert [s["name"] for s in await client.call("services", limit=2)] == names[:2]
    assert [s["name"] for s in await client.call("services", limit=2, after="web-81")] == names[2:4]
    [member] = await client.call("members")
    assert member["name"] == "tested"
    assert member["services"] == 5
    assert await client.call("members", after=member["id"]) == []


MANY = 2000


async def test_listing_every_member_lets_other_tasks_run() -> None:
    inside = Inside(MemoryNetwork(), "tested")
    insider = Speaker(1, keyring=None, generation=1 << 16)
    insider.handshake(inside.node, trio.current_time())
    for number in range(MANY):
        other = Speaker(2 + number, keyring=None, generation=1 << 16)
        insider.send_to(inside.node, trio.current_time(), other.row)
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    answers = []
    for asked in (inside.methods.info.info({}), inside.methods.members({"limit": 2 * MANY})):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_turns)
            turns = 0
            answers.append(unpackb(await asked))
            assert turns > MANY // PIECE // 2  # 0 where it is one piece
            nursery.cancel_scope.cancel()
    info, members = answers
    assert info["members"]["alive"] == MANY + 2
    assert [one["id"] for one in members] == [id.hex() for id in sorted(inside.node.table.rows)]
    pages = [unpackb(await inside.methods.members({}))]
    while len(pages[-1]) == PAGE_DEFAULT:
        pages.append(unpackb(await inside.methods.members({"after": pages[-1][-1]["id"]})))
    assert [one["id"] for page in pages for one in page] == [one["id"] for one in members]


async def test_info_says_who_and_how_it_is(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    info = await client.call("info")
    assert info["id"] == "01" * 16
    assert info["generation"] == str(1 << 16)
    assert info["address"] == "10.0.0.1:7940"
    assert info["synced"] is True
    assert info["sealed"] is False
    assert info["out"] is False
    assert info["members"] == {"alive": 1, "suspect": 0, "dead": 0, "left": 0}
    assert isinstance(info["counters"], dict)


async def test_pipelined_requests_are_answered_in_order(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    await client.call("register", name="web", port=80)
    requests = b"".join(
        encode_request(id, *(("lookup", {"name": "web"}) if id % 3 else ("nonsense", {}))) for id in range(5000)
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.stream.send_all, requests)
        for id in range(5000):
            kind, answered, error, _ = await client.next()
            assert (kind, answered) == ("reply", id)
            assert (error is None) == bool(id % 3)


async def test_requests_behind_one_that_takes_long_wait_for_it(sidecar: Sidecar) -> None:
    client, other = await sidecar.client(), await sidecar.client()
    leave = await client.send("leave")
    info = await client.send("info")
    await other.call("info")  # others do not wait
    await trio.testing.wait_all_tasks_blocked()
    sidecar.may_leave.set()
    assert [(await client.next())[1] for _ in range(2)] == [leave, info]
    assert sidecar.left == [0.0]


@pytest.mark.parametrize(
    ("method", "params", "code", "words"),
    [
        ("nonsense", {}, "unknown_method", "nonsense"),
        ("lookup", {}, "bad_params", "name"),
        ("lookup", {"name": "web", "tag": "x"}, "bad_params", "'tag'"),
        ("lookup", {"name": 7}, "bad_params", "name is 7"),
        ("lookup", {"name": "a b"}, "bad_params", "without spaces"),
        ("lookup", {"name": "a/b"}, "bad_params", "slash"),
        ("lookup", {"name": "a\x1b[2J"}, "bad_params", "control"),
        ("lookup", {"name": "a" * 256}, "bad_params", "255"),
        ("lookup", {"name": "web", "all": 1}, "bad_params", "all is 1"),
        ("lookup", {"name": "web", "tags": "x"}, "bad_params", "tags is 'x'"),
        ("register", {"name": "web"}, "bad_params", "port"),
        ("register", {"name": "web", "port": True}, "bad_params", "port is True"),
        ("register", {"name": "web", "port": -1}, "bad_params", "port is -1"),
        ("register", {"name": "web", "port": 65_536}, "bad_params", "65535"),
        ("register", {"name": "web", "port": 80, "address": "0.0.0.0"}, "bad_params", "0.0.0.0"),
        ("register", {"name": "web", "port": 80, "address": "h:80"}, "bad_params", "without a port"),
        ("register", {"name": "web", "port": 80, "weight": 65_536}, "bad_params", "weight"),
        ("register", {"name": "web", "port": 80, "meta": {"k": 1}}, "bad_params", "'k'"),
        ("register", {"name": "a" * 255, "port": 80}, "bad_params", "id is"),
        (
            "register",
            {"name": "web", "port": 80, "meta": {f"k{i}": "x" * 4096 for i in range(20)}},
            "too_large",
            "65536",
        ),
        ("deregister", {"id": "nobody"}, "not_found", "nobody"),
        ("members", {"limit": 0}, "bad_params", "limit is 0"),
        ("members", {"after": "xyz"}, "bad_params", "after is 'xyz'"),
        ("unwatch", {"watch": 1}, "not_found", "watch 1"),
        ("leave", {"hold": 61}, "bad_params", "hold is 61"),
        ("leave", {"hold": 30}, "refused", "--data-dir"),
        ("info", {"verbose": True}, "bad_params", "verbose"),
    ],
)
async def test_a_request_that_cannot_be_done_says_why(
    sidecar: Sidecar, method: str, params: dict[str, object], code: str, words: str
) -> None:
    client = await sidecar.client()
    given, message = await client.call(method, **params)
    assert given == code
    assert words in message
    assert "\n" not in message
    assert len(message) < 400
    assert (await client.call("info"))["name"] == "tested"
    assert sidecar.left == []


async def test_nil_stands_for_a_parameter_left_out(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    given = await client.call("register", name="web", port=80, id=None, tags=None, address=None)
    assert given["id"] == "web-80"


async def test_a_bug_in_a_method_is_an_error_for_its_caller_alone(sidecar: Sidecar) -> None:
    def broken(params: dict[str, object]) -> bytes:
        raise ZeroDivisionError(str(params))

    sidecar.methods.handlers["services"] = broken
    client = await sidecar.client()
    code, _ = await client.call("services")
    assert code == "refused"
    assert (await client.call("info"))["name"] == "tested"
    assert sidecar.pump.counts == {"bug.method services": 1}
    assert "ZeroDivisionError" in sidecar.log.getvalue()
    sidecar.pump.counts.clear()


async def test_a_request_of_a_client_that_is_cut_off_counts_as_answered(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    await client.send("leave")  # answered once `may_leave` is set, which it never is here
    with trio.fail_after(GENEROUS_S):
        while not sidecar.left:
            await trio.testing.wait_all_tasks_blocked()
        [connection] = sidecar.socket.places
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sidecar.socket.answered)
            await trio.testing.wait_all_tasks_blocked()
            connection.outgoing.give_up()
