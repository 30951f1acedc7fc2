"""Eureka's registrations and leases on a real node."""

import json
from typing import Any

import pytest
import trio

from gossipreg.model import Health
from tests.gateway.http.conftest import Served
from tests.gateway.http.eureka import JS, XML, listed, only, register, send, written


async def test_a_registration_is_answered_204_and_is_a_service(served: Served) -> None:
    reply = await register(served)
    assert (reply.status, reply.body) == (204, b"")
    found = only(served)
    assert (found.service.id, found.service.address, found.service.port) == ("w1", "10.0.0.9", 8081)
    assert found.health is Health.PASSING
    meta = dict(found.service.meta)
    assert (meta["version"], meta["weight"], meta["canary"]) == ("2", "3", "true")
    assert meta["eureka-vip"] == "web.vip"
    assert not any(key.startswith("@") for key in meta)
    (check,) = served.services.report("w1")
    assert check["check"] == "ttl:90s,deregister_after=90s,check_name=Eureka lease"


async def test_an_xml_registration_is_the_same_as_a_json_one(served: Served) -> None:
    reply = await send(served, "POST", "/apps/WEB", XML.encode(), Content_Type="application/xml")
    assert reply.status == 204
    service = only(served).service
    assert (service.id, service.address, service.port) == ("x1", "10.0.0.10", 8082)
    assert dict(service.meta) == {
        "eureka-host": "host-2", "eureka-secure-port": "8443", "eureka-lease": "5/15", "zone": "a", "note": "1 < 2",
    }  # fmt: skip
    (check,) = served.services.report("x1")
    assert check["check"] == "ttl:15s,deregister_after=60s,check_name=Eureka lease"
    assert (await send(served, "POST", "/apps/WEB", XML.encode())).status == 204, "no Content-Type: it begins with <"


async def test_without_an_instance_id_the_host_name_is_the_id(served: Served) -> None:
    await register(served, instanceId=None)
    assert only(served).service.id == "host-1"
    assert (await send(served, "PUT", "/apps/WEB/host-1")).status == 200


async def test_two_apps_may_give_their_instances_one_id(served: Served) -> None:
    await register(served, "WEB", instanceId=None)
    await register(served, "API", instanceId=None, port={"$": 9000, "@enabled": "true"})
    assert (only(served, "web").service.port, only(served, "api").service.port) == (8081, 9000)
    assert {one["app"]: one["instanceId"] for one in await listed(served)} == {"API": "host-1", "WEB": "host-1"}
    assert (await send(served, "PUT", "/apps/API/host-1?status=DOWN")).status == 200
    assert [one["app"] for one in await listed(served)] == ["WEB"]
    assert (await send(served, "DELETE", "/apps/API/host-1")).status == 200
    assert served.instances("api") == ()
    assert only(served, "web").health is Health.PASSING


async def test_only_a_secure_port_is_the_port_of_the_service(served: Served) -> None:
    await register(served, port={"$": 80, "@enabled": "false"}, securePort={"$": "8443", "@enabled": True})
    assert only(served).service.port == 8443
    (one,) = await listed(served)
    assert one["port"]["@enabled"] == "false"
    assert one["securePort"] == {"$": 8443, "@enabled": "true"}


async def test_an_instance_without_a_port_has_no_enabled_port(served: Served) -> None:
    assert (await register(served, port=None)).status == 204
    assert only(served).service.port == 0
    (one,) = await listed(served)
    assert one["port"] == {"$": 0, "@enabled": "false"}


async def test_every_field_of_a_registration_comes_back(served: Served) -> None:
    amazon = {"@class": "com.netflix.appinfo.AmazonInfo", "name": "Amazon",
              "metadata": {"instance-id": "i-1", "availability-zone": "us-east-1c"}}  # fmt: skip
    fields: dict[str, Any] = {
        "homePageUrl": "http://h/", "healthCheckUrl": "http://h/health", "secureVipAddress": "web.s", "countryId": 49,
        "appGroupName": "G", "asgName": "A", "secureHealthCheckUrl": "https://h/health",
        "leaseInfo": {"renewalIntervalInSecs": 10, "durationInSecs": 30}, "dataCenterInfo": amazon,
    }  # fmt: skip
    assert (await register(served, **fields)).status == 204
    (one,) = await listed(served)
    given = {**JS, **fields, "app": "WEB", "metadata": {"version": "2", "weight": "3", "canary": "true"}}
    assert {key: one[key] for key in given if key not in ("securePort",)} == given


async def test_a_repeated_registration_gossips_nothing(served: Served) -> None:
    await register(served)
    before = written(served)
    await register(served)
    await register(served)
    assert written(served) == before
    await register(served, port={"$": 8090, "@enabled": "true"})
    assert only(served).service.port == 8090


async def test_a_registration_as_down_takes_the_instance_out(served: Served) -> None:
    """py-eureka-client posts this before its DELETE."""
    await register(served)
    assert (await register(served, status="DOWN")).status == 204
    assert only(served).health is Health.CRITICAL
    await register(served, status="UP")
    assert only(served).health is Health.PASSING


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"port": {"$": "http"}}, "port"), ({"port": {"$": 70000, "@enabled": "true"}}, "port"),
        ({"status": "GOOD"}, "GOOD"), ({"metadata": [1]}, "metadata"), ({"metadata": {"a": {"b": 1}}}, "metadata"),
        ({"metadata": {"eureka-vip": "x"}}, "eureka-vip"), ({"leaseInfo": {"durationInSecs": 0}}, "durationInSecs"),
        ({"leaseInfo": {"durationInSecs": -1}}, "durationInSecs"), ({"leaseInfo": 5}, "leaseInfo"),
        ({"hostName": None, "ipAddr": None}, "hostName"), ({"app": "other"}, "other"),
        ({"countryId": "x"}, "countryId"),
        ({"instanceId": "a b"}, "id"), ({"hostName": "a b", "ipAddr": ""}, "address"),
    ],
)  # fmt: skip
async def test_an_unusable_registration_is_a_400_that_says_why(
    served: Served, changes: dict[str, Any], said: str
) -> None:
    instance = {key: value for key, value in {**JS, **changes}.items() if value is not None}
    reply = await send(served, "POST", "/apps/WEB", {"instance": instance})
    assert reply.status == 400, reply.body
    assert said in reply.body.decode()
    assert served.instances(None) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b'{"instance":1}', b"<instance>", b"<a/>", b"<instance/>", b'{"instance":',
        b'<!DOCTYPE a [<!ENTITY b "c">]><instance><hostName>&b;</hostName></instance>',
        b'<!DOCTYPE instance SYSTEM "http://127.0.0.1/x.dtd"><instance><hostName>h</hostName></instance>',
        b"<instance><hostName>&undefined;</hostName></instance>",
        b'<?xml version="1.0" encoding="x-none"?><instance/>',
        b"<instance>" + b"<a>" * 20 + b"</a>" * 20 + b"</instance>",
        b"<instance>" + b"<a/>" * 5000 + b"</instance>",
        b'{"instance":' + b'{"a":' * 20 + b"1" + b"}" * 21,
        json.dumps({"instance": {"a": list(range(5000))}}).encode(),
        b'{"instance":' * 50_000,
    ],
)  # fmt: skip
async def test_a_body_that_is_no_registration_is_refused(served: Served, body: bytes) -> None:
    reply = await send(served, "POST", "/apps/WEB", body)
    assert reply.status == 400
    assert not served.bugs


async def test_a_doctype_is_refused_by_name(served: Served) -> None:
    body = b'<!DOCTYPE a [<!ENTITY b "c">]>' + XML.partition("?>")[2].encode()
    reply = await send(served, "POST", "/apps/WEB", body, Content_Type="application/xml")
    assert reply.status == 400
    assert b"DOCTYPE" in reply.body


async def test_the_heartbeat_of_an_unknown_instance_is_404(served: Served) -> None:
    assert (await send(served, "PUT", "/apps/WEB/w1")).status == 404
    await register(served)
    assert (await send(served, "PUT", "/apps/WEB/w2")).status == 404
    assert (await send(served, "PUT", "/apps/API/w1")).status == 404
    assert (await send(served, "PUT", "/apps/WEB/w1")).status == 200
    assert (await send(served, "PUT", "/apps/web/w1?status=UP&lastDirtyTimestamp=17")).status == 200
    assert (await send(served, "PUT", "/apps/WEB/w1?status=WELL")).status == 400


async def test_an_id_may_be_percent_encoded_or_not(served: Served) -> None:
    """py-eureka-client encodes the colons of its ids, eureka-js-client does not."""
    await register(served, instanceId="127.0.0.1:web:8081")
    assert (await send(served, "PUT", "/apps/WEB/127.0.0.1%3Aweb%3A8081")).status == 200
    assert (await send(served, "PUT", "/apps/WEB/127.0.0.1:web:8081")).status == 200


async def test_a_heartbeat_is_gossiped_only_on_a_change_of_status(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(served)
    before, kept = written(served), []
    monkeypatch.setattr(served.store, "commit_later", lambda *given: kept.append(given))
    monkeypatch.setattr(served.store, "commit", lambda *given: kept.append(given))
    for _ in range(20):
        assert (await send(served, "PUT", "/apps/WEB/w1?status=UP")).status == 200
    assert (written(served), kept) == (before, [])
    await send(served, "PUT", "/apps/WEB/w1?status=DOWN")
    assert written(served) > before
    assert len(kept) == 1
    assert await listed(served) == []


async def test_a_heartbeat_of_an_ended_lease_asks_for_registering(served: Served) -> None:
    lease = {"renewalIntervalInSecs": 1, "durationInSecs": 1}
    await register(served, leaseInfo=lease)
    with trio.fail_after(30):
        while only(served).health is Health.PASSING:
            await trio.sleep(0.02)
    assert await listed(served) == []
    assert (await send(served, "PUT", "/apps/WEB/w1")).status == 404
    await register(served, leaseInfo={**lease, "durationInSecs": 90})
    assert [one["instanceId"] for one in await listed(served)] == ["w1"]
    assert (await send(served, "PUT", "/apps/WEB/w1")).status == 200


async def test_a_heartbeat_without_a_status_keeps_the_one_said_last(served: Served) -> None:
    await register(served, status="STARTING")
    assert (await send(served, "PUT", "/apps/WEB/w1")).status == 200
    assert only(served).health is Health.CRITICAL
    reply = await send(served, "GET", "/apps/WEB/w1", Accept="application/json")
    assert reply.json["instance"]["status"] == "STARTING"


async def test_deregistering_takes_the_instance_out(served: Served) -> None:
    await register(served)
    assert (await send(served, "DELETE", "/apps/WEB/w1")).status == 200
    assert served.instances(None) == ()
    assert (await send(served, "DELETE", "/apps/WEB/w1")).status == 404


async def test_a_status_that_is_set_is_maintenance_until_it_is_ended(served: Served) -> None:
    await register(served)
    assert (await send(served, "PUT", "/apps/WEB/w1/status?value=OUT_OF_SERVICE&lastDirtyTimestamp=1")).status == 200
    assert only(served).health is Health.MAINTENANCE
    assert served.services.maintenance("w1") == "status OUT_OF_SERVICE set through Eureka"
    assert (await send(served, "PUT", "/apps/WEB/w1?status=UP")).status == 200
    await register(served)
    assert only(served).health is Health.MAINTENANCE, "neither a heartbeat nor a registration ends it"
    reply = await send(served, "GET", "/apps/WEB/w1", Accept="application/json")
    assert reply.json["instance"]["overriddenStatus"] == "OUT_OF_SERVICE"
    assert await listed(served) == []
    assert (await send(served, "DELETE", "/apps/WEB/w1/status?value=UP")).status == 200
    assert only(served).health is Health.PASSING
    await send(served, "PUT", "/apps/WEB/w1/status?value=OUT_OF_SERVICE")
    assert (await send(served, "PUT", "/apps/WEB/w1/status?value=UP")).status == 200
    assert only(served).health is Health.PASSING
    assert (await send(served, "PUT", "/apps/WEB/w1/status")).status == 400
    assert (await send(served, "PUT", "/apps/WEB/none/status?value=UP")).status == 404


async def test_a_client_that_took_itself_out_is_let_in_by_up(served: Served) -> None:
    await register(served, status="OUT_OF_SERVICE")
    assert only(served).health is Health.CRITICAL
    assert (await send(served, "PUT", "/apps/WEB/w1/status?value=UP")).status == 200
    assert only(served).health is Health.PASSING


async def test_metadata_is_changed_and_all_else_stays(served: Served) -> None:
    await register(served)
    assert (await send(served, "PUT", "/apps/WEB/w1/metadata?version=3&new=x")).status == 200
    (one,) = await listed(served)
    assert one["metadata"] == {"version": "3", "weight": "3", "canary": "true", "new": "x"}
    assert one["vipAddress"] == "web.vip"
    assert (await send(served, "PUT", "/apps/WEB/w1")).status == 200
    assert (await send(served, "PUT", "/apps/WEB/w1/metadata")).status == 400
    assert (await send(served, "PUT", "/apps/WEB/w1/metadata?eureka-vip=x")).status == 400


async def test_a_body_that_has_a_name_twice_is_a_400(served: Served) -> None:
    body = b'{"instance": {"app": "WEB", "instanceId": "w1", "instanceId": "w2", "port": {"$": 80}}}'
    reply = await send(served, "POST", "/apps/WEB", body, Content_Type="application/json")
    assert (reply.status, b"'instanceId' twice in one object" in reply.body) == (400, True)
    assert not served.instances("web")
