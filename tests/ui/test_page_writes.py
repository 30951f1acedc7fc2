"""What can be changed from the page: only with --ui-writes, only after a confirmation that says what will happen."""

import pytest
import trio

from scripts.tools.chromium import Tab
from tests.ui.fake_cluster import fake_cluster, member_id
from tests.ui.fake_sidecar import FakeSidecar

SAGA = "5f5f5f5f5f5f5f5f.order-1042"
LETTER = {"group": "billing", "journal": "5f5f5f5f5f5f5f5f", "index": 812}
WHY = "because"
# the place, the button, whether a reason is typed, what the dialog says, the call
ACTIONS = [
    (f"#/members/{member_id(0)}", "Maintenance", True, "out of the answers", "maint", {"reason": WHY}),
    (f"#/members/{member_id(0)}", "Drain", True, "up to 30 s", "drain", {"reason": WHY, "timeout": 30}),
    ("#/services/billing", "Maintenance", True, "billing-8080", "maint", {"service": "billing-8080", "reason": WHY}),
    ("#/services/billing", "Deregister", False, "removed at every member", "deregister", {"id": "billing-8080"}),
    ("#/events", "Retry all", False, "2 dead letters", "events-retry", {"group": "billing"}),
    ("#/events", "Drop all", False, "cannot be undone", "events-drop", {"group": "billing"}),
    ("#/events", "Retry", False, "order.created", "events-retry", LETTER),
    ("#/events", "Drop", False, "never gets it", "events-drop", LETTER),
    ("#/events", "Forget", False, "The 90 events", "events-forget", {"group": "audit"}),
    (f"#/sagas/{SAGA}", "Retry what is open", True, "tried now", "saga-retry", {"saga": SAGA, "step": "", "why": WHY}),
    (f"#/sagas/{SAGA}", "Give up", True, "half done", "saga-give-up", {"saga": SAGA, "why": WHY}),
    (f"#/sagas/{SAGA}", "Retry", True, "charge-billing", "saga-retry",
     {"saga": SAGA, "step": "charge-billing", "why": WHY}),
    (f"#/sagas/{SAGA}", "Skip", True, "left as it is", "saga-skip",
     {"saga": SAGA, "step": "charge-billing", "why": WHY}),
]  # fmt: skip


@pytest.fixture
async def writable(nursery: trio.Nursery) -> FakeSidecar:
    started: FakeSidecar = await nursery.start(fake_cluster(writes=True).run)
    return started


async def test_every_change_is_confirmed_and_then_called(tab: Tab, writable: FakeSidecar) -> None:
    writable.results |= {
        name: {"count": 2, "unanswered": []} for name in ("events-retry", "events-drop", "events-forget")
    }
    writable.results["drain"] = {"acked": False, "members": [{"name": "web-9"}], "missing": 1}
    await tab.open(writable.address)
    for place, text, reason, says, method, params in ACTIONS:
        writable.calls.clear()
        await tab.go(place)
        await tab.click("button.action", text)
        await tab.wait_for(f"document.querySelector('dialog[open]').innerText.includes('{says}')")
        if reason:
            await tab.type(WHY)
        assert writable.calls == [], "nothing is called before the confirmation"
        await tab.click("dialog button.main")
        await tab.wait_for("document.querySelector('dialog .buttons').innerText === 'Close'")
        [call] = writable.calls
        assert (call.method, call.params) == (method, params)
        assert call.headers["x-gossipreg-ui"] == "1"
        assert call.headers["content-type"] == "application/json"
        if method == "drain":
            await tab.wait_for_text("Not acknowledged by: web-9")
        await tab.click("dialog button", "Close")


async def test_a_dialog_says_what_really_follows(tab: Tab, writable: FakeSidecar) -> None:
    writable.hello["data_dir"] = False
    writable.results["drain"] = {"acked": False, "members": [{"name": "web-9"}], "missing": 1}
    writable.results["events-forget"] = {"count": 0, "unanswered": []}
    await tab.open(f"{writable.address}#/members/{member_id(0)}")
    await tab.click("button.action", "Drain")
    await tab.wait_for_text("They stay so until somebody ends the maintenance, or this sidecar restarts")
    await tab.click("dialog button.main")
    await tab.wait_for("document.querySelector('dialog .outcome.tone-warn')?.innerText.includes('may still find it')")
    await tab.click("dialog button", "Close")
    await tab.go("#/services/billing")
    await tab.click("button.action", "Deregister")
    await tab.wait_for_text("is back after its next restart or reload")
    await tab.press("Escape")
    writable.results["maint"] = {"durable": True, "still_out": "billing-8080: the whole sidecar is in maintenance"}
    await tab.click("button.action", "Maintenance")
    await tab.click("dialog button.main")
    await tab.wait_for("document.querySelector('dialog .outcome.tone-warn')?.innerText.includes('the whole sidecar')")
    await tab.press("Escape")
    await tab.go("#/events")
    await tab.wait_for("document.querySelector('.groups .danger')")
    await tab.evaluate("[...document.querySelectorAll('.groups .danger')].at(-1).click()")  # of mail, which is handled
    await tab.wait_for_text("1 subscriber handles it now: the group goes on")
    await tab.click("dialog button.main")
    await tab.wait_for_text("No journal had anything of it.")


@pytest.mark.wide
async def test_cancel_and_escape_change_nothing(tab: Tab, writable: FakeSidecar) -> None:
    await tab.open(f"{writable.address}#/events")
    await tab.click("button.action", "Drop all")
    await tab.click("dialog button", "Cancel")
    await tab.wait_for("document.querySelector('dialog') === null")
    await tab.click("button.action", "Drop all")
    await tab.wait_for("document.querySelector('dialog[open]')")
    await tab.press("Escape")
    await tab.wait_for("document.querySelector('dialog') === null")
    assert await tab.evaluate("document.activeElement.textContent") == "Drop all", "the focus is where it was"
    assert writable.calls == []


@pytest.mark.wide
async def test_an_error_is_shown_in_the_dialog(tab: Tab, writable: FakeSidecar) -> None:
    writable.results["deregister"] = {"error": {"code": "cannot_keep", "message": "the data directory is full"}}
    await tab.open(f"{writable.address}#/services/billing")
    await tab.click("button.action", "Deregister")
    await tab.click("dialog button.main")
    await tab.wait_for_text("cannot_keep: the data directory is full")
    assert await tab.evaluate("document.querySelector('dialog button.main').disabled") is False
    tab.errors.clear()  # the browser reports the status 409


async def test_without_ui_writes_nothing_can_be_changed(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(sidecar.address)
    for place in dict.fromkeys(place for place, *_ in ACTIONS):
        await tab.go(place)
        await tab.wait_for("document.querySelector('main .card')")
        assert await tab.evaluate("document.querySelectorAll('button.action').length") == 0, place


@pytest.mark.wide
async def test_services_of_other_members_are_not_changed_from_here(tab: Tab, writable: FakeSidecar) -> None:
    await tab.open(f"{writable.address}#/services/billing")
    await tab.wait_for("document.querySelector('button.action')")
    with_buttons = "[...document.querySelectorAll('.instances > li')].filter((one) => one.querySelector('.action'))"
    assert await tab.evaluate(f"{with_buttons}.map((one) => one.querySelector('strong').textContent)") == [
        "billing-8080"
    ]
