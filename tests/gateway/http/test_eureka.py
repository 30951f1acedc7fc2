"""Eureka's paths on a real node: what its clients send, and what they demand of the answers."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest
import trio

from gossipreg.core.knowledge import Knowledge
from gossipreg.gateway.http.eureka.recent import KEPT_S
from gossipreg.model import Health, Instance
from tests.gateway.http.conftest import Reply, Served

JS = {
    "app": "web", "instanceId": "w1", "hostName": "host-1", "ipAddr": "10.0.0.9",
    "port": {"$": 8081, "@enabled": "true"}, "vipAddress": "web.vip", "status": "UP",
    "dataCenterInfo": {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"},
    "metadata": {"@class": "java.util.Collections$EmptyMap", "version": "2", "weight": 3, "canary": True},
    "statusPageUrl": "http://host-1:8081/info",
}  # fmt: skip
XML = """<?xml version="1.0"?>
<instance><instanceId>x1</instanceId><hostName>host-2</hostName><app>WEB</app><ipAddr>10.0.0.10</ipAddr>
<status>UP</status><port enabled="true">8082</port><securePort enabled="true">8443</securePort>
<dataCenterInfo class="c"><name>MyOwn</name></dataCenterInfo>
<leaseInfo><renewalIntervalInSecs>5</renewalIntervalInSecs><durationInSecs>15</durationInSecs></leaseInfo>
<metadata><zone>a</zone><note>1 &lt; 2</note></metadata></instance>"""


async def send(served: Served, method: str, path: str, body: Any = None, **headers: str) -> Reply:
    return await (await served.client()).request(method, f"/eureka{path}", body, **headers)


async def register(served: Served, app: str = "WEB", **changes: Any) -> Reply:
    instance = {key: value for key, value in {**JS, "app": app, **changes}.items() if value is not None}
    return await send(served, "POST", f"/apps/{app}", {"instance": instance}, Content_Type="application/json")


async def listed(served: Served, path: str = "/apps") -> list[dict[str, Any]]:
    reply = await send(served, "GET", path, Accept="application/json")
    assert reply.status == 200, reply.body
    return [one for app in reply.json["applications"]["application"] for one in app["instance"]]


async def from_xml(served: Served, path: str = "/apps") -> ElementTree.Element:
    reply = await send(served, "GET", path)
    assert reply.headers["content-type"] == "application/xml"
    return ElementTree.fromstring(reply.body)


def only(served: Served, name: str = "web") -> Instance:
    (instance,) = served.instances(name)
    return instance


def written(served: Served) -> int:
    """Versions of our row so far: what was gossiped."""
    return served.node.replica.rows[served.node.id].version.counter


# -- registering -------------------------------------------------------------------------------------------------------


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


# -- leases ------------------------------------------------------------------------------------------------------------


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


# -- reads -------------------------------------------------------------------------------------------------------------


async def test_every_service_is_an_app_with_its_passing_instances(served: Served) -> None:
    await served.register("db", 5432)
    await served.put("/v1/agent/service/register", {"Name": "ill", "Port": 1, "Check": {"TTL": "10s"}})
    (one,) = await listed(served)
    assert (one["app"], one["instanceId"], one["vipAddress"], one["status"]) == ("DB", "db-5432", "db", "UP")
    assert one["port"] == {"$": 5432, "@enabled": "true"}
    assert one["ipAddr"] == one["hostName"] == only(served, "db").service.address


async def test_both_prefixes_answer_with_and_without_a_last_slash(served: Served) -> None:
    await register(served)
    for path in ("/eureka/apps", "/eureka/apps/", "/eureka/v2/apps", "/eureka/v2/apps/", "/eureka/v2/apps/WEB"):
        assert (await served.get(path)).status == 200, path
    assert (await served.put("/eureka/v2/apps/WEB/w1")).status == 200


async def test_the_hash_code_counts_the_instances_that_are_up(served: Served) -> None:
    assert (await from_xml(served)).findtext("apps__hashcode") == ""
    await register(served)
    await register(served, instanceId="w2")
    await register(served, instanceId="w3", status="DOWN")
    assert (await from_xml(served)).findtext("apps__hashcode") == "UP_2_"
    assert (await from_xml(served, "/apps/delta")).findtext("apps__hashcode") == "UP_2_"


async def test_xml_is_answered_unless_json_is_asked_for(served: Served) -> None:
    await register(served, metadata={"a<b": "<&>\x00", "1st": "x", "a:b": "y"})
    root = await from_xml(served)
    instance = root.find("application/instance")
    assert instance is not None
    assert root.findtext("application/name") == "WEB"
    port = instance.find("port")
    assert port is not None
    assert (port.text, port.attrib) == ("8081", {"enabled": "true"})
    assert instance.findtext("dataCenterInfo/name") == "MyOwn"
    assert instance.find("dataCenterInfo").attrib["class"].endswith("DefaultDataCenterInfo")  # type: ignore[union-attr]
    assert instance.findtext("overriddenstatus") == "UNKNOWN"
    assert instance.findtext("metadata/a_b") in ("<&>\ufffd", "y")
    assert instance.findtext("metadata/_1st") == "x"
    assert (await send(served, "GET", "/apps", Accept="text/html, application/xml")).body.startswith(b"<")
    assert (await send(served, "GET", "/apps", Accept="application/*+json")).json["applications"]


async def test_one_app_one_instance_and_vips_are_found(served: Served) -> None:
    await register(served, secureVipAddress="web.s,other")
    for path, root in (("/apps/web", "application"), ("/apps/WEB/w1", "instance"), ("/instances/w1", "instance"),
                       ("/vips/web.vip", "applications"), ("/svips/other", "applications")):  # fmt: skip
        reply = await send(served, "GET", path, Accept="application/json")
        assert (reply.status, list(reply.json)) == (200, [root]), path
        assert (await from_xml(served, path)).tag == root
    for path in ("/apps/none", "/apps/WEB/none", "/apps/none/w1", "/instances/none", "/vips/web", "/svips/web.vip"):
        assert (await send(served, "GET", path)).status == 404, path


async def test_an_answer_is_as_new_as_the_registry(served: Served) -> None:
    await register(served)
    assert len(await listed(served)) == len(await listed(served)) == 1
    await register(served, instanceId="w2")
    assert len(await listed(served)) == 2
    assert len(await listed(served, "/vips/web.vip")) == 2
    await send(served, "DELETE", "/apps/WEB/w1")
    assert [one["instanceId"] for one in await listed(served, "/vips/web.vip")] == ["w2"]


async def test_a_delta_names_what_came_changed_and_is_gone(served: Served) -> None:
    assert await listed(served) == []
    served.http.api.parts.eureka._recent._complete_at = 0  # it has followed for long
    await register(served)
    await register(served, instanceId="w2")
    assert {one["instanceId"]: one["actionType"] for one in await listed(served, "/apps/delta")} == {
        "w1": "ADDED", "w2": "ADDED",
    }  # fmt: skip
    await register(served, port={"$": 9, "@enabled": "true"})
    await send(served, "DELETE", "/apps/WEB/w2")
    assert {one["instanceId"]: one["actionType"] for one in await listed(served, "/apps/delta")} == {
        "w1": "MODIFIED", "w2": "DELETED",
    }  # fmt: skip


async def test_the_version_of_a_delta_grows_with_every_change(served: Served) -> None:
    """py-eureka-client takes a delta with the version and hash code of the last one for the same."""
    versions = []
    for port in (1, 2, 3):
        await register(served, port={"$": port, "@enabled": "true"})
        versions.append(int((await from_xml(served, "/apps/delta")).findtext("versions__delta") or ""))
    assert versions == sorted(set(versions))


async def test_a_sidecar_that_is_not_in_sync_answers_503(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    await register(served)
    monkeypatch.setattr(type(served.node), "synced", False)
    for path in ("/apps", "/apps/", "/apps/delta", "/apps/WEB", "/apps/none", "/vips/x", "/svips/x", "/instances/none"):
        assert (await send(served, "GET", path)).status == 503, path
    assert (await send(served, "GET", "/apps/WEB/w1")).status == 200, "its own it knows"
    assert (await send(served, "PUT", "/apps/WEB/w1")).status == 200


async def test_with_answers_of_the_last_run_an_empty_one_is_503(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(served.node), "knowledge", Knowledge.LAST_KNOWN)
    assert (await send(served, "GET", "/apps")).status == 503
    await register(served)
    assert len(await listed(served)) == 1
    for path in ("/apps/none", "/vips/none", "/svips/none", "/instances/none", "/apps/WEB/none"):
        assert (await send(served, "GET", path)).status == 503, path


async def test_replication_between_eureka_servers_is_refused(served: Served) -> None:
    assert (await send(served, "POST", "/peerreplication/batch", {})).status == 501


def test_changes_are_kept_as_long_as_eurekas_servers_keep_them() -> None:
    assert KEPT_S == 180
