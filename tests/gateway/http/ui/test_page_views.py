"""The views about one thing, and those that are asked again and again."""

from pathlib import Path
from typing import Any

import pytest
import trio

from gossipreg.errors import NotFound, Unavailable
from gossipreg.gateway.http.ui.asked_views import together
from gossipreg.gateway.http.ui.watched import WatchedView, made
from gossipreg.model import Health
from tests.daemon.conftest import ME, Inside
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Served, Unsynced, running
from tests.gateway.http.ui.page_reader import open_page

TTL = {"Name": "web", "ID": "w", "Port": 80, "Check": {"TTL": "1h", "CheckID": "beat"}}
BEAT = "ttl:3600s,check_id=beat"


# -- a service ---------------------------------------------------------------------------------------------------------


async def test_a_service_says_who_is_out_and_why(served: Served) -> None:
    await served.put("/v1/agent/service/register", TTL)
    await served.register("web", 81)
    page = await open_page(served, "service", name="WEB")
    shown = await page.next("service")
    assert (shown["name"], shown["partial"], shown["explain"]["health"]["critical"]) == ("web", False, 1)
    waiting, passing = sorted(shown["instances"], key=lambda one: one["id"])
    assert (waiting["id"], waiting["out_because"]) == ("w", f"{BEAT} is critical: no heartbeat yet")
    assert (passing["id"], passing["out_because"]) == ("web-81", None)
    served.services.heartbeat("w", Health.CRITICAL, "the disk\nis full", "beat", by=ME)
    said = await page.next("service", lambda data: "disk" in str(data["instances"]))
    [out] = [one for one in said["instances"] if one["out_because"]]
    assert out["out_because"] == f"{BEAT} is critical: the disk is full"
    assert (out["checks"][0]["id"], out["checks"][0]["output"]) == ("beat", "the disk is full")
    await served.services.maintain("w", "new disk", by=ME)
    await page.next("service", lambda data: "in maintenance: new disk" in str(data["instances"]))


async def test_a_service_that_nobody_has_is_shown_as_such(served: Served) -> None:
    shown = await (await open_page(served, "service", name="nobody")).next("service")
    assert (shown["instances"], shown["explain"]["synced"], shown["explain"]["name"]) == ([], True, None)


async def test_a_service_is_not_shown_as_empty_before_it_is_known(unsynced: Unsynced) -> None:
    page = await open_page(unsynced, "service", name="web")
    error = await page.next("error")
    assert error["code"] == "not_synced"
    await unsynced.register("web", 80)
    shown = await page.next("service")
    assert ([one["id"] for one in shown["instances"]], shown["partial"]) == (["web-80"], True)


async def test_instances_elsewhere_say_where_their_checks_are_known(tmp_path: Path) -> None:
    network = MemoryNetwork()
    async with running(Served(tmp_path, network, "one")) as served, trio.open_nursery() as nursery:
        other = Inside(network, "two", 2)
        nursery.start_soon(other.pump.run)
        other.seek(*served.transport.local_addresses)
        await other.services.register(
            {"name": "web", "port": 80, "checks": ["ttl:1h"]}, by=ME, holder=None
        )  # fmt: skip
        page = await open_page(served, "service", name="web")
        shown = await page.next("service", lambda data: bool(data["instances"]))
        [one] = shown["instances"]
        assert (one["node_name"], one["checks"]) == ("two", None)
        assert one["out_because"] == "a check says critical; what it says is known at two only"
        nursery.cancel_scope.cancel()


# -- a member ----------------------------------------------------------------------------------------------------------


async def test_a_member_is_shown_at_once_and_asked_beside(served: Served) -> None:
    await served.register("web", 80)
    page = await open_page(served, "member", name=served.node.id.hex())
    shown = await page.next("member")
    assert (shown["member"]["name"], shown["member"]["me"]) == ("one", True)
    assert [one["id"] for one in shown["services"]] == ["web-80"]
    shown = await page.next("member", lambda data: data["not_answered"] is not None)
    assert "ask-member" in shown["not_answered"], "this sidecar of the tests cannot ask anybody"
    await served.services.maintain(None, "disk", by=ME)
    await page.next("member", lambda data: data["member"]["maintenance"] == "disk")


async def test_an_unknown_member_is_an_error_and_not_an_empty_page(served: Served) -> None:
    for name, code in (("00" * 16, "not_found"), ("xyz", "bad_params"), ("AB" * 16, "bad_params")):
        assert (await (await open_page(served, "member", name=name)).next("error"))["code"] == code


async def test_a_member_may_only_be_unknown_before_the_sync(unsynced: Unsynced) -> None:
    page = await open_page(unsynced, "member", name="00" * 16)
    assert (await page.next("error"))["code"] == "not_synced"


# -- the history -------------------------------------------------------------------------------------------------------


async def test_the_history_begins_with_what_was_and_goes_on(served: Served) -> None:
    for number in range(3):
        served.history.note("thing", f"before {number}", service="web")
    served.history.note("thing", "of another", service="other")
    page = await open_page(served, "history", service="web")
    current = await page.next("history")
    assert (current["kind"], current["more"], current["kept_in"]) == ("current", False, "memory")
    assert [line["message"] for line in current["lines"]] == ["before 0", "before 1", "before 2"]
    served.history.note("thing", "of another", service="other")
    served.history.note("thing", "after", service="web")
    new = await page.next("history")
    assert (new["kind"], [line["message"] for line in new["lines"]]) == ("new", ["after"])


@pytest.mark.parametrize(("name", "value"), [("since", "yesterday"), ("since_s", "-1"), ("until", "1e400")])
async def test_a_filter_that_cannot_be_read_is_an_error(served: Served, name: str, value: str) -> None:
    page = await open_page(served, "history", **{name: value})
    error = (await page.each("error", "overview"))["error"]
    assert (error["code"], name in error["message"]) == ("bad_params", True)


# -- what is asked of all ----------------------------------------------------------------------------------------------


async def test_a_view_that_cannot_be_given_says_so_and_goes_on(served: Served) -> None:
    """This sidecar has no journals at all."""
    for view, fields in (("events", {}), ("sagas", {}), ("saga", {"name": "0.0"})):
        page = await open_page(served, view, **fields)
        assert (await page.each("error", "overview"))["error"]["code"] == "unknown_method"


async def test_questions_are_asked_at_the_same_time_and_the_first_error_counts() -> None:
    order: list[str] = []

    async def answer(name: str, *, first: trio.Event, then: trio.Event) -> str:
        order.append(name)
        first.set()
        await then.wait()
        return name

    one, two = trio.Event(), trio.Event()
    with trio.fail_after(60):
        answers = await together(answer("a", first=one, then=two), answer("b", first=two, then=one))
    assert answers == ["a", "b"]

    async def fail(error: Exception) -> None:
        raise error

    with pytest.raises(NotFound):
        await together(fail(NotFound("x")), answer("c", first=one, then=one))


async def test_a_watched_value_is_made_when_touched_and_after_a_while(autojump_clock: object) -> None:
    assert autojump_clock
    made_at: list[float] = []
    value: Any = {"n": 1, "age_s": 0}
    begin = trio.current_time()

    async def make() -> Any:
        made_at.append(trio.current_time() - begin)
        if value["n"] == 3:
            raise Unavailable("gone")
        if value["n"] == 4:
            raise KeyError("a bug")
        return made({**value, "age_s": made_at[-1]})

    bugs: list[str] = []
    watched = WatchedView("thing", make, every_s=2.0, bug=lambda where, _error: bugs.append(where))
    got: list[tuple[float, str, bytes]] = []

    async def send(kind: str, data: bytes) -> None:
        got.append((trio.current_time() - begin, kind, data))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watched.run)
        nursery.start_soon(watched.show, send)
        await trio.sleep(3)
        assert made_at == [0.0, 2.0]
        assert len(got) == 1, "that time goes by is no change"
        watched.touch()
        value["n"] = 2
        await trio.sleep(0.1)
        assert (made_at[2:], len(got)) == ([3.0], 2)
        watched.touch()
        await trio.sleep(0.1)
        assert len(made_at) == 3, "not again at once"
        await trio.sleep(0.2)
        assert made_at[3:] == [3.25]
        value["n"] = 3
        await trio.sleep(3)
        assert got[-1][1:] == ("error", b'{"code":"unavailable","message":"gone"}')
        value["n"] = 4
        await trio.sleep(3)
        assert (bugs[0], got[-1][1], b"failed" in got[-1][2]) == ("http_ui_thing", "error", True)
        value["n"] = 5
        await trio.sleep(60)
        assert [round(b[0] - a[0]) for a, b in zip(got[-4:], got[-3:], strict=False)] == [10, 10, 10]
        nursery.cancel_scope.cancel()
