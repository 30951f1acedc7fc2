"""The definitions of Consul's clients: accepted as Consul accepts them, accepted again as they were answered, with
indexes that rise."""

from typing import Any

import pytest
import trio

from gossipreg.callers import Caller
from gossipreg.gateway.http.indexes import MAX_INDEX, LivenessIndex, created_index, index_of
from gossipreg.gateway.http.own_checks import OUTPUT_S
from gossipreg.model import Health, NodeId, Version
from tests.gateway.http.conftest import Served

WEB = {"Name": "web", "Port": 80}


async def register(served: Served, **more: Any) -> None:
    reply = await served.put("/v1/agent/service/register", {**WEB, **more})
    assert reply.status == 200, reply.body


# -- taken and without effect ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "noted"),
    [
        ({"Naem": "x"}, ["naem"]), ({"EnableTagOverride": True}, ["EnableTagOverride"]),
        ({"Weights": {"Passing": 3, "Warning": 5}}, ["Weights.Warning"]),
        ({"Connect": {"Native": True}}, ["Connect.Native"]),
        ({"Connect": {"Native": False}}, []), ({"Tags": ["a", ""]}, ["an empty tag"]),
        ({"Tags": [""]}, ["an empty tag"]),
        ({"TaggedAddresses": {"wan": {"Address": "1.2.3.4", "Port": 80}}}, ["TaggedAddresses"]),
        ({"Locality": {"Region": "eu"}}, ["locality"]), ({"Weights": {"Passing": 3, "Warning": 1}}, []),
        ({"Check": {"TTL": "10s", "FailuresBeforeWarning": 2, "Odd": 1}}, ["odd", "FailuresBeforeWarning"]),
        ({"Check": {"HTTP": "http://127.0.0.1:1/", "DisableRedirects": True}}, ["DisableRedirects"]),
        ({"Check": {"TTL": "10s", "OutputMaxSize": 4096}}, ["OutputMaxSize"]),
        ({"Check": {"TTL": "10s", "Timeout": "0s"}}, []),
        ({"Naem": None, "Whatever": {}, "Other": [], "More": ""}, []),
    ],
    ids=str,
)  # fmt: skip
async def test_keys_that_only_consul_uses_are_taken_and_noted_once(served: Served, more: Any, noted: list[str]) -> None:
    for _ in range(3):
        await register(served, **more)
    assert served.notes == [
        f"{key!r} of a registration over HTTP has no effect here; this is logged once" for key in noted
    ]
    assert (await served.get("/v1/agent/service/web")).status == 200


async def test_no_more_than_256_keys_are_noted(served: Served) -> None:
    await register(served, **{f"key{number}": 1 for number in range(300)})
    assert len(served.notes) == 256


async def test_tags_keep_their_order_and_may_be_long(served: Served) -> None:
    rule = "traefik.http.routers.web.rule=" + " || ".join(f"Host(`h{n}.example.org`)" for n in range(40))
    tags = ["urlprefix-/b", "urlprefix-/a", rule[:1024]]
    await register(served, Tags=tags)
    assert (await served.get("/v1/agent/service/web")).json["Tags"] == tags
    (entry,) = (await served.get("/v1/health/service/web")).json
    assert entry["Service"]["Tags"] == tags
    assert (await served.get("/v1/catalog/service/web")).json[0]["ServiceTags"] == tags


async def test_a_tag_beyond_the_limit_is_a_400_that_names_it(served: Served) -> None:
    reply = await served.put("/v1/agent/service/register", {**WEB, "Tags": ["a", "traefik" + "x" * 1018]})
    assert (reply.status, reply.error[:62]) == (400, "a tag has 1025 bytes, at most 1024: 'traefikxxxxxxxxxxxxxxxxxx")
    reply = await served.put("/v1/agent/service/register", {**WEB, "Tags": [f"t{n}" for n in range(257)]})
    assert (reply.status, reply.error) == (400, "257 tags, at most 256: 't256' is the first too many")


EMPTY_LISTS = (
    "session/list", "session/node/one", "session/info/x", "event/list", "event/list?name=x", "query",
    "health/connect/web", "catalog/connect/web", "health/ingress/web", "coordinate/nodes", "coordinate/datacenters",
    "catalog/gateway-services/g", "connect/intentions", "health/state/unknown", "health/state/unknown?dc=dc1",
)  # fmt: skip


@pytest.mark.parametrize("path", EMPTY_LISTS)
async def test_consul_has_an_empty_list_here(served: Served, path: str) -> None:
    await served.register("web", 80)
    reply = await served.get(f"/v1/{path}")
    assert (reply.status, reply.body) == (200, b"[]")


@pytest.mark.parametrize("path", ["session/list", "event/list", "health/state/unknown"])
async def test_a_wait_for_an_empty_list_lasts(served: Served, path: str) -> None:
    client = await served.client()
    index = (await client.get(f"/v1/{path}")).index
    start = trio.current_time()
    assert (await client.get(f"/v1/{path}?index={index}&wait=200ms")).body == b"[]"
    assert trio.current_time() - start >= 0.2


async def test_dc1_is_the_default_cluster(served: Served) -> None:
    for path in ("catalog/nodes", "health/service/web", "catalog/services"):
        for name in ("dc1", "DC1", "default"):
            assert (await served.get(f"/v1/{path}?dc={name}")).status == 200
        assert (await served.get(f"/v1/{path}?dc=dc2")).error.startswith("No path to datacenter 'dc2'")


# -- put back ----------------------------------------------------------------------------------------------------------


FULL = {
    "ID": "w1", "Name": "web", "Port": 80, "Address": "10.1.1.1", "Tags": ["b", "a"], "Meta": {"k": "v"},
    "Weights": {"Passing": 7, "Warning": 1},
}  # fmt: skip
READS = {
    "agent/service": lambda r: r, "agent/services": lambda r: r["w1"], "health/service": lambda r: r[0]["Service"],
    "catalog/node": lambda r: r["Services"]["w1"], "catalog/node-services": lambda r: r["Services"][0],
    "agent/health": lambda r: r["Service"],
}  # fmt: skip
PATHS = {
    "agent/service": "agent/service/w1", "agent/services": "agent/services", "health/service": "health/service/web",
    "catalog/node": "catalog/node/one", "catalog/node-services": "catalog/node-services/one",
    "agent/health": "agent/health/service/id/w1",
}  # fmt: skip


@pytest.mark.parametrize("read", READS)
async def test_a_service_is_put_back_as_it_was_answered(served: Served, read: str) -> None:
    await register(served, **FULL, Check={"TTL": "10s", "Status": "passing"})
    before = (await served.get("/v1/health/service/web")).json
    shape = READS[read]((await served.get(f"/v1/{PATHS[read]}")).json)
    reply = await served.put("/v1/agent/service/register", shape)
    assert (reply.status, served.notes) == (200, []), reply.body
    assert (await served.get("/v1/health/service/web")).json == before


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    ("key", "value"),
    [("Port", 81), ("Address", "10.2.2.2"), ("Tags", ["c", "b"]), ("Meta", {}), ("Address", "web.example")],
)  # fmt: skip
async def test_a_service_is_put_back_with_a_change(served: Served, read: str, key: str, value: Any) -> None:
    """Ansible's consul_agent_service changes a port in this way."""
    await register(served, **FULL, Check={"TTL": "10s", "Status": "passing"})
    shape = READS[read]((await served.get(f"/v1/{PATHS[read]}")).json)
    assert (await served.put("/v1/agent/service/register", {**shape, key: value})).status == 200
    after = (await served.get("/v1/agent/service/w1")).json
    assert after[key] == value
    for name, tagged in after["TaggedAddresses"].items():
        assert name in ("lan_ipv4", "wan_ipv4")
        assert tagged == {"Address": after["Address"], "Port": after["Port"]}
    assert len((await served.get("/v1/agent/checks")).json) == 1  # a check that is not named stays


CHECK_KINDS: dict[str, Any] = {
    "ttl": {"TTL": "10s", "Status": "passing"},
    "http": {"HTTP": "http://127.0.0.1:9/", "Interval": "1h", "Header": {"Authorization": ["secret"]}},
    "tcp": {"TCP": "127.0.0.1:9", "Interval": "1h"},
}  # fmt: skip


@pytest.mark.parametrize("kind", CHECK_KINDS)
@pytest.mark.parametrize("service", ["w1", ""])
async def test_a_check_is_put_back_as_it_was_answered(served: Served, kind: str, service: str) -> None:
    await register(served, **FULL)
    given = {"ID": "c1", "Name": "the check", "Notes": "n", "ServiceID": service, **CHECK_KINDS[kind]}
    assert (await served.put("/v1/agent/check/register", given)).status == 200
    before = (await served.get("/v1/agent/checks")).json["c1"]
    asks = served.services.report(service)
    reply = await served.put("/v1/agent/check/register", before)
    assert (reply.status, served.notes) == (200, []), reply.body
    assert strip((await served.get("/v1/agent/checks")).json["c1"]) == strip(before)
    changed = {**before, "Notes": "other, and with a comma", "Name": "renamed"}
    assert (await served.put("/v1/agent/check/register", changed)).status == 200
    after = (await served.get("/v1/agent/checks")).json["c1"]
    assert (after["Notes"], after["Name"]) == ("other, and with a comma", "renamed")
    if kind == "ttl":
        assert after["Status"] == before["Status"]
    assert served.services.report(service)[0]["check"].startswith(asks[0]["check"].partition(",check_")[0])


def strip(check: dict[str, Any]) -> dict[str, Any]:
    """Without what may change by itself: such a check runs meanwhile, unless it is a TTL."""
    itself = ("Output", "ModifyIndex") if check["Type"] == "ttl" else ("Output", "ModifyIndex", "Status")
    return {key: value for key, value in check.items() if key not in itself}


async def test_a_status_that_is_put_back_changed_is_a_heartbeat(served: Served) -> None:
    await register(served, **FULL, Check={"ID": "c1", "TTL": "10s", "Status": "passing"})
    check = (await served.get("/v1/agent/checks")).json["c1"]
    failing = {**check, "Status": "critical", "Output": "disk full"}
    assert (await served.put("/v1/agent/check/register", failing)).status == 200
    after = (await served.get("/v1/agent/checks")).json["c1"]
    assert (after["Status"], after["Output"]) == ("critical", "disk full")


async def test_putting_back_a_maintenance_check_changes_nothing(served: Served) -> None:
    await register(served, **FULL)
    await served.put("/v1/agent/service/maintenance/w1?enable=true&reason=why")
    await served.put("/v1/agent/maintenance?enable=true&reason=all")
    for check in (await served.get("/v1/agent/checks")).json.values():
        assert (await served.put("/v1/agent/check/register", check)).status == 200
    assert (served.services.maintenance("w1"), served.services.maintenance(None)) == ("why", "all")


# -- indexes -----------------------------------------------------------------------------------------------------------


def of(objects: Any) -> list[tuple[int, int]]:
    """Every (CreateIndex, ModifyIndex) in an answer."""
    if isinstance(objects, list):
        return [found for one in objects for found in of(one)]
    if isinstance(objects, dict):
        own = [(objects["CreateIndex"], objects["ModifyIndex"])] if "ModifyIndex" in objects else []
        return own + [found for one in objects.values() for found in of(one)]
    return []


INDEXED = {
    "health/service/web": 4, "health/checks/web": 1, "health/state/any": 2, "health/node/one": 2,
    "catalog/service/web": 1, "catalog/nodes": 1, "catalog/node/one": 2, "catalog/node-services/one": 2,
}  # fmt: skip


@pytest.mark.parametrize(("path", "number"), INDEXED.items())
async def test_nodes_services_and_checks_have_indexes(served: Served, path: str, number: int) -> None:
    await register(served, Check={"TTL": "10s"})
    reply = await served.get(f"/v1/{path}")
    found = of(reply.json)
    assert len(found) == number
    assert all(0 < created <= modified <= reply.index <= MAX_INDEX for created, modified in found)


async def test_only_the_index_of_the_changed_object_rises(served: Served) -> None:
    await register(served, Check={"TTL": "10s", "Status": "passing"})
    await register(served, Name="other")

    async def indexes() -> dict[str, int]:
        services = (await served.get("/v1/catalog/node/one")).json
        (check,) = (await served.get("/v1/health/checks/web")).json
        return {
            "node": services["Node"]["ModifyIndex"], "web": services["Services"]["web"]["ModifyIndex"],
            "other": services["Services"]["other"]["ModifyIndex"], "check": check["ModifyIndex"],
        }  # fmt: skip

    first = await indexes()
    await register(served, Check={"TTL": "10s"})  # the same again
    assert await indexes() == first
    await register(served, Tags=["v2"])
    second = await indexes()
    assert (second["node"], second["other"]) == (first["node"], first["other"])
    assert second["web"] > first["web"]
    assert second["check"] > first["check"]
    await served.put("/v1/agent/check/fail/service:web")
    third = await indexes()
    assert third["check"] > second["check"]
    await served.put("/v1/agent/maintenance?enable=true")
    (node,) = (await served.get("/v1/catalog/nodes")).json
    assert node["ModifyIndex"] > third["node"]
    (entry,) = (await served.get("/v1/health/service/web")).json
    assert entry["Checks"][1]["ModifyIndex"] > third["check"]


def test_an_index_fits_javascript_and_rises_over_a_restart() -> None:
    wall_ms = 1_800_000_000_000
    before, after = Version(wall_ms << 16 | 0xFFFF, 50_000), Version(wall_ms + 60_000 << 16, 1)
    assert created_index(before) <= index_of(before) < index_of(after) < MAX_INDEX
    assert index_of(Version((1 << 63) - 1, (1 << 63) - 1)) == MAX_INDEX


def test_the_index_of_serfhealth_rises_with_each_change_of_state() -> None:
    clock = iter([5_000, 4_000])
    liveness = LivenessIndex(lambda: next(clock))
    one, version = NodeId(bytes(16)), Version(1 << 16, 7)
    assert liveness.index(one, "passing", version) == index_of(version) == 1007
    assert liveness.index(one, "passing", version) == 1007
    assert liveness.index(one, "critical", version) == 5_000
    assert liveness.index(one, "passing", version) == 5_001  # also where the clock went back


# -- the output of checks ----------------------------------------------------------------------------------------------


async def test_health_shows_the_output_of_checks_that_run_here(served: Served) -> None:
    await register(served, Checks=[{"ID": "a", "Name": "A", "Notes": "n", "TTL": "10s"}, {"ID": "b", "TTL": "10s"}])
    await served.put("/v1/agent/check/pass/a?note=fine")
    await served.put("/v1/agent/check/warn/b?note=slow")
    (entry,) = (await served.get("/v1/health/service/web")).json
    assert [(one["CheckID"], one["Status"], one["Output"], one["Type"]) for one in entry["Checks"]] == [
        ("serfHealth", "passing", "Agent alive and reachable", ""), ("a", "passing", "fine", "ttl"),
        ("b", "warning", "slow", "ttl"),
    ]  # fmt: skip
    for path in ("health/checks/web", "health/node/one", "health/state/any"):
        shown = {one["CheckID"]: one for one in (await served.get(f"/v1/{path}")).json}
        assert (shown["b"]["Output"], shown["a"]["Notes"]) == ("slow", "n")


async def test_an_output_that_changes_alone_answers_no_wait(served: Served) -> None:
    await register(served, Check={"TTL": "10s", "Status": "passing"})
    client = await served.client()
    await client.put("/v1/agent/check/pass/service:web?note=1")
    first = await client.get("/v1/health/service/web")
    await client.put("/v1/agent/check/pass/service:web?note=2")
    again = await client.get(f"/v1/health/service/web?index={first.index}&wait=1100ms")
    assert (again.index, again.json) == (first.index, first.json)
    assert served.services.report("web")[0]["output"] == "2"
    await client.put("/v1/agent/check/fail/service:web?note=3")
    failed = await client.get(f"/v1/health/service/web?index={first.index}&wait=10s")
    assert failed.json[0]["Checks"][1]["Output"] == "3"


async def test_an_output_is_shown_anew_after_five_minutes(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    own = served.http.api.parts.catalog._own_checks
    monkeypatch.setattr(own, "_now", lambda: now)
    await register(served, Check={"TTL": "1h", "Status": "passing"})

    async def output(note: str) -> str:
        await served.put(f"/v1/agent/check/pass/service:web?note={note}")
        return str((await served.get("/v1/health/checks/web?pretty")).json[0]["Output"])

    assert await output("1") == "1"
    now += OUTPUT_S - 1
    served.http.api.answers.changed([("name", "web")])
    assert await output("2") == "1"
    now += 1
    served.http.api.answers.changed([("name", "web")])
    assert await output("3") == "3"


async def test_shown_checks_never_contradict_the_health_that_all_know(served: Served) -> None:
    await register(served, Check={"TTL": "10s", "Status": "passing"})
    for change in ("check/fail/service:web", "service/maintenance/web?enable=true", "maintenance?enable=true",
                   "service/maintenance/web?enable=false", "check/pass/service:web", "maintenance?enable=false",
                   ):  # fmt: skip
        assert (await served.put(f"/v1/agent/{change}")).status == 200
        (instance,) = served.node.catalog.lookup("web", all=True)
        (entry,) = (await served.get("/v1/health/service/web?pretty")).json
        worst = max(entry["Checks"], key=lambda check: ("passing", "warning", "critical").index(check["Status"]))
        assert (worst["Status"] == "passing") == (instance.health is Health.PASSING), change


# -- rights ------------------------------------------------------------------------------------------------------------


async def test_a_user_cannot_change_another_users_service_over_unix(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gossipreg.gateway.http import ports

    def become(uid: int) -> None:
        monkeypatch.setattr(ports, "caller_at", lambda _sock, door: Caller(uid, 5, door=door))

    become(1000)
    app = await served.local_client()
    assert (await app.put("/v1/agent/service/register", {**WEB, "Check": {"TTL": "10s"}})).status == 200
    become(1001)
    other = await served.local_client()
    for path, body in (
        ("service/register", WEB), ("service/deregister/web", None), ("check/pass/service:web", None),
        ("service/maintenance/web?enable=true", None),
        ("check/register", {"Name": "x", "ServiceID": "web", "TTL": "1s"}),
        ("check/deregister/service:web", None), ("check/update/service:web", {"Status": "passing"}),
        ("leave", None), ("maintenance?enable=true", None), ("join/10.0.0.9", None), ("force-leave/two", None),
        ("check/register", {"Name": "x", "TTL": "1s"}),
    ):  # fmt: skip
        reply = await other.put(f"/v1/agent/{path}", body)
        assert (reply.status, "not allowed for user 1001" in reply.error) == (403, True), (path, reply.body)
    assert (await app.put("/v1/agent/service/deregister/web")).status == 200
    assert served.left == []


async def test_a_service_registered_over_tcp_is_changed_over_tcp(served: Served) -> None:
    await register(served)
    assert served.services._entries["web"].owner == -1
    assert (await served.put("/v1/agent/service/deregister/web")).status == 200
    assert "via=tcp uid=null pid=null" in served.log.getvalue()


# -- hosts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["consul", "consul:8500", "web-1", "consul.service.consul", "one.node.consul:8500", "CONSUL."]
)
async def test_a_local_name_is_taken_for_reads_below_v1_alone(served: Served, host: str) -> None:
    client = await served.client()
    assert (await client.get("/v1/catalog/nodes", Host=host)).status == 200
    for method, path in (
        ("PUT", "/v1/agent/leave"), ("GET", "/events"), ("GET", "/metrics"), ("GET", "/sd/prometheus"),
        ("GET", "/eureka/apps"), ("POST", "/v1/agent/services"), ("GET", "/"),
    ):  # fmt: skip
        reply = await (await served.client()).request(method, path, Host=host)
        assert (reply.status, "is no name of this gateway" in reply.error) == (403, True), (method, path)
    assert served.left == []


@pytest.mark.parametrize(
    "host", ["evil.example", "consul.evil.example", "evilconsul.example", "consul.com", ".consul", "a..consul", "a b"]
)
async def test_a_name_that_a_page_could_have_is_refused_for_reads_too(served: Served, host: str) -> None:
    reply = await (await served.client()).get("/v1/catalog/nodes", Host=host)
    assert (reply.status, "is no name of this gateway" in reply.error) == (403, True)


# -- errors ------------------------------------------------------------------------------------------------------------

LONG = "x" * 200


@pytest.mark.parametrize(
    ("method", "path", "body", "needle"),
    [
        ("PUT", "agent/service/register", {**WEB, "Port": LONG}, "give a whole number from"),
        ("PUT", "agent/service/register", {"Port": 80}, "Missing service name"),
        ("PUT", "agent/service/register", {**WEB, "Address": f"http://{LONG}"}, "give a host"),
        ("PUT", "agent/service/register", {**WEB, "Tags": ["t" * 1025]}, "a tag has 1025 bytes, at most 1024: 'ttt"),
        ("PUT", "agent/service/register", {**WEB, "Kind": "connect-proxy"}, "there is no service mesh here"),
        ("PUT", "agent/service/register", {**WEB, "Check": {"TTL": LONG}}, "give a duration"),
        ("PUT", "agent/service/register", {**WEB, "Check": {"HTTP": LONG}}, "give an http:// or https:// URL"),
        ("PUT", "agent/service/register", {**WEB, "Check": {"Args": [LONG]}}, "needs --allow-cmd-checks"),
        ("PUT", "agent/service/register", {**WEB, "Check": {"TTL": "1s", "Status": LONG}}, "give passing, warning or"),
        ("PUT", "agent/check/register", {"Name": "x"}, "a check is one of TTL, HTTP, TCP, GRPC, Args, AliasService"),
        ("PUT", f"agent/check/pass/{LONG}", None, "give the id of a check"),
        ("PUT", f"agent/service/deregister/{LONG[:90]}", None, "is registered here"),
        ("PUT", "agent/service/maintenance/web", None, "Missing value for enable: give true or false"),
        ("PUT", "kv/a", None, "there is no key-value store here: keep values in a database"),
        ("PUT", "session/create", None, "no locks here: use a database"),
        ("PUT", "acl/bootstrap", None, "--http-token-file says which tokens may write"),
        ("PUT", "catalog/register", {}, "ask /v1/agent/service/register"),
        ("PUT", "catalog/deregister", {}, "ask its /v1/agent/service/deregister"),
        ("PUT", "query", {}, "ask /v1/health/service/NAME"),
        ("GET", f"catalog/nodes?dc={LONG}", None, "give 'default'"),
        ("GET", f"health/service/web?index={LONG}", None, "give a number"),
        ("GET", f"health/service/web?near={LONG}", None, "give _agent"),
        ("GET", f"health/state/{LONG}", None, "give any, passing, warning"),
        ("GET", f"agent/service/{LONG}", None, "unknown service ID"),
        ("GET", f"health/service/web?filter={LONG}+%3D%3D", None, "cannot be used"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
async def test_the_first_80_characters_of_an_error_say_what_to_do(
    served: Served, method: str, path: str, body: Any, needle: str
) -> None:
    reply = await (await served.client()).request(method, f"/v1/{path}", body)
    assert reply.status >= 400
    assert needle in reply.error[:80], reply.error


async def test_reload_reads_again_and_says_what_failed(served: Served) -> None:
    assert (await served.put("/v1/agent/reload")).status == 200
    served.reload_fault = "key file k: not base64"
    reply = await served.put("/v1/agent/reload")
    assert (reply.status, reply.error) == (500, "reload failed: key file k: not base64")
    assert [by.door for by in served.reloaded] == ["tcp", "tcp"]
