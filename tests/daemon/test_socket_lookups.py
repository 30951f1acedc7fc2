"""Lookups by the local socket: which instances they find, in which order, and how an empty answer is explained."""

from collections import Counter

from tests.daemon.conftest import Sidecar


async def test_what_is_registered_is_looked_up(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    given = await client.call(
        "register", name="web", port=8080, tags=["v2", "blue", "v2"], meta={"b": "2", "a": "1"}, weight=7
    )
    assert given["id"] == "web-8080"
    assert given["version"][0] == str(1 << 16)
    [instance] = await client.call("lookup", name="web")
    assert instance == {
        "service": "web", "id": "web-8080", "node": "01" * 16, "node_name": "tested", "address": "10.0.0.1",
        "port": 8080, "tags": ["v2", "blue"], "meta": {"a": "1", "b": "2"}, "weight": 7, "health": "passing",
        "stale": False, "zone": "", "version": given["version"],
    }  # fmt: skip
    assert await client.call("deregister", id="web-8080") == {"durable": True}
    assert await client.call("lookup", name="web") == []


async def test_a_lookup_follows_each_change_at_once(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    for weight in range(5):
        await client.call("register", name="web", port=80, weight=weight)
        for _ in range(2):
            [instance] = await client.call("lookup", name="web")
            assert instance["weight"] == weight


async def test_lookups_with_other_flags_do_not_get_each_others_answers(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    await client.call("register", name="web", port=80, tags=["blue"])
    await client.call("register", name="web", port=81, tags=["green"])
    for _ in range(2):
        assert [i["port"] for i in await client.call("lookup", name="web")] == [80, 81]
        assert [i["port"] for i in await client.call("lookup", name="web", tags=["green"])] == [81]
        assert await client.call("lookup", name="web", zone="elsewhere") == []
        assert [i["port"] for i in await client.call("lookup", name="web", all=True, near=True)] == [80, 81]


async def test_a_lookup_of_one_or_some_chooses_by_weight(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    for port, weight in ((80, 3), (81, 1), (82, 0)):
        await client.call("register", name="web", port=port, weight=weight)
    ones = Counter([(await client.call("lookup", name="web", one=True))[0]["port"] for _ in range(2000)])
    assert set(ones) == {80, 81}
    assert abs(ones[80] / 2000 - 3 / 4) < 0.06
    orders = [[i["port"] for i in await client.call("lookup", name="web", limit=2)] for _ in range(100)]
    assert {tuple(sorted(order)) for order in orders} == {(80, 81)}
    assert {tuple(order) for order in orders} == {(80, 81), (81, 80)}
    assert len(await client.call("lookup", name="web", limit=9)) == 3
    assert [i["port"] for i in await client.call("lookup", name="web")] == [80, 81, 82]  # all, in the order of ids
    assert [i["port"] for i in await client.call("lookup", name="web", near=True, one=True)] == [80]
    assert await client.call("lookup", name="other", one=True) == []


async def test_one_of_a_service_follows_its_changes(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    for port in range(80, 85):
        await client.call("register", name="web", port=port)
        if port > 80:
            await client.call("deregister", id=f"web-{port - 1}")
        assert [i["port"] for i in await client.call("lookup", name="web", one=True)] == [port]


async def test_names_are_compared_in_lower_case_by_every_method(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    await client.call("register", name="Web", port=80)
    watch = (await client.call("watch", name="WEB"))["watch"]
    assert [i["id"] for i in (await client.change())[1]["instances"]] == ["Web-80"]
    for name in ("web", "WEB", "Web"):
        assert [i["service"] for i in await client.call("lookup", name=name)] == ["Web"]
        assert (await client.call("explain", name=name))["name"] == "Web"
    await (await sidecar.client()).call("register", name="web", port=81)
    _, change = await client.change()
    assert (change["kind"], change["instance"]["service"]) == ("added", "web")
    assert [(s["name"], s["instances"]) for s in await client.call("services")] == [("Web", 2)]
    assert await client.call("services", after="WEB") == []
    assert (await client.call("info"))["services"] == 1
    await client.call("unwatch", watch=watch)


async def test_explain_says_what_a_lookup_leaves_out_and_why(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    nothing = {"passing": 0, "warning": 0, "critical": 0, "maintenance": 0}
    assert await client.call("explain", name="web") == {
        "name": None, "instances": 0, "health": nothing, "matching": nothing, "not_in_zone": 0, "without_tags": 0,
        "zones": [], "tags": [], "dead": 0, "synced": True,
    }  # fmt: skip
    await client.call("register", name="web", port=80, tags=["blue"])
    await client.call("register", name="web", port=81, checks=["ttl:1h"])
    assert await client.call("explain", name="web", tags=["green"], zone="east") == {
        "name": "web", "instances": 2, "health": {**nothing, "passing": 1, "critical": 1}, "matching": nothing,
        "not_in_zone": 2, "without_tags": 2, "zones": [""], "tags": ["blue"], "dead": 0, "synced": True,
    }  # fmt: skip
    assert (await client.call("explain", name="web", tags=["blue"]))["matching"] == {**nothing, "passing": 1}


async def test_registered_lists_own_services_with_their_checks(sidecar: Sidecar) -> None:
    client = await sidecar.client()
    assert await client.call("registered") == []
    await client.call("register", name="web", port=80)
    await client.call("register", name="job", port=81, checks=["ttl:1h"])
    job, web = await client.call("registered")
    assert (job["id"], job["health"], web["id"], web["health"]) == ("job-81", "critical", "web-80", "passing")
    assert job["checks"][0]["check"] == "ttl:1h"
