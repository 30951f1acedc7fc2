"""The local socket while the sidecar does not know the cluster's table: refused or marked, never silently short."""

import pytest
import trio
from trio.testing import MockClock

from gossipreg.errors import NotSynced
from tests.daemon.conftest import Inside, Sidecar
from tests.daemon.memory_network import MemoryNetwork


async def test_lookup_of_an_unknown_name_is_the_error_not_synced(unsynced: Sidecar) -> None:
    client = await unsynced.client()
    code, message = await client.call("lookup", name="web")
    assert code == "not_synced"
    assert (
        message == "this sidecar is not synced, so it does not know where web is yet: no other member has answered yet"
    )


async def test_lookup_of_a_name_registered_here_is_marked_partial(unsynced: Sidecar) -> None:
    client = await unsynced.client()
    await client.call("register", name="web", port=80)
    for flags in ({}, {"all": True}, {"near": True}):
        [found] = await client.call("lookup", name="web", **flags)
        assert (found["id"], found["partial"], found["stale"]) == ("web-80", True, False)


async def test_no_empty_answer_though_the_name_is_registered_here(unsynced: Sidecar) -> None:
    client = await unsynced.client()
    await client.call("register", name="web", port=80, tags=["a"])
    assert (await client.call("lookup", name="web", tags=["b"]))[0] == "not_synced"
    assert (await client.call("lookup", name="web", zone="other"))[0] == "not_synced"


async def test_services_are_refused_and_members_marked(unsynced: Sidecar) -> None:
    client = await unsynced.client()
    await client.call("register", name="web", port=80)
    assert (await client.call("services"))[0] == "not_synced"
    [member] = await client.call("members")
    assert (member["name"], member["partial"]) == ("tested", True)


async def test_info_says_why_it_is_not_synced(unsynced: Sidecar) -> None:
    info = await (await unsynced.client()).call("info")
    assert info["synced"] is False
    assert info["knowledge"] == "not_synced"
    assert info["not_synced_because"] == "no other member has answered yet"


async def test_a_watch_gets_no_empty_current(unsynced: Sidecar) -> None:
    client, other = await unsynced.client(), await unsynced.client()
    reply = await client.call("watch", name="web")
    assert reply == {"watch": 1, "not_synced_because": "no other member has answered yet"}
    await other.call("register", name="other", port=79)
    await other.call("register", name="web", port=80)
    number, change = await client.change()
    assert (number, change["kind"], change["partial"]) == (1, "current", True)
    assert [one["id"] for one in change["instances"]] == ["web-80"]
    unsynced.seek()
    assert (await client.change())[1] == {"kind": "current", "instances": change["instances"]}


async def test_once_synced_nothing_is_marked(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    await client.call("register", name="web", port=80)
    assert "partial" not in (await client.call("lookup", name="web"))[0]
    assert await client.call("lookup", name="other") == []
    assert "partial" not in (await client.call("services"))[0]
    assert "partial" not in (await client.call("members"))[0]
    info = await client.call("info")
    assert (info["knowledge"], info["not_synced_because"]) == ("synced", "")


@pytest.mark.wide
async def test_a_kept_answer_is_not_given_out_when_sync_is_lost(autojump_clock: MockClock) -> None:
    assert autojump_clock.autojump_threshold == 0
    network = MemoryNetwork()
    sidecars = [Inside(network, f"m{number}", number) for number in range(1, 6)]
    async with trio.open_nursery() as nursery:
        for sidecar in sidecars:
            nursery.start_soon(sidecar.pump.run)
        first, *others = sidecars
        first.seek()
        for other in others:
            other.seek(first.transport.address)
        await first.register("web", 80)
        with trio.fail_after(30):
            while b"web-80" not in _lookup(others[0]):
                await trio.sleep(0.01)
        del network.bound[others[0].transport.address]  # it receives nothing any more
        await trio.sleep(60)
        assert b"stale\xc3" in _lookup(others[0])
        await trio.sleep(900)
        assert _lookup(others[0]) == b"not_synced"
        await others[0].register("web", 81)
        assert b"partial\xc3" in _lookup(others[0])
        nursery.cancel_scope.cancel()


def _lookup(sidecar: Inside) -> bytes:
    try:
        return sidecar.methods.lookups.lookup({"name": "web"})
    except NotSynced as error:
        return error.code.encode()
