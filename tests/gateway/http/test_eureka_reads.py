"""Eureka's reads on a real node: what its clients demand of the answers."""

import pytest

from gossipreg.core.knowledge import Knowledge
from gossipreg.gateway.http.eureka.recent import KEPT_S
from tests.gateway.http.conftest import Served
from tests.gateway.http.eureka import from_xml, listed, only, register, send


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
    monkeypatch.setattr(type(served.node), "knowledge", Knowledge.NOT_SYNCED)
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
