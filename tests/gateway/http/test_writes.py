"""Registering, maintenance, joining, leaving; and paths that are not supported."""

from typing import Any

import pytest
import trio

from gossipreg.model import Health
from tests.gateway.http.conftest import Served, request_bytes
from tests.gateway.http.consul import WEB, health_of, register, texts


async def test_a_registered_service_is_found_as_it_was_registered(served: Served) -> None:
    await register(served, ID="w1", Address="10.1.1.1", Tags=["b", "a"], Meta={"k": "v"},
                     Weights={"Passing": 7, "Warning": 1})  # fmt: skip
    (entry,) = (await served.get("/v1/health/service/web?passing")).json
    service = entry["Service"]
    assert (service["ID"], service["Address"], service["Port"], service["Meta"]) == ("w1", "10.1.1.1", 80, {"k": "v"})
    assert (service["Tags"], service["Weights"]["Passing"]) == (["b", "a"], 7)
    assert [check["CheckID"] for check in entry["Checks"]] == ["serfHealth", "service:w1"]
    assert entry["Checks"][1]["ServiceTags"] == ["b", "a"]


async def test_the_id_defaults_to_the_name_and_the_address_to_ours(served: Served) -> None:
    await register(served)
    assert (await served.get("/v1/agent/service/web")).json["Address"] == "10.0.0.1"


@pytest.mark.parametrize(
    "body",
    [
        {"Name": "web", "Port": 80, "Check": {"TTL": "10s", "DeregisterCriticalServiceAfter": "1h"}},
        {"name": "web", "port": 80, "check": {"ttl": "10s", "deregister_critical_service_after": "1h"}},
        {"NAME": "web", "PORT": 80, "checks": [{"Ttl": "10s", "deregistercriticalserviceafter": "3600s"}]},
        {"name": "web", "port": 80, "check": {"ttl": 10**10, "DeregisterCriticalServiceAfter": "60m"}},
    ],
)
async def test_keys_are_taken_in_any_case_and_with_underscores(served: Served, body: Any) -> None:
    assert (await served.put("/v1/agent/service/register", body)).status == 200
    assert texts(served) == ["ttl:10s,deregister_after=3600s,check_id=service:web"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"Name": ""}, "Missing service name"), ({"Port": 70000}, "0 to 65535"),
        ({"Port": "80"}, "0 to 65535"), ({"Name": "a/b"}, "slash"), ({"Name": "a b"}, "spaces"),
        ({"Tags": "x"}, "list"),
        ({"Address": "0.0.0.0"}, "address"),
        ({"Connect": {"sidecar_service": {"x": 1}}}, "service mesh"), ({"Kind": "connect-proxy"}, "service mesh"),
        ({"Connect": {"SidecarService": {}}}, "service mesh"), ({"Connect": "native"}, "Connect is not a JSON object"),
        ({"Check": {}}, ""), ({"Check": {"Interval": "1s"}}, "this one: none"),
        ({"Check": {"TTL": "1s", "HTTP": "http://x/"}}, "ttl and http"), ({"Check": {"TTL": "soon"}}, "duration"),
        ({"Check": {"HTTP": "http://x/", "Header": ["a"]}}, "not a JSON object"),
        ({"Check": {"GRPC": "x"}}, "host:port"),
        ({"Check": {"HTTP": "http://x/", "Header": {"a b": ["c"]}}}, "NAME:VALUE"),
        ({"Check": {"HTTP": "http://x/", "Method": "HEAD", "Body": "x"}}, "no body"), ({"Check": {"HTTP": "x"}}, "http://"),
        ({"Check": {"AliasService": "web"}}, "leads back to 'web'"), ({"Check": {"UDP": "h:1"}}, "udp"),
        ({"Check": {"DockerContainerID": "x", "Args": ["x"]}}, "docker"),
        ({"Check": {"TTL": "10s", "Status": "well"}}, "passing, warning or critical"), ({"Check": []}, ""),
        ({"Check": {"Args": ["true"]}}, "--allow-cmd-checks"),
        ({"Checks": [{"TTL": "1s", "ID": "a"}] * 2}, "two checks"),
        ({"Checks": {"a": 1}}, "not a list"), ({"Checks": [1]}, "not a JSON object"), ({"name": "twice"}, "twice"),
        ({"Check": {"TCP": "x"}}, "tcp"), ({"Check": {"TCP": "h:1,passes=2"}}, "not a number from 1"),
        ({"Check": {"TTL": 10**400}}, "nanoseconds"), ({"Check": {"TTL": -1.5}}, "nanoseconds"),
        ({"Check": {"TTL": "0"}}, "above 0"), ({"Check": {"TTL": "0s"}}, "above 0"),
        ({"Check": {"TTL": "10s", "Notes": "\ud800"}}, "UTF-8"), ({"Meta": {"a": 1}}, "meta"),
    ],
    ids=str,
)  # fmt: skip
async def test_an_unsupported_registration_is_a_400_with_one_sentence(served: Served, more: Any, why: str) -> None:
    reply = await served.put("/v1/agent/service/register", {**WEB, **more})
    if not why:  # what says nothing
        assert reply.status == 200
        return
    assert reply.status == 400
    assert why in reply.error
    assert "\n" not in reply.error
    assert not served.services.report("web")


@pytest.mark.parametrize(
    "body", [b'{"Name": "web", "Name": "api"}', b'{"Name": "web", "Check": {"TTL": "1s", "TTL": "2s"}}']
)
async def test_a_body_that_has_a_name_twice_is_a_400(served: Served, body: bytes) -> None:
    reply = await served.put("/v1/agent/service/register", body)
    assert (reply.status, "twice in one object: leave one of them out" in reply.error) == (400, True)
    assert not served.services.report("web")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"1", b"null", b'"x"', b"{}", b"[" * 100_000, b"\xff", b'{"a":1e999}']
)
async def test_a_body_that_is_no_service_is_a_400(served: Served, body: bytes) -> None:
    for path in ("service/register", "check/register", "check/update/x"):
        assert (await served.put(f"/v1/agent/{path}", body)).status == 400


async def test_a_service_is_taken_out_and_an_unknown_one_is_not_found(served: Served) -> None:
    await register(served, ID="with/slash")
    assert (await served.put("/v1/agent/service/deregister/with%2Fslash")).status == 200
    assert (await served.put("/v1/agent/service/deregister/with/slash")).status == 404
    assert (await served.get("/v1/agent/services")).json == {}


async def test_registering_again_keeps_checks_unless_asked_to_replace(served: Served) -> None:
    await register(served, Check={"CheckID": "a", "TTL": "10s"})
    await register(served, Check={"CheckID": "b", "TTL": "20s"})
    assert texts(served) == ["ttl:10s,check_id=a", "ttl:20s,check_id=b"]
    await register(served, Check={"CheckID": "a", "TTL": "30s"})
    assert sorted(texts(served)) == ["ttl:20s,check_id=b", "ttl:30s,check_id=a"]
    reply = await served.put("/v1/agent/service/register?replace-existing-checks=true", WEB)
    assert (reply.status, texts(served)) == (200, [])


async def test_maintenance_stays_whatever_the_checks_of_a_service_say(served: Served) -> None:
    await register(served, Check={"TTL": "10s"})
    assert (await served.put("/v1/agent/service/maintenance/web?enable=true&reason=new+disk")).status == 200
    await served.put("/v1/agent/check/pass/service:web")
    assert health_of(served) is Health.MAINTENANCE
    shown = (await served.get("/v1/agent/checks")).json["_service_maintenance:web"]
    assert (shown["Status"], shown["Notes"]) == ("critical", "new disk")
    assert (await served.get("/v1/health/service/web?passing")).json == []
    await register(served)  # again
    assert health_of(served) is Health.MAINTENANCE
    assert (await served.put("/v1/agent/service/maintenance/web?enable=false")).status == 200
    assert health_of(served) is Health.PASSING


async def test_maintenance_wants_a_known_service_and_a_clear_word(served: Served) -> None:
    await register(served)
    assert (await served.put("/v1/agent/service/maintenance/none?enable=true")).status == 404
    hidden = await served.put("/v1/agent/service/maintenance/web?enable=true&reason=disk%E2%80%AEpaws")
    assert (hidden.status, "U+202E RIGHT-TO-LEFT OVERRIDE" in hidden.error) == (400, True), hidden.error
    for query in ("", "?enable=", "?enable=perhaps", "?enable=true&enable=false"):
        status = (await served.put(f"/v1/agent/service/maintenance/web{query}")).status
        assert status == 400
    assert served.services.maintenance("web") is None


async def test_join_calls_and_leave_answers_when_it_is_done(served: Served) -> None:
    assert (await served.put("/v1/agent/join/10.0.0.2:7940")).status == 200
    assert served.called == ["10.0.0.2:7940"]
    assert (await served.put("/v1/agent/join/10.0.0.2:7940?wan=1")).status == 400
    client = await served.client()
    await client.send(request_bytes("PUT", "/v1/agent/leave"))
    while not served.left:
        await trio.lowlevel.checkpoint()
    served.may_leave.set()
    assert (await client.reply("PUT")).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "kv/a"), ("DELETE", "kv/a"), ("PUT", "session/create"), ("PUT", "txn"),
     ("GET", "acl/tokens"), ("PUT", "acl/bootstrap"), ("GET", "connect/ca/roots"), ("GET", "agent/connect/ca/leaf/web"),
     ("PUT", "config"), ("GET", "config/proxy-defaults"),
     ("PUT", "query"), ("PUT", "event/fire/x"), ("GET", "operator/raft/configuration"),
     ("GET", "namespaces"), ("GET", "peerings"), ("PUT", "agent/token/default"), ("GET", "agent/metrics")],
)  # fmt: skip
async def test_an_unsupported_path_says_so_in_one_sentence(served: Served, method: str, path: str) -> None:
    reply = await (await served.client()).request(method, f"/v1/{path}")
    assert reply.status == 501
    assert len(reply.error) > 15
    assert "\n" not in reply.error


async def test_a_page_that_is_rebound_changes_nothing(served: Served) -> None:
    client = await served.client()
    reply = await client.put("/v1/agent/service/register", WEB, Host="evil.example:8500")
    assert reply.status == 403
    reply = await (await served.client()).put("/v1/agent/service/register", WEB, Origin="http://evil.example")
    assert reply.status == 403
    assert not served.node.catalog.services()
