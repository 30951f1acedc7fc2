"""HTTP while the sidecar does not know the cluster's table: what a Consul agent without a leader answers."""

import pytest
import trio
from trio.testing import MockClock

from gossipreg.daemon.socket_client import SocketClient
from gossipreg.gateway.http import blocking
from simulations import inside
from tests.daemon.conftest import ME
from tests.gateway.http.conftest import Client, Reply, Served, Unsynced, request_bytes
from tests.gateway.http.test_blocking import waits

OF_ALL = (
    "/v1/health/service/web", "/v1/health/checks/web", "/v1/health/state/any", "/v1/health/node/other",
    "/v1/catalog/services", "/v1/catalog/service/web", "/v1/catalog/nodes", "/v1/catalog/node/other",
    "/v1/catalog/node-services/other",
)  # fmt: skip
"""Reads of what all members know."""
OF_THIS_ONE = (
    "/v1/agent/self", "/v1/agent/members", "/v1/agent/services", "/v1/agent/checks", "/v1/catalog/datacenters",
    "/v1/health/node/one", "/v1/catalog/node/one", "/v1/catalog/node-services/one",
)  # fmt: skip


def has_no_leader(reply: Reply) -> bool:
    assert reply.headers["x-gossipreg-not-synced"] == "no other member has answered yet"
    return (
        reply.status == 500
        and b"No cluster leader" in reply.body
        and reply.headers["x-consul-knownleader"] == "false"
        and "x-consul-index" not in reply.headers
    )


@pytest.mark.parametrize("path", OF_ALL)
async def test_a_read_of_what_all_know_has_no_leader(unsynced: Unsynced, path: str) -> None:
    assert has_no_leader(await unsynced.get(path))
    unsynced.begin()
    reply = await unsynced.get(path)
    assert reply.status in (200, 404)
    assert reply.headers["x-consul-knownleader"] == "true"
    assert "x-gossipreg-partial" not in reply.headers


@pytest.mark.parametrize("path", OF_THIS_ONE)
async def test_answers_about_this_sidecar_itself_are_marked(unsynced: Unsynced, path: str) -> None:
    reply = await unsynced.get(path)
    assert reply.status == 200
    assert reply.headers["x-consul-knownleader"] == "false"
    assert reply.headers["x-gossipreg-partial"] == "true"


async def test_a_service_registered_here_is_answered_and_marked(unsynced: Unsynced) -> None:
    await unsynced.register("web", 80)
    for path in ("/v1/health/service/Web?passing", "/v1/catalog/service/web", "/v1/health/checks/web"):
        reply = await unsynced.get(path)
        assert (reply.status, len(reply.json), reply.headers["x-gossipreg-partial"]) == (200, 1, "true")
    assert has_no_leader(await unsynced.get("/v1/health/service/web?tag=other"))
    assert has_no_leader(await unsynced.get("/v1/health/service/other"))


async def test_the_leader_is_empty_and_keys_are_not_there(unsynced: Unsynced) -> None:
    assert (await unsynced.get("/v1/status/leader")).json == ""
    assert (await unsynced.get("/v1/kv/a")).status == 404
    unsynced.begin()
    assert (await unsynced.get("/v1/status/leader")).json == "10.0.0.1:7940"


async def test_a_blocking_query_is_refused_at_once(unsynced: Unsynced) -> None:
    with trio.fail_after(60):
        assert has_no_leader(await unsynced.get("/v1/health/service/web?index=7&wait=5m"))


async def test_a_waiting_query_is_refused_when_sync_is_lost(served: Served) -> None:
    await served.register("web", 80)
    index = (await served.get("/v1/health/service/web")).index
    client = await served.client()
    await client.send(request_bytes("GET", f"/v1/health/service/web?index={index}&wait=5m"))
    await _parked(served)
    inside.unsync(served.node)
    await served.methods.deregister({"id": "web-80"}, SocketClient(ME))
    with trio.fail_after(60):
        assert has_no_leader(await client.reply())


async def test_a_kept_empty_list_is_not_given_out_when_sync_is_lost(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking, "FRESH_S", 1e9)
    await served.register("web", 80)
    client = await served.client()
    assert (await client.get("/v1/health/service/web?tag=none")).json == []
    inside.unsync(served.node)
    assert has_no_leader(await client.get("/v1/health/service/web?tag=none"))


async def test_a_wait_that_is_over_gets_no_kept_empty_list(
    mock_clock: MockClock, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is not registered here, and nothing changes but what is known."""
    monkeypatch.setattr(blocking, "FRESH_S", 1e9)
    client = await served.client()
    index = (await client.get("/v1/health/service/other")).index
    await client.send(request_bytes("GET", f"/v1/health/service/other?index={index}&wait=1s"))
    await waits(served)
    inside.unsync(served.node)
    mock_clock.jump(2.0)
    assert has_no_leader(await client.reply())


async def test_targets_for_prometheus_are_503(unsynced: Unsynced) -> None:
    await unsynced.register("web", 80)
    for path in ("/sd/prometheus", "/sd/prometheus?service=web"):
        reply = await unsynced.get(path)
        assert reply.status == 503
        assert b"not synced" in reply.body
    unsynced.begin()
    [target] = (await unsynced.get("/sd/prometheus")).json
    assert target["labels"]["__meta_gossipreg_stale"] == "false"


async def test_readyz_says_why_it_is_not_ready(unsynced: Unsynced) -> None:
    reply = await unsynced.get("/readyz")
    assert (reply.status, reply.body) == (503, b"not synced yet: no other member has answered yet\n")


async def test_events_begin_with_current_when_it_is_known(unsynced: Unsynced) -> None:
    client = await unsynced.client()
    await client.send(request_bytes("GET", "/events?service=web"))
    assert "event: current" not in await _read_until(client, ": not synced yet")
    await unsynced.register("web", 80)
    assert '"partial":true' in await _read_until(client, "event: current")
    unsynced.begin()
    assert "partial" not in await _read_until(client, "event: current")


async def _parked(served: Served) -> None:
    with trio.fail_after(60):
        while not served.http.api.answers.waiting:
            await trio.sleep(0.01)


async def _read_until(client: Client, text: str) -> str:
    """The bytes that come, to the end of the event that has this text."""
    data = ""
    with trio.fail_after(60):
        while text not in data or not data.endswith("\n\n"):
            data += bytes(await client.stream.receive_some(65536)).decode()
    return data
