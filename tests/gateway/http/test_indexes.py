"""CreateIndex and ModifyIndex rise when their object changes."""

from typing import Any

import pytest

from gossipreg.gateway.http.indexes import MAX_INDEX, LivenessIndex, created_index, index_of
from gossipreg.model import NodeId, Version
from tests.gateway.http.conftest import Served
from tests.gateway.http.consul import register


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
