"""Definitions, names and errors of Consul's clients: taken as Consul takes them."""

from typing import Any

import pytest
import trio

from tests.gateway.http.conftest import Served
from tests.gateway.http.consul import WEB, register


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
    assert (reply.status, reply.error[:17]) == (400, "the tag 'traefikx")
    assert reply.error.endswith(" has 1025 bytes: give at most 1024")
    reply = await served.put("/v1/agent/service/register", {**WEB, "Tags": [f"t{n}" for n in range(257)]})
    assert (reply.status, reply.error) == (400, "257 tags: give at most 256, without 't256' and those after it")


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
        assert (reply.status, "is not a name of this gateway" in reply.error) == (403, True), (method, path)
    assert served.left == []


@pytest.mark.parametrize(
    "host", ["evil.example", "consul.evil.example", "evilconsul.example", "consul.com", ".consul", "a..consul", "a b"]
)
async def test_a_name_that_a_page_could_have_is_refused_for_reads_too(served: Served, host: str) -> None:
    reply = await (await served.client()).get("/v1/catalog/nodes", Host=host)
    assert (reply.status, "is not a name of this gateway" in reply.error) == (403, True)


LONG = "x" * 200


@pytest.mark.parametrize(
    ("method", "path", "body", "needle"),
    [
        ("PUT", "agent/service/register", {**WEB, "Port": LONG}, "give a whole number from"),
        ("PUT", "agent/service/register", {"Port": 80}, "Missing service name"),
        ("PUT", "agent/service/register", {**WEB, "Address": f"http://{LONG}"}, "give a host"),
        ("PUT", "agent/service/register", {**WEB, "Tags": ["t" * 1025]}, "the tag 'ttt"),
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
        ("PUT", "catalog/register", {}, "use /v1/agent/service/register"),
        ("PUT", "catalog/deregister", {}, "use /v1/agent/service/deregister"),
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
