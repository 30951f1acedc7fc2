"""The local socket with a real node behind it, as clients see it."""

import os
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import pytest
import trio
import trio.testing
from msgpack import packb, unpackb

from gossipreg.callers import Caller
from gossipreg.core.effects import Changed
from gossipreg.daemon import local_socket
from gossipreg.daemon.connection import packed_reply
from gossipreg.daemon.methods import PIECE
from gossipreg.daemon.params import PAGE_DEFAULT
from gossipreg.daemon.watches import notification
from gossipreg.model import Change, ChangeKind, Health, Instance, NodeId, Service, Version
from gossipreg.rights import RIGHTS
from gossipreg.wire.rpc import (
    MAX_QUEUE_BYTES,
    MAX_REQUEST_BYTES,
    MAX_WATCHES,
    encode_notification,
    encode_reply,
    encode_request,
)
from tests.core.speaker import Speaker
from tests.daemon.conftest import GENEROUS_S, Inside, Sidecar
from tests.daemon.memory_network import MemoryNetwork


def change(name: str, *, note: str = "") -> Changed:
    service = Service(id=name, name=name, address="10.0.0.9", port=80, meta=(("note", note),))
    instance = Instance(service, Health.PASSING, NodeId(bytes(16)), "n", "", Version(1, 1))
    return Changed((Change(ChangeKind.UPDATED, instance),))


def test_replies_and_notifications_are_the_bytes_that_rpc_would_make() -> None:
    for id in (0, 127, 128, 70_000, 1 << 40):
        assert packed_reply(id, packb({"a": [1, None]})) == encode_reply(id, {"a": [1, None]})
        shape = {"kind": "current", "instances": []}
        assert notification(id, packb(shape)) == encode_notification("watch", {"watch": id, "change": shape})


async def test_what_is_registered_is_looked_up(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    given = await client.call(
        "register", name="web", port=8080, tags=["v2", "blue", "v2"], meta={"b": "2", "a": "1"}, weight=7
    )
    assert given["id"] == "web-8080"
    assert given["version"][0] == str(1 << 16)
    [instance] = await client.call("lookup", name="web")
    assert instance == {
        "service": "web", "id": "web-8080", "node": "01" * 16, "node_name": "tested", "address": "10.0.0.1",
        "port": 8080, "tags": ["v2", "blue"], "meta": {"a": "1", "b": "2"}, "weight": 7, "health": "passing",
        "stale": False, "zone": "", "version": given["version"],
    }  # fmt: skip
    assert await client.call("deregister", id="web-8080") == {"durable": True}
    assert await client.call("lookup", name="web") == []


async def test_a_lookup_follows_each_change_at_once(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    for weight in range(5):
        await client.call("register", name="web", port=80, weight=weight)
        for _ in range(2):
            [instance] = await client.call("lookup", name="web")
            assert instance["weight"] == weight


async def test_lookups_with_other_flags_do_not_get_each_others_answers(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    await client.call("register", name="web", port=80, tags=["blue"])
    await client.call("register", name="web", port=81, tags=["green"])
    for _ in range(2):
        assert [i["port"] for i in await client.call("lookup", name="web")] == [80, 81]
        assert [i["port"] for i in await client.call("lookup", name="web", tags=["green"])] == [81]
        assert await client.call("lookup", name="web", zone="elsewhere") == []
        assert [i["port"] for i in await client.call("lookup", name="web", all=True, near=True)] == [80, 81]


async def test_a_lookup_may_ask_for_one_or_some_which_are_chosen_by_weight(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    for port, weight in ((80, 3), (81, 1), (82, 0)):
        await client.call("register", name="web", port=port, weight=weight)
    ones = Counter([(await client.call("lookup", name="web", one=True))[0]["port"] for _ in range(2000)])
    assert set(ones) == {80, 81}
    assert abs(ones[80] / 2000 - 3 / 4) < 0.06
    orders = [[i["port"] for i in await client.call("lookup", name="web", limit=2)] for _ in range(100)]
    assert {tuple(sorted(order)) for order in orders} == {(80, 81)}
    assert {tuple(order) for order in orders} == {(80, 81), (81, 80)}
    assert len(await client.call("lookup", name="web", limit=9)) == 3
    assert [i["port"] for i in await client.call("lookup", name="web")] == [80, 81, 82]  # all, in the order of ids
    assert [i["port"] for i in await client.call("lookup", name="web", near=True, one=True)] == [80]
    assert await client.call("lookup", name="other", one=True) == []


async def test_one_of_a_service_follows_its_changes(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    for port in range(80, 85):
        await client.call("register", name="web", port=port)
        if port > 80:
            await client.call("deregister", id=f"web-{port - 1}")
        assert [i["port"] for i in await client.call("lookup", name="web", one=True)] == [port]


async def test_names_are_compared_in_lower_case_by_every_method(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    await client.call("register", name="Web", port=80)
    watch = (await client.call("watch", name="WEB"))["watch"]
    assert [i["id"] for i in (await client.change())[1]["instances"]] == ["Web-80"]
    for name in ("web", "WEB", "Web"):
        assert [i["service"] for i in await client.call("lookup", name=name)] == ["Web"]
        assert (await client.call("explain", name=name))["name"] == "Web"
    await (await sidecar.client()).call("register", name="web", port=81)
    _, change = await client.change()
    assert (change["kind"], change["instance"]["service"]) == ("added", "web")
    assert [(s["name"], s["instances"]) for s in await client.call("services")] == [("Web", 2)]
    assert await client.call("services", after="WEB") == []
    assert (await client.call("info"))["services"] == 1
    await client.call("unwatch", watch=watch)


async def test_explain_says_what_a_lookup_leaves_out_and_why(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    nothing = {"passing": 0, "warning": 0, "critical": 0, "maintenance": 0}
    assert await client.call("explain", name="web") == {
        "name": None, "instances": 0, "health": nothing, "matching": nothing, "not_in_zone": 0, "without_tags": 0,
        "zones": [], "tags": [], "dead": 0, "synced": True,
    }  # fmt: skip
    await client.call("register", name="web", port=80, tags=["blue"])
    await client.call("register", name="web", port=81, checks=["ttl:1h"])
    assert await client.call("explain", name="web", tags=["green"], zone="east") == {
        "name": "web", "instances": 2, "health": {**nothing, "passing": 1, "critical": 1}, "matching": nothing,
        "not_in_zone": 2, "without_tags": 2, "zones": [""], "tags": ["blue"], "dead": 0, "synced": True,
    }  # fmt: skip
    assert (await client.call("explain", name="web", tags=["blue"]))["matching"] == {**nothing, "passing": 1}


async def test_registered_lists_what_is_registered_here_with_its_checks(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    assert await client.call("registered") == []
    await client.call("register", name="web", port=80)
    await client.call("register", name="job", port=81, checks=["ttl:1h"])
    job, web = await client.call("registered")
    assert (job["id"], job["health"], web["id"], web["health"]) == ("job-81", "critical", "web-80", "passing")
    assert job["checks"][0]["check"] == "ttl:1h"


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


async def test_what_shows_everybody_lets_others_have_their_turn_meanwhile() -> None:
    inside = Inside(MemoryNetwork(), "tested")
    insider = Speaker(1, keyring=None, generation=1 << 16)
    insider.greets(inside.node, trio.current_time())
    for number in range(MANY):
        other = Speaker(2 + number, keyring=None, generation=1 << 16)
        insider.says(inside.node, trio.current_time(), other.row)
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    answers = []
    for asked in (inside.methods.info({}), inside.methods.members({"limit": 2 * MANY})):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_turns)
            turns = 0
            answers.append(unpackb(await asked))
            assert turns > MANY // PIECE // 2  # 0 where it is one piece
            nursery.cancel_scope.cancel()
    info, members = answers
    assert info["members"]["alive"] == MANY + 2
    assert [one["id"] for one in members] == [id.hex() for id in sorted(inside.node.replica.rows)]
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
        ("leave", {"hold": 30}, "refused", "data directory"),
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


# -- watches -----------------------------------------------------------------------------------------------------------


async def test_a_watch_begins_with_what_is_there_and_tells_each_change_of_its_name(sidecar: Sidecar) -> None:
    client, other = await sidecar.client(), await sidecar.client()
    await other.call("register", name="web", port=80)
    assert await client.call("watch", name="web") == {"watch": 1}
    number, current = await client.change()
    assert (number, current["kind"], [i["id"] for i in current["instances"]]) == (1, "current", ["web-80"])
    await other.call("register", name="other", port=1)
    await other.call("register", name="web", port=81)
    await other.call("deregister", id="web-80")
    told = [await client.change() for _ in range(2)]
    assert [(n, c["kind"], c["instance"]["id"]) for n, c in told] == [(1, "added", "web-81"), (1, "removed", "web-80")]


async def test_a_watch_without_a_name_is_told_everything(sidecar: Sidecar) -> None:
    client, other = await sidecar.client(), await sidecar.client()
    await client.call("watch")
    assert await client.change() == (1, {"kind": "current", "instances": []})
    await other.call("register", name="a", port=1)
    await other.call("register", name="b", port=2)
    assert [(await client.change())[1]["instance"]["service"] for _ in range(2)] == ["a", "b"]


async def test_an_ended_watch_is_told_nothing_more(sidecar: Sidecar) -> None:
    client, other = await sidecar.client(), await sidecar.client()
    await client.call("watch", name="a")
    await client.change()
    await client.call("watch", name="a")
    await client.change()
    assert await client.call("unwatch", watch=1) == {}
    await other.call("register", name="a", port=1)
    assert (await client.change())[0] == 2
    assert len(sidecar.watches) == 1


async def test_a_client_that_goes_leaves_no_watch(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    for name in ("a", None):
        await client.call("watch", name=name)
        await client.change()
    assert len(sidecar.watches) == 2
    await client.stream.aclose()
    with trio.fail_after(GENEROUS_S):
        while len(sidecar.watches):
            await trio.testing.wait_all_tasks_blocked(0.01)


async def test_more_watches_than_allowed_are_refused_as_busy(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    for _ in range(MAX_WATCHES):
        await client.call("watch", name="a")
        await client.change()
    code, message = await client.call("watch", name="a")
    assert code == "busy"
    assert str(MAX_WATCHES) in message
    await client.call("unwatch", watch=1)
    assert await client.call("watch", name="a") == {"watch": MAX_WATCHES + 1}


async def test_a_watcher_that_does_not_read_is_told_so_and_cut_off_while_others_are_served(sidecar: Sidecar) -> None:
    slow, other = await sidecar.client(), await sidecar.client()
    await slow.call("watch")
    await slow.change()
    note = "x" * 4000
    for _ in range((MAX_QUEUE_BYTES + 2_000_000) // len(note)):
        sidecar.watches.publish(change("web", note=note).changes)
    assert (await other.call("info"))["name"] == "tested"
    assert len(sidecar.watches) == 1  # ending, and told nothing more
    messages = []
    with suppress(EOFError):
        while True:
            messages.append(await slow.next())
    assert all(message[0] == "notification" for message in messages[:-1])
    kind, id, (code, message), _ = messages[-1]
    assert (kind, id, code) == ("reply", None, "too_large")
    assert "too slowly" in message
    assert len(sidecar.watches) == 0
    assert (await other.call("info"))["counters"]["drop.client_too_slow"] == 1


# -- bounds ------------------------------------------------------------------------------------------------------------


async def test_a_client_that_asks_and_does_not_read_is_read_from_no_more(sidecar: Sidecar) -> None:
    client, other = await sidecar.client(), await sidecar.client()
    for port in range(1, 200):
        await other.call("register", name="web", port=port)
    request = encode_request(1, "lookup", {"name": "web"})
    sent = 0
    with trio.move_on_after(0.5):
        while True:
            await client.stream.send_all(request * 100)
            sent += 100
    assert sent * len(request) < 4 * MAX_QUEUE_BYTES
    assert (await other.call("info"))["name"] == "tested"
    [waiting] = [c._outgoing.waiting_bytes for c in sidecar.socket._connections if c._outgoing.waiting_bytes]
    assert waiting < 1 << 20


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "bad_params"),
        (b"\xc1", "bad_params"),
        (packb([1, 1, None, "a reply"]), "refused"),
        (packb([2, "lookup", {}]), "refused"),
        (b"\xdd\xff\xff\xff\xff" + bytes(MAX_REQUEST_BYTES), "too_large"),
        (packb([0, 1, "lookup", {"name": "x" * MAX_REQUEST_BYTES}]), "too_large"),
    ],
)
async def test_bytes_that_are_no_request_are_told_and_end_that_connection_alone(
    sidecar: Sidecar, data: bytes, code: str
) -> None:
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
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_socket, "MAX_CLIENTS_A_PROCESS", 2)
    clients = [await sidecar.client() for _ in range(3)]
    for client in clients[:2]:
        await client.call("info")
    assert (await clients[2].next())[2][0] == "busy"
    assert (await clients[0].call("info"))["counters"]["drop.client_process_too_many"] == 1
    await clients[0].stream.aclose()
    with trio.fail_after(GENEROUS_S):
        while len(sidecar.socket._connections) > 1:
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert (await (await sidecar.client()).call("info"))["name"] == "tested"


async def test_where_there_is_no_place_who_was_idle_for_longest_makes_room(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_socket, "MAX_CLIENTS", 3)
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


async def test_where_none_is_idle_the_next_is_told(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_socket, "MAX_CLIENTS", 2)
    watcher, holder = [await sidecar.client() for _ in range(2)]
    await watcher.call("watch")
    await holder.call("register", name="web", port=80, attach=True)
    assert (await (await sidecar.client()).next())[2][0] == "busy"
    assert sidecar.methods.dropped["client_too_many"] == 1
    assert len(await holder.call("lookup", name="web")) == 1


async def test_no_user_locks_out_another_and_places_are_kept_for_root_and_our_own(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("MAX_CLIENTS", 6), ("MAX_CLIENTS_A_USER", 3), ("KEPT_CLIENTS", 2)):
        monkeypatch.setattr(local_socket, name, value)
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


# -- rights ------------------------------------------------------------------------------------------------------------


def become(monkeypatch: pytest.MonkeyPatch, caller: Caller) -> None:
    """Connections that are made from now on are this caller's."""
    monkeypatch.setattr(local_socket, "caller_at", lambda _sock, door: replace(caller, door=door))


APP, OTHER = Caller(1000, 11), Caller(1001, 12)


async def test_a_user_changes_only_what_that_user_registered(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    become(monkeypatch, APP)
    app = await sidecar.client()
    await app.call("register", name="web", port=80, checks=["ttl:30s"])
    become(monkeypatch, OTHER)
    other = await sidecar.client()
    for verb, params in (
        ("register", {"name": "web", "port": 80, "weight": 9}), ("deregister", {"id": "web-80"}),
        ("heartbeat", {"id": "web-80"}),
    ):  # fmt: skip
        code, message = await other.call(verb, **params)
        assert code == "refused"
        assert message.startswith(f"{verb} of 'web-80' is not allowed for user 1001: it belongs to user 1000; ask root")
    assert (await other.call("lookup", name="web", all=True))[0]["weight"] == 1
    await other.call("register", name="web", port=81)  # another id is free
    assert await app.call("heartbeat", id="web-80") == {}
    assert await app.call("deregister", id="web-80") == {"durable": True}


async def test_leave_is_for_operators(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    become(monkeypatch, APP)
    code, message = await (await sidecar.client()).call("leave")
    assert (code, sidecar.left) == ("refused", [])
    assert message.startswith("leave is not allowed for user 1000: ask root")
    become(monkeypatch, Caller(0, 1))
    sidecar.may_leave.set()
    assert await (await sidecar.client()).call("leave") == {}


async def test_info_and_the_log_say_who_did_what(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    become(monkeypatch, APP)
    app = await sidecar.client()
    await app.call("register", name="web", port=80)
    await app.call("register", name="web", port=80)  # changes nothing, so it is no operation
    await app.call("deregister", id="web-80")
    operations = (await app.call("info"))["operations"]
    assert [(one["verb"], one["target"], one["uid"], one["pid"], one["via"]) for one in operations] == [
        ("deregister", "web-80", 1000, 11, "socket"), ("register", "web-80", 1000, 11, "socket"),
    ]  # fmt: skip
    lines = [line for line in sidecar.log.getvalue().splitlines() if " service_" in line]
    assert [line.split()[2] for line in lines] == ["service_registered", "service_deregistered"]
    assert all(line.endswith("via=socket uid=1000 pid=11") for line in lines)


async def test_every_method_has_a_right(sidecar: Sidecar) -> None:
    names = {*sidecar.methods.handlers, *sidecar.methods.commands, "watch", "unwatch"}
    assert names - RIGHTS.keys() == set()
