"""What each view shows, in a real browser."""

import pytest
import trio

from scripts.tools.chromium import Tab
from tests.ui.fake_cluster import NOW, fake_cluster, history, member_id, saga, saga_step
from tests.ui.fake_sidecar import FakeSidecar

VIEWS = {
    "": ["6 things need a look", "web-17 is dead for 17 h: suspected by web-2", "27 alive", "1,204 waiting",
        "In maintenance at"],
    "#/members": ["eu-north-1b", "web-17", "29 members and 1 that left", "Round trip", "kernel update"],
    "#/members?map=ring&by=rtt": ["members in the order of their ids", "from 20 ms"],
    f"#/members/{member_id(4)}": ["web-4", "10.0.0.5:7946", "1 % of a core", "39 MiB", "billing-8084"],
    "#/services": ["42 services", "none passing", "checkout"],
    "#/services/billing": ["2 of 6 instances in the answers", "pool exhausted", "it is in maintenance: kernel update",
                           "its member web-17 is dead", "What its checks say is known at web-1 alone"],
    "#/events": ["nobody: its events wait", "HTTP 422: no such customer", "83 %", "23 h 53 min"],
    "#/sagas": ["30 sagas", "stuck, aborted"],
    "#/sagas/5f5f5f5f5f5f5f5f.order-1042": [
        "stuck at charge-billing", "took 84 ms, undone 435 ms after the decision", "took 322 ms, undoing",
        "aborted after 655 ms",
    ],
    "#/history": ["120 lines", "web-17 is alive again", "Today"],
}  # fmt: skip


async def test_each_view_shows_what_the_sidecar_says(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(sidecar.address)
    for place, texts in VIEWS.items():
        await tab.go(place)
        for text in texts:
            await tab.wait_for_text(text)
    assert {url.split("/ui/")[0] for url in tab.requests if not url.startswith("data:")} == {
        sidecar.address.removesuffix("/ui/")
    }


async def test_nothing_is_shown_as_empty_before_the_answer_comes(tab: Tab, sidecar: FakeSidecar) -> None:
    sidecar.views.clear()
    await tab.open(sidecar.address)
    for place in ("members", "services", "events", "sagas", "history", "services/billing"):
        await tab.go(f"#/{place}")
        await tab.wait_for_text("Waiting for the sidecar's answer")
        shown = await tab.evaluate("document.querySelector('main').innerText")
        assert not [word for word in ("No ", "None", "Nothing", " 0 ") if word in shown], place


async def test_a_sidecar_that_is_not_synced_is_no_empty_cluster(tab: Tab, sidecar: FakeSidecar) -> None:
    sidecar.overview |= {
        "synced": False,
        "knowledge": "not_synced",
        "not_synced_because": "no seed answers",
        "services": None,
    }
    sidecar.views["services"] = lambda _query: [
        ("error", {"code": "not_synced", "message": "not synced: no seed answers"})
    ]
    await tab.open(sidecar.address)
    await tab.wait_for_text("This sidecar does not know the cluster yet: no seed answers")
    await tab.wait_for_text("Not known yet.")
    await tab.click("nav a", "Services")
    await tab.wait_for_text("not synced: no seed answers")
    assert "No service is registered" not in await tab.evaluate("document.body.innerText")


async def test_a_change_comes_without_being_asked_for(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(f"{sidecar.address}#/members")
    await tab.wait_for_text("alive 27")
    changed = {
        **next(iter(sidecar.views["members"]({})))[1]["items"][3],
        "state": "dead",
        "reason": "its host burned down",
    }
    await sidecar.tell("members", {"kind": "changed", "items": [changed], "gone": [member_id(4)]})
    await tab.wait_for_text("its host burned down")
    await tab.wait_for_text("alive 25")
    await tab.wait_for_text("28 members and 1 that left")


async def test_what_follows_the_commit_is_drawn_behind_it(tab: Tab, sidecar: FakeSidecar) -> None:
    mail = saga_step("mail", 40, 300, "after_done", after=True)
    told = {**saga(), "state": "ended", "decision": "commit", "decided": NOW * 1000 + 200, "ended": NOW * 1000 + 300}
    sidecar.views["saga"] = lambda _query: [("saga", {**told, "steps": [mail]})]
    await tab.open(f"{sidecar.address}#/sagas/x.y")
    await tab.wait_for_text("done in 100 ms")
    left = "parseFloat(document.querySelector('.saga .%s').style.left)"
    assert await tab.evaluate(left % "bar") == await tab.evaluate(left % "moment") > 60


@pytest.mark.wide
async def test_a_filter_is_kept_in_the_address(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(f"{sidecar.address}#/members")
    await tab.click(".switch", "dead 1")
    await tab.wait_for_text("1 of 29 members and 1 that left")
    address = await tab.evaluate("location.href")
    assert address.endswith("#/members?state=dead")
    await tab.open("about:blank")
    await tab.open(address)
    await tab.wait_for_text("1 of 29 members and 1 that left")


@pytest.mark.wide
async def test_an_unknown_place_says_so(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(f"{sidecar.address}#/memories")
    await tab.wait_for_text("This page has no place memories")


@pytest.mark.wide
async def test_members_that_lead_journals_and_are_silent_are_named(tab: Tab, sidecar: FakeSidecar) -> None:
    sidecar.views["sagas"] = lambda _query: [("sagas", {"items": [], "not_answered": ["web-9"]})]
    await tab.open(f"{sidecar.address}#/sagas")
    await tab.wait_for_text("No answer from: web-9")
    assert "No saga is kept" not in await tab.evaluate("document.body.innerText")


async def test_a_member_is_asked_what_its_checks_say(tab: Tab, sidecar: FakeSidecar) -> None:
    said = {"check": "tcp 10.0.0.2:8081", "health": "passing", "output": "connected in 0.3 ms", "checked_s": 1.5}
    sidecar.results["ask-member"] = {"load": {}, "checks": {"billing-8081": [said]}}
    await tab.open(f"{sidecar.address}#/services/billing")
    await tab.click("button.small", "Ask web-1")
    await tab.wait_for_text("connected in 0.3 ms")
    assert sidecar.calls[0].params == {"member": member_id(1), "service": "billing"}
    sidecar.results["ask-member"] = {"error": {"code": "unavailable", "message": "web-2 did not answer in 3 s"}}
    await tab.click("button.small", "Ask web-2")
    await tab.wait_for_text("web-2 did not answer in 3 s")
    tab.errors.clear()  # the browser reports the status


@pytest.mark.wide
async def test_why_an_instance_is_not_answered_can_be_asked(tab: Tab, sidecar: FakeSidecar) -> None:
    sidecar.results["explain"] = {
        "name": "billing", "instances": 5, "matching": {"passing": 0, "warning": 0}, "not_in_zone": 5,
        "without_tags": 2,
        "zones": ["eu-north-1a"], "tags": ["v2"], "dead": 1, "synced": True,
    }  # fmt: skip
    await tab.open(f"{sidecar.address}#/services/billing?tags=v1&zone=us-east")
    await tab.wait_for_text("0 instances of 5 would be answered")
    await tab.wait_for_text("5 instances not in us-east; passing ones are in eu-north-1a")
    assert sidecar.calls[0].params == {"name": "billing", "tags": ["v1"], "zone": "us-east"}


@pytest.mark.wide
async def test_history_asks_for_what_its_filter_says(tab: Tab, sidecar: FakeSidecar) -> None:
    asked = []
    sidecar.views["history"] = lambda query: asked.append(query) or [("history", {"lines": [], "more": False})]  # type: ignore[func-returns-value]
    await tab.open(f"{sidecar.address}#/history?service=billing&since=24h")
    await tab.wait_for_text("Nothing happened in this time")
    assert asked == [{"view": "history", "service": "billing", "since_s": "86400"}]


@pytest.mark.wide
async def test_history_of_a_night_has_two_fixed_ends(tab: Tab, sidecar: FakeSidecar) -> None:
    asked = []
    sidecar.views["history"] = lambda query: asked.append(query) or [("history", history())]  # type: ignore[func-returns-value]
    await tab.open(f"{sidecar.address}#/history?since=1h&until=2026-05-28T03:00:00.000Z")
    await tab.wait_for_text("120 lines")
    assert asked == [{"view": "history", "until": "1779937200", "since": "1779933600"}]


@pytest.mark.wide
async def test_a_link_to_an_old_line_shows_what_is_around_it(tab: Tab, sidecar: FakeSidecar) -> None:
    old = [
        {"seq": seq, "at": NOW - 9e5, "kind": "synced", "level": "info", "message": f"line {seq}"}
        for seq in (41, 42, 43)
    ]
    sidecar.results["history"] = {"lines": old, "more": True}
    await tab.open(f"{sidecar.address}#/history?at=42&service=billing")
    await tab.wait_for("document.querySelector('#line-42.marked') !== null")
    await tab.wait_for_text("These are the lines around the one that is linked to")
    assert sidecar.calls[0].params == {"service": "billing", "before": 142, "limit": 500}
    await tab.click("main a", "Show the newest")
    await tab.wait_for_text("120 lines")
    assert await tab.evaluate("document.querySelector('#line-42')") is None


@pytest.mark.wide
async def test_history_shows_the_newest_line_first_and_links_to_one(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(f"{sidecar.address}#/history?at=4990")
    await tab.wait_for("document.querySelector('#line-4990.marked') !== null")
    await sidecar.tell(
        "history", {"lines": [{"seq": 5001, "at": NOW, "kind": "left", "level": "info", "message": "web-3 has left"}]}
    )
    await tab.wait_for("document.querySelector('.time-line li').innerText.includes('web-3 has left')")


@pytest.mark.wide
async def test_an_empty_cluster_says_that_nothing_is_wrong(tab: Tab, nursery: trio.Nursery) -> None:
    sidecar = await nursery.start(fake_cluster(members_=3, services_=0, troubles=False).run)
    await tab.open(sidecar.address)
    await tab.wait_for_text("Nothing is wrong")
    sidecar.hello |= {"data_dir": False}
    sidecar.overview |= {"events": None, "sagas": None}
    await tab.call("Page.reload")
    await tab.wait_for_text("This sidecar has no data directory, so no journal is kept here.")
    await tab.click("nav a", "Services42")
    await tab.wait_for_text("No service is registered in this cluster")
