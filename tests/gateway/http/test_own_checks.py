"""The checks of services that are registered here, one by one, with their output."""

import pytest

from gossipreg.gateway.http.own_checks import OUTPUT_S
from gossipreg.model import Health
from tests.gateway.http.conftest import Served
from tests.gateway.http.consul import register


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
