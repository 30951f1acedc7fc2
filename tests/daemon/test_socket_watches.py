"""Watches by the local socket: what is there at first, then each change, until one of both ends it."""

from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing

from gossipreg.core.effects import Changed
from gossipreg.daemon import client_calls
from gossipreg.daemon.watches import RpcForm
from gossipreg.model import CatalogInstance, Change, ChangeKind, Health, NodeId, RegisteredService
from gossipreg.wire.rpc import (
    MAX_QUEUE_BYTES,
    MAX_WATCHES,
)
from tests.daemon.conftest import GENEROUS_S, Sidecar


def change(name: str, *, note: str = "") -> Changed:
    service = RegisteredService(id=name, name=name, address="10.0.0.9", port=80, meta=(("note", note),))
    instance = CatalogInstance(service, Health.PASSING, NodeId(bytes(16)), "n", "", 1, 1)
    return Changed((Change(ChangeKind.UPDATED, instance),))


async def test_a_watch_gives_the_current_instances_then_each_change(sidecar: Sidecar) -> None:
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
    assert await client.call("watch", names=["a"] * MAX_WATCHES) == {"watches": [*range(1, MAX_WATCHES + 1)]}
    assert [(await client.change())[0] for _ in range(MAX_WATCHES)] == [*range(1, MAX_WATCHES + 1)]
    code, message = await client.call("watch", name="a")
    assert code == "busy"
    assert str(MAX_WATCHES) in message
    await client.call("unwatch", watch=1)
    assert await client.call("watch", name="a") == {"watch": MAX_WATCHES + 1}


async def test_no_user_takes_the_watches_of_all(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_calls, "MAX_WATCHES_A_USER", 3)
    first, second = await sidecar.client(), await sidecar.client()
    assert await first.call("watch", names=["a", "b"]) == {"watches": [1, 2]}
    assert (await second.call("watch", names=["a", "b"]))[0] == "busy"
    await first.stream.aclose()
    with trio.fail_after(GENEROUS_S):
        while len(sidecar.watches):
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert await second.call("watch", names=["a", "b"]) == {"watches": [1, 2]}


async def test_a_watch_of_many_names_has_each_change_once(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    await sidecar.register("B", 1)
    assert await client.call("watch", names=["a", "b", "A"]) == {"watches": [1, 2, 3]}
    first = [await client.change() for _ in range(3)]
    assert [(number, len(change["instances"])) for number, change in first] == [(1, 0), (2, 1), (3, 0)]
    await sidecar.register("a", 2)
    assert sorted([(await client.change())[0] for _ in range(2)]) == [1, 3]


async def test_the_same_current_is_encoded_once_for_all(sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    for port in range(1, 21):
        await sidecar.register("web", port)
    encoded: list[str] = []
    body = RpcForm.body

    def noted(self: RpcForm, shape: Any) -> bytes:
        encoded.append(shape["kind"])
        return body(self, shape)

    monkeypatch.setattr(RpcForm, "body", noted)
    clients = [await sidecar.client() for _ in range(5)]
    for client in clients:
        await client.call("watch", name="web")
    currents = [(await client.change())[1]["instances"] for client in clients]
    assert all(current == currents[0] for current in currents)
    assert encoded == ["current"]
    await sidecar.register("web", 21)
    late = await sidecar.client()
    await late.call("watch", name="web")
    assert len((await late.change())[1]["instances"]) == 21
    assert encoded == ["current", "added", "current"]


async def test_a_watcher_that_does_not_read_is_cut_off_alone(sidecar: Sidecar) -> None:
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
    with trio.fail_after(GENEROUS_S):
        while len(sidecar.watches):  # its end is read before the sidecar has let go of it
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert (await other.call("info"))["counters"]["drop.client_too_slow"] == 1
