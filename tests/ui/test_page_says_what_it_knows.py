"""What the page does not know is not shown as none, as zero or as well."""

import pytest
import trio

from scripts.tools.chromium import Tab
from tests.ui.fake_cluster import events, fake_cluster, instance, member_id, sagas
from tests.ui.fake_sidecar import FakeSidecar

MAIN = "document.querySelector('main').innerText.replace(/\\s+/g, ' ')"
NAV = "document.querySelector('#nav').innerText.replace(/\\s+/g, ' ')"


async def test_the_marks_of_the_navigation_count_what_is_wrong(tab: Tab, sidecar: FakeSidecar) -> None:
    sidecar.overview["services"] |= {"down": [{"name": "db", "instances": 0, "dead": 2}], "down_count": 1}
    await tab.open(sidecar.address)
    await tab.wait_for_text("Lookups of db find no instance: 2 instances of dead members")
    shown = await tab.evaluate(NAV)
    for part in ("Members dead: 1 of 29", "Services critical: 1 of 42", "Events dead letters: 2", "Sagas stuck: 1"):
        assert part in shown
    assert "1,204" not in shown, "events of this sidecar alone are no sum of all"


async def test_a_sidecar_that_leads_no_journal_counts_none(tab: Tab, sidecar: FakeSidecar) -> None:
    sidecar.overview |= {"events": None, "sagas": None}
    await tab.open(sidecar.address)
    await tab.wait_for_text("This sidecar leads no journal, so it counts none. Ask all members")
    shown = await tab.evaluate(MAIN)
    assert "No saga" not in shown
    assert "0 groups" not in shown


async def test_figures_without_all_answers_are_at_least_these(tab: Tab, sidecar: FakeSidecar) -> None:
    sidecar.views["events"] = lambda _query: [("events", {**events(), "dead": [], "not_answered": ["web-9"]})]
    sidecar.views["sagas"] = lambda _query: [("sagas", {"items": [], "not_answered": ["web-9"]})]
    await tab.open(f"{sidecar.address}#/events")
    await tab.wait_for_text("No answer from: web-9")
    shown = await tab.evaluate(MAIN)
    assert "at least 1,200" in shown
    assert "None is known so far" in shown
    assert "no event was given up" not in shown
    await tab.go("#/sagas")
    await tab.wait_for_text("at least 0 sagas")
    await tab.wait_for_text("stuck 0+")


async def test_a_journal_whose_lead_is_not_proven_is_not_led_by_nobody(tab: Tab, sidecar: FakeSidecar) -> None:
    unknown = dict.fromkeys(("leader", "leader_name", "copies", "takeover"))
    [journal] = events()["journals"]
    sidecar.views["events"] = lambda _query: [
        ("events", {**events(), "groups": [], "journals": [{**journal, **unknown, "role": "unproven"}]})
    ]
    await tab.open(f"{sidecar.address}#/events")
    await tab.wait_for_text("not proven")
    shown = await tab.evaluate(MAIN)
    assert "nobody" not in shown
    assert "its leader knows" not in shown


async def test_a_service_of_dead_members_alone_comes_first(tab: Tab, sidecar: FakeSidecar) -> None:
    [(kind, data)] = sidecar.views["services"]({})
    gone = {**data["items"][0], "key": "db", "name": "db", "dead": 2}
    gone |= dict.fromkeys(("instances", "passing", "warning", "critical", "maintenance"), 0)
    sidecar.views["services"] = lambda _query: [(kind, {**data, "items": [*data["items"], gone]})]
    await tab.open(f"{sidecar.address}#/services")
    await tab.wait_for_text("none, 2 dead")
    names = await tab.evaluate("[...document.querySelectorAll('.list .name')].map((one) => one.textContent)")
    assert "db" in names[:2], "with the other that nobody finds"
    await tab.click(".switch", "critical 2")
    await tab.wait_for_text("2 of 43 services")


async def test_of_sagas_in_one_state_the_newest_comes_first(tab: Tab, sidecar: FakeSidecar) -> None:
    shuffled = sagas()
    shuffled["items"] = sorted(shuffled["items"], key=lambda one: one["saga"][-1])
    sidecar.views["sagas"] = lambda _query: [("sagas", shuffled)]
    await tab.open(f"{sidecar.address}#/sagas?state=ended")
    await tab.wait_for_text("12 of 30 sagas")
    shown = await tab.evaluate("[...document.querySelectorAll('.list tbody bdi')].map((one) => one.textContent)")
    numbers = [int(one.rpartition("-")[2]) for one in shown]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 12


async def test_services_of_a_member_that_is_silent_are_known_last(tab: Tab, sidecar: FakeSidecar) -> None:
    [(kind, data)] = sidecar.views["member"]({"name": member_id(4)})
    sidecar.views["member"] = lambda _query: [(kind, {**data, "services": [instance(4, stale=True)]})]
    await tab.open(f"{sidecar.address}#/members/{member_id(4)}")
    await tab.wait_for_text("passing known last billing billing-8084")


async def test_sagas_that_are_not_listed_are_told(tab: Tab, sidecar: FakeSidecar) -> None:
    sidecar.views["sagas"] = lambda _query: [("sagas", {**sagas(), "more_ended": True})]
    await tab.open(f"{sidecar.address}#/sagas")
    await tab.wait_for_text("There are more ended sagas than are listed here")
    await tab.wait_for_text("at least 30 sagas")


async def test_characters_that_nobody_sees_are_written_out(tab: Tab, nursery: trio.Nursery) -> None:
    cluster = fake_cluster()
    cluster.overview["maintenance"] = [{"service": "web", "reason": "\u202elive\u200b line\x07"}]
    sidecar: FakeSidecar = await nursery.start(cluster.run)
    await tab.open(sidecar.address)
    await tab.wait_for_text("\\u202elive\\u200b line\\u0007")


@pytest.mark.wide
async def test_a_text_that_can_be_no_token_is_said_to_be_none(tab: Tab, sidecar: FakeSidecar) -> None:
    sidecar.token = "correct-horse-battery-staple"
    await tab.open(f"{sidecar.address}#/members")
    await tab.wait_for_text("This sidecar asks for a token")
    for wrong, why in (("schl\u00fcssel", "printable ASCII"), ("x" * 2000, "at most 1,024 characters")):
        await tab.evaluate("document.querySelector('#token').value = ''")
        await tab.type(wrong)
        await tab.press("Enter")
        await tab.wait_for_text(why)
    await tab.evaluate("document.querySelector('#token').value = ''")
    await tab.type(sidecar.token)
    await tab.press("Enter")
    await tab.wait_for_text("29 members and 1 that left")
    tab.errors.clear()  # the browser reports the 401


async def test_a_member_that_left_is_counted_beside_on_every_view(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(sidecar.address)
    await tab.wait_for_text("Members")
    tile = "[...document.querySelectorAll('.tile')].find((one) => one.innerText.startsWith('Members'))"
    await tab.wait_for(f"{tile}?.querySelector('.big')?.innerText === '29'")
    assert "1\nleft" in await tab.evaluate(f"{tile}.querySelector('.counts').innerText")
    assert (await tab.evaluate("document.querySelector('nav a[href=\"#/members\"]').innerText")).endswith("of 29")
    await tab.open(f"{sidecar.address}#/members")
    await tab.wait_for_text("29 members and 1 that left")
