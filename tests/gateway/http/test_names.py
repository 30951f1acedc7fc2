"""One node per name for Consul's clients, and a dead member that an operator declares left."""

from math import inf

import pytest

from gossipreg.core.effects import Effect
from gossipreg.model import Address, Liveness, Rank
from gossipreg.net.http_message import json_bytes
from gossipreg.wire.messages import Claim
from tests.core.speaker import Speaker, row_content
from tests.gateway.http.conftest import Served

LISTS = ("members", "nodes", "state")


@pytest.fixture(autouse=True)
def probes_nobody(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those whom it has heard of would not answer."""
    monkeypatch.setattr(served.node, "next_deadline", lambda: inf)


def heard_of(served: Served, seed: int, name: str, host: str) -> Speaker:
    """A member of this name and address; its table equals ours."""
    speaker = Speaker(seed, keyring=None, address=Address(host, 7940), generation=served.node.version.generation + seed)
    speaker.content = row_content(
        speaker.boot_id, speaker.address, generation=speaker.generation, services=1, name=name
    )
    carry_out(served, speaker.handshake(served.node, served.pump.now()))
    return speaker


def carry_out(served: Served, effects: list[Effect]) -> None:
    served.pump.order(lambda _now: effects)


def declared_dead(served: Served, speaker: Speaker, by: Speaker) -> None:
    claim = Claim(speaker.id, *Liveness(speaker.generation, 0, Rank.DEAD), by=by.id)
    carry_out(served, by.send_to(served.node, served.pump.now(), claim))


async def names_at(served: Served) -> dict[str, list[str]]:
    """The names that each list has, in order."""
    client = await served.client()
    return {
        "members": sorted(one["Name"] for one in (await client.get("/v1/agent/members")).json),
        "nodes": sorted(one["Node"] for one in (await client.get("/v1/catalog/nodes")).json),
        "state": sorted(
            one["Node"] for one in (await client.get("/v1/health/state/any")).json if one["CheckID"] == "serfHealth"
        ),
    }


async def test_another_sidecar_under_a_dead_ones_name_is_its_one_entry(served: Served) -> None:
    """consul_exporter uses names as keys, and answers 500 while two nodes have the same name."""
    first, old = heard_of(served, 1, "first", "10.3.0.1"), heard_of(served, 2, "web", "10.3.0.2")
    declared_dead(served, old, first)
    for wanted in ("critical", "passing"):
        assert await names_at(served) == {key: ["first", "one", "web"] for key in LISTS}
        checks = (await served.get("/v1/health/node/WEB")).json
        assert [one["Status"] for one in checks if one["CheckID"] == "serfHealth"] == [wanted]
        if wanted == "critical":
            heard_of(served, 3, "web", "10.3.0.3")


async def test_two_living_members_of_one_name_can_both_be_asked_for(served: Served) -> None:
    small, large = sorted((heard_of(served, seed, "web", f"10.3.0.{seed}") for seed in (2, 3)), key=lambda one: one.id)
    longer = f"web.{large.id.hex()[:8]}"
    assert await names_at(served) == {key: sorted(["one", "web", longer]) for key in LISTS}
    client = await served.client()
    for name, speaker in (("web", small), (longer, large), (longer.upper(), large)):
        node = (await client.get(f"/v1/catalog/node/{name}")).json["Node"]
        assert node["Address"] == speaker.address.host
    entries = (await client.get("/v1/health/service/service-0")).json
    assert {one["Node"]["Node"]: one["Node"]["Address"] for one in entries} == {
        "web": small.address.host,
        longer: large.address.host,
    }


async def test_force_leave_takes_a_dead_member_out_of_the_nodes(served: Served) -> None:
    first, old = heard_of(served, 1, "first", "10.3.0.1"), heard_of(served, 2, "web", "10.3.0.2")
    own = await served.put("/v1/agent/force-leave/one")
    assert (own.status, "is this sidecar itself" in own.body.decode()) == (400, True)
    declared_dead(served, old, first)
    assert (await served.put("/v1/agent/force-leave/WEB?prune")).status == 200
    assert (await names_at(served))["nodes"] == ["first", "one"]
    members = {one["Name"]: one["Status"] for one in (await served.get("/v1/agent/members")).json}
    assert members == {"first": 1, "one": 1, "web": 3}
    assert (await served.put("/v1/agent/force-leave/nobody")).status == 404
    assert "force-leave" in json_bytes(served.services.audit.shapes()).decode()
