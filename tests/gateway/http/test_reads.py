"""The reads: their shapes, what filters and options do, and who is shown."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import pytest
import trio

from gossipreg.model import NodeId
from tests.daemon.conftest import ME
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Served, request_bytes


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Served, Served]]:
    """Two members that know each other; the second has a service."""
    network = MemoryNetwork()
    one, two = Served(tmp_path, network, "one"), Served(tmp_path, network, "two", 2)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(one.run)
            await nursery.start(two.run)
            two.seek(*one.transport.local_addresses)
            await two.register("web", 80)
            while not one.node.catalog.lookup("web"):
                await trio.sleep(0.01)
            yield one, two
            nursery.cancel_scope.cancel()
    finally:
        one.close()
        two.close()
    assert one.bugs == two.bugs == []


async def test_a_node_has_a_uuid_and_a_check_of_its_life(pair: tuple[Served, Served]) -> None:
    one, two = pair
    (entry,) = (await one.get("/v1/health/service/web")).json
    assert UUID(entry["Node"]["ID"]).bytes == two.node.id
    assert entry["Node"]["Node"] == "two"
    check = entry["Checks"][0]
    assert 0 <= check.pop("CreateIndex") <= check.pop("ModifyIndex")
    assert check == {
        "Node": "two", "CheckID": "serfHealth", "Name": "Serf Health Status", "Status": "passing", "Notes": "",
        "Output": "Agent alive and reachable", "ServiceID": "", "ServiceName": "", "ServiceTags": [], "Type": "",
    }  # fmt: skip


async def test_a_dead_member_is_critical_and_its_services_are_gone(pair: tuple[Served, Served]) -> None:
    one, two = pair
    client = await one.client()
    first = await client.get("/v1/health/service/web")
    two.transport.close()  # as if its host had vanished
    with trio.fail_after(60):
        assert (await client.get(f"/v1/health/service/web?index={first.index}")).json == []
        while (await client.get("/v1/health/state/critical")).json == []:
            await trio.sleep(0.05)
    (check,) = (await client.get("/v1/health/state/critical")).json
    assert (check["Node"], check["CheckID"], check["Output"]) == ("two", "serfHealth", "Agent not live or unreachable")
    members = {member["Name"]: member["Status"] for member in (await client.get("/v1/agent/members")).json}
    assert members == {"one": 1, "two": 4}
    counted = (await client.get("/v1/agent/self")).json["Stats"]["serf_lan"]
    assert counted == {"members": "2", "failed": "1", "left": "0"}
    assert {node["Node"] for node in (await client.get("/v1/catalog/nodes")).json} == {"one", "two"}


async def test_nodes_are_asked_for_by_name_and_by_id(pair: tuple[Served, Served]) -> None:
    one, two = pair
    by_name = (await one.get("/v1/catalog/node/two")).json
    assert list(by_name["Services"]) == ["web-80"]
    assert (await one.get(f"/v1/catalog/node/{UUID(bytes=bytes(two.node.id))}")).json == by_name
    assert (await one.get("/v1/catalog/node-services/two")).json["Services"][0]["ID"] == "web-80"
    assert [check["CheckID"] for check in (await one.get("/v1/health/node/two")).json] == [
        "serfHealth",
        "service:web-80",
    ]
    none = await one.get("/v1/catalog/node/none")  # as Consul has it
    assert (none.status, none.json) == (200, None)
    assert (await one.get("/v1/health/node/none")).json == []


async def test_near_sorts_by_distance_from_this_node_only(pair: tuple[Served, Served]) -> None:
    one, _ = pair
    await one.register("web", 81)
    ids = [entry["Service"]["ID"] for entry in (await one.get("/v1/health/service/web?near=_agent")).json]
    assert ids == ["web-81", "web-80"]
    assert [node["Node"] for node in (await one.get("/v1/catalog/nodes?near=one")).json] == ["one", "two"]
    assert (await one.get("/v1/catalog/service/web?near=two")).status == 400


async def test_every_read_has_an_index_a_leader_and_a_last_contact(served: Served) -> None:
    await served.register("web", 80)
    for path in (
        "health/service/web", "health/checks/web", "health/state/any", "health/node/one", "catalog/services",
        "catalog/service/web", "catalog/nodes", "catalog/node/one", "catalog/datacenters", "agent/self",
        "agent/members", "agent/services", "agent/service/web-80", "agent/checks", "status/leader", "status/peers",
        "kv/a",
    ):  # fmt: skip
        reply = await served.get(f"/v1/{path}")
        assert reply.index > 0, path
        assert reply.headers["x-consul-knownleader"] == "true"
        assert reply.headers["x-consul-lastcontact"] == "0"


async def test_consistency_modes_pretty_and_tokens_are_accepted(served: Served) -> None:
    await served.register("web", 80)
    plain = (await served.get("/v1/catalog/service/web")).json
    for option in (
        "stale",
        "consistent",
        "cached",
        "pretty",
        "stale=&cached=true",
        "token=abc",
        "dc=default",
        "ns=default",
    ):
        reply = await served.get(f"/v1/catalog/service/web?{option}")
        assert (reply.status, reply.json) == (200, plain)
    assert b"\n    " in (await served.get("/v1/catalog/service/web?pretty")).body
    assert b"\n" not in (await served.get("/v1/catalog/service/web")).body


@pytest.mark.parametrize(
    "query",
    ["dc=elsewhere", "ns=other", "partition=p", "peer=x", "filter=x", "filter=a&filter=b", "passing=perhaps",
     "near=nobody", "index=x", "tag=" + "&tag=".join("a" * 20)],
)  # fmt: skip
async def test_an_unknown_option_value_is_a_400_never_ignored(served: Served, query: str) -> None:
    reply = await served.get(f"/v1/health/service/web?{query}")
    assert reply.status == 400
    assert reply.error


@pytest.mark.parametrize("path", ["agent/self", "status/leader", "agent/service/web-80", "kv/a"])
async def test_a_filter_where_there_is_none_is_a_400(served: Served, path: str) -> None:
    await served.register("web", 80)
    assert (await served.get(f"/v1/{path}?filter=ID==x")).status == 400


async def test_names_and_tags_are_asked_for_in_any_case(served: Served) -> None:
    for id, name, tags in (("w1", "Web", ["V1"]), ("w2", "web", ["v1", "b"]), ("w3", "web", [])):
        body = {"Name": name, "ID": id, "Port": 80, "Tags": tags}
        assert (await served.put("/v1/agent/service/register", body)).status == 200
    for path, id in (
        ("health/service", "Service.ID"),
        ("catalog/service", "ServiceID"),
        ("health/checks", "ServiceID"),
    ):
        for name in ("web", "WEB", "Web"):
            found = (await served.get(f"/v1/{path}/{name}")).json
            assert [one[id] if "." not in id else one["Service"]["ID"] for one in found] == ["w1", "w2", "w3"]
    found = (await served.get("/v1/health/service/wEB?tag=V1&filter=Service.Service==web")).json
    assert [one["Service"]["ID"] for one in found] == ["w2"]
    assert (await served.get("/v1/catalog/services")).json == {"Web": ["V1", "b", "v1"]}
    assert set((await served.get("/v1/catalog/services?filter=ServiceName==Web")).json) == {"Web"}
    assert (await served.get("/v1/catalog/node/ONE")).json["Node"]["Node"] == "one"


async def test_a_change_wakes_who_wrote_the_name_in_another_case(served: Served) -> None:
    client = await served.client()
    empty = await client.get("/v1/health/service/WEB")
    await client.send(request_bytes("GET", f"/v1/health/service/WEB?index={empty.index}"))
    await served.register("web", 80)
    assert [one["Service"]["ID"] for one in (await client.reply()).json] == ["web-80"]
    await served.services.deregister("web-80", by=ME)
    assert (await client.get("/v1/health/service/WEB")).json == []


async def test_tags_meta_and_filters_choose(served: Served) -> None:
    for number, tags in enumerate((["a"], ["a", "b"], [])):
        body = {"Name": "web", "ID": f"w{number}", "Port": 80, "Tags": tags, "Meta": {"n": str(number)}}
        assert (await served.put("/v1/agent/service/register", body)).status == 200

    async def ids(query: str) -> list[str]:
        return [one["Service"]["ID"] for one in (await served.get(f"/v1/health/service/web?{query}")).json]

    assert await ids("tag=a") == ["w0", "w1"]
    assert await ids("tag=a&tag=b") == ["w1"]
    assert await ids("filter=Service.Meta.n+!%3D+1") == ["w0", "w2"]
    assert await ids("filter=Service.Tags+is+empty") == ["w2"]
    assert await ids("node-meta=rack:1") == []
    found = (await served.get("/v1/catalog/service/web?filter=ServiceMeta.n==2")).json
    assert [one["ServiceID"] for one in found] == ["w2"]
    assert (await served.get("/v1/catalog/services")).json == {"web": ["a", "b"]}
    assert (await served.get("/v1/catalog/services?filter=ServiceID==w0")).json == {"web": ["a"]}
    assert list((await served.get("/v1/agent/services?filter=ID==w1")).json) == ["w1"]
    assert (await served.get("/v1/agent/members?filter=Name==x")).json == []


async def test_health_state_takes_consuls_states_alone(served: Served) -> None:
    await served.register("web", 80)
    assert len((await served.get("/v1/health/state/any")).json) == 2
    assert len((await served.get("/v1/health/state/passing")).json) == 2
    assert (await served.get("/v1/health/state/warning")).json == []
    assert (await served.get("/v1/health/state/well")).status == 400


async def test_agent_health_is_a_status_for_load_balancers(served: Served) -> None:
    await served.put("/v1/agent/service/register", {"Name": "web", "Port": 80, "Check": {"TTL": "1h"}})
    for beat, status, word in (("fail", 503, "critical"), ("warn", 429, "warning"), ("pass", 200, "passing")):
        await served.put(f"/v1/agent/check/{beat}/service:web")
        reply = await served.get("/v1/agent/health/service/id/web")
        assert (reply.status, reply.json["AggregatedStatus"]) == (status, word)
        assert (await served.get("/v1/agent/health/service/name/web?format=text")).body == word.encode()
    assert (await served.get("/v1/agent/health/service/name/none")).status == 404


async def test_names_with_anything_printable_in_them_are_found(served: Served) -> None:
    for name in ("gr\u00fcn", "a.b", "100%", "a+b", "a&b=c", "q?", "#x"):
        assert (await served.put("/v1/agent/service/register", {"Name": name, "Port": 80})).status == 200
    for name in ("gr\u00fcn", "a.b", "100%", "a+b", "a&b=c", "q?", "#x"):
        (entry,) = (await served.get(f"/v1/health/service/{quote(name, safe='')}")).json
        assert entry["Service"]["Service"] == name
        assert (await served.get(f"/v1/agent/service/{quote(name, safe='')}")).json["ID"] == name


async def test_a_member_that_is_not_known_is_no_node(served: Served) -> None:
    assert served.http.api.parts.catalog.node_named(str(UUID(bytes=bytes(NodeId(b"x" * 16))))) is None
