"""What a page is shown as it changes: the overview, the members, the services."""

import re
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gossipreg.gateway.http.ui import open_pages
from tests.daemon.conftest import ME, Inside
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Served, Unsynced, running
from tests.gateway.http.ui.page_reader import open_page


async def test_a_stream_begins_with_hello_and_the_overview(served: Served) -> None:
    page = await open_page(served, "overview")
    kind, hello = await page.event()
    assert (kind, hello["name"], hello["cluster"], hello["version"]) == ("hello", "one", "default", "1.2.3")
    assert (hello["id"], hello["writes"], hello["data_dir"]) == (served.node.id.hex(), False, False)
    kind, overview = await page.event()
    assert kind == "overview"
    assert overview["members"] == {"alive": 1, "suspect": 0, "dead": 0, "left": 0}
    assert overview["services"] == {
        "names": 0, "instances": 0, "passing": 0, "warning": 0, "critical": 0, "maintenance": 0, "stale": 0,
        "dead": 0, "down": [], "down_count": 0,
    }  # fmt: skip
    assert (overview["synced"], overview["events"], overview["sagas"]) == (True, None, None)


async def test_the_overview_comes_again_when_its_figures_change(served: Served) -> None:
    page = await open_page(served, "overview")
    await page.next("overview")
    await served.register("web", 80)
    overview = await page.next("overview", lambda data: data["services"]["names"] == 1)
    assert overview["services"]["passing"] == 1


async def test_members_come_as_they_are_and_then_as_they_change(served: Served) -> None:
    page = await open_page(served, "members")
    current = await page.next("members")
    assert (current["kind"], current["last"]) == ("current", True)
    assert [one["name"] for one in current["items"]] == ["one"]
    assert current["items"][0]["me"] is True
    await served.services.maintain(None, "a new disk", by=ME)
    changed = await page.next("members", lambda data: data["items"][0]["maintenance"] is not None)
    assert (changed["kind"], changed["gone"]) == ("changed", [])
    assert changed["items"][0]["maintenance"] == "a new disk"


async def test_a_member_that_joins_is_shown(tmp_path: Path) -> None:
    network = MemoryNetwork()
    async with running(Served(tmp_path, network, "one")) as served:
        page = await open_page(served, "members")
        await page.next("members")
        other = Inside(network, "two", 2)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.pump.run)
            other.seek(*served.transport.local_addresses)
            await page.next("members", lambda data: any(one["name"] == "two" for one in data["items"]))
            nursery.cancel_scope.cancel()


async def test_services_come_go_and_are_counted_by_health(served: Served) -> None:
    await served.register("Web", 80)
    page = await open_page(served, "services")
    current = await page.next("services")
    [web] = current["items"]
    assert (web["key"], web["name"], web["instances"], web["passing"], web["tags"]) == ("web", "Web", 1, 1, [])
    await served.services.maintain("Web-80", "", by=ME)
    changed = await page.next("services", lambda data: data["kind"] == "changed")
    assert [(one["passing"], one["maintenance"]) for one in changed["items"]] == [(0, 1)]
    await served.services.deregister("Web-80", by=ME)
    assert (await page.next("services"))["gone"] == ["web"]


async def test_the_services_of_a_dead_member_stay_in_sight(tmp_path: Path) -> None:
    network = MemoryNetwork()
    async with running(Served(tmp_path, network, "one")) as served, trio.open_nursery() as nursery:
        other = Inside(network, "two", 2)
        nursery.start_soon(other.pump.run)
        other.seek(*served.transport.local_addresses)
        await other.register("db", 5432)
        services, db = await open_page(served, "services"), await open_page(served, "service", name="db")
        await services.next("services", lambda data: any(one["passing"] for one in data["items"]))
        nursery.cancel_scope.cancel()  # without a word
        shown = await services.next("services", lambda data: any(one["dead"] for one in data["items"]))
        [item] = [one for one in shown["items"] if one["key"] == "db"]
        assert (item["name"], item["instances"], item["passing"], item["dead"]) == ("db", 0, 0, 1)
        said = await db.next("service", lambda data: data["explain"]["dead"] == 1)
        [instance] = said["instances"]
        assert (said["name"], instance["health"]) == ("db", "critical")
        assert instance["out_because"].startswith("two is dead")
        overview = await services.next("overview", lambda data: data["members"]["dead"] == 1)
        assert (overview["services"]["names"], overview["services"]["dead"]) == (1, 1)
        assert overview["services"]["down"] == [{"name": "db", "instances": 0, "dead": 1}]
        tables = (await served.get("/ui/tables")).body.decode()
        assert "<td>db</td><td>0</td>" in tables
        assert "<li>lookups of db find no instance</li>" in tables
        assert re.search("<td>db</td><td>db-5432</td>.*<td>its member is dead</td><td>two is dead", tables)


async def test_a_service_that_lookups_do_not_find_is_told(served: Served) -> None:
    await served.services.register({"name": "web", "port": 80, "checks": ["ttl:1h"]}, by=ME, holder=None)
    await served.register("other", 81)
    page = await open_page(served, "overview")
    overview = await page.next("overview", lambda data: data["services"]["names"] == 2)
    down = [{"name": "web", "instances": 1, "dead": 0}]
    assert (overview["services"]["down"], overview["services"]["down_count"]) == (down, 1)
    await served.services.maintain("web-80", "a deploy", by=ME)
    await page.next("overview", lambda data: data["services"]["down_count"] == 0)  # taken out on purpose


async def test_a_long_list_comes_in_pieces(served: Served) -> None:
    for number in range(1, 301):
        await served.register(f"service-{number}", number)
    page = await open_page(served, "services")
    first, second = await page.next("services"), await page.next("services")
    assert (len(first["items"]), first["last"], len(second["items"]), second["last"]) == (250, False, 50, True)


async def test_no_services_are_shown_before_they_are_known(unsynced: Unsynced) -> None:
    page = await open_page(unsynced, "services")
    error = await page.next("error")
    assert error["code"] == "not_synced"
    assert "the names of all services" in error["message"]
    overview = await page.next("overview")
    assert (overview["services"], overview["knowledge"]) == (None, "not_synced")
    unsynced.begin()
    assert (await page.next("services"))["kind"] == "current"


@pytest.mark.parametrize("query", ["", "nonsense", "view=nonsense", "view=members&name=one", "view=members&view=x"])
async def test_a_view_that_there_is_not_is_refused(served: Served, query: str) -> None:
    reply = await served.get(f"/ui/stream?{query}")
    assert reply.status == 400
    assert ("view" in reply.error) is True


async def test_pages_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_pages, "PAGES_MAX", 2)
    pages = [await open_page(served, "overview") for _ in range(2)]
    for page in pages:
        await page.next("hello")
    reply = await served.get("/ui/stream?view=overview")
    assert (reply.status, "the limit" in reply.error) == (503, True)
    assert b"gossipreg_http_page_streams 2" in (await served.get("/metrics")).body


async def test_nothing_runs_for_pages_once_the_last_is_closed(served: Served) -> None:
    await served.get("/healthz")
    before = trio.lowlevel.current_statistics().tasks_living
    pages = [await open_page(served, view) for view in ("overview", "members", "services")]
    for page in pages:
        await page.next("overview")
    assert trio.lowlevel.current_statistics().tasks_living > before
    for page in pages:
        page.client.stream.socket.close()
    with trio.fail_after(30):
        while trio.lowlevel.current_statistics().tasks_living > before:
            await wait_all_tasks_blocked(0.01)
    assert served.http.api.parts.page_streams == 0


async def test_a_reader_that_leaves_while_the_page_is_loaded_leaves_nothing(served: Served) -> None:
    first = await open_page(served, "overview")
    first.client.stream.socket.close()
    other = await open_page(served, "overview")
    await other.next("overview")
    assert served.http.api.parts.page_streams == 1
