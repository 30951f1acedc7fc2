"""Definitions that were answered are accepted again, and change nothing that was not changed."""

from typing import Any

import pytest

from tests.gateway.http.conftest import Served
from tests.gateway.http.consul import register

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
