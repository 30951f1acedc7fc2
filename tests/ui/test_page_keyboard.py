"""The whole page without a mouse."""

import pytest

from scripts.tools.chromium import Tab
from tests.ui.fake_cluster import fake_cluster, member_id
from tests.ui.fake_sidecar import FakeSidecar

FOCUSED = "document.activeElement.innerText.trim()"
IN_LIST = "document.activeElement.closest('tbody') !== null"


async def tab_to(tab: Tab, text: str) -> None:
    """Press Tab until what has the focus begins with this text."""
    await tab_until(tab, f"{FOCUSED}.startsWith('{text}')")


async def tab_until(tab: Tab, expression: str) -> None:
    for _ in range(60):
        await tab.press("Tab")
        if await tab.evaluate(expression):
            return
    raise AssertionError(f"60 times Tab, and never {expression}")


async def test_the_first_stop_skips_to_the_content(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(sidecar.address)
    await tab.wait_for_text("6 things need a look")
    await tab.press("Tab")
    assert await tab.evaluate(FOCUSED) == "Skip to the content"
    await tab.press("Enter")
    assert await tab.evaluate("document.activeElement.id") == "main"
    assert await tab.evaluate("location.hash") == "", "the place stays the same"


@pytest.mark.wide
async def test_a_new_view_takes_the_focus(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(sidecar.address)
    await tab.wait_for_text("6 things need a look")
    await tab_to(tab, "Members")
    await tab.press("Enter")
    await tab.wait_for_text("29 members and 1 that left")
    assert await tab.evaluate("document.activeElement.tagName") == "H1"
    assert (await tab.evaluate("document.title")).startswith("Members · shop")
    assert await tab.evaluate("document.querySelector('nav [aria-current]').innerText.split('\\n')[0]") == "Members"


async def test_a_list_is_one_stop_and_arrows_move_in_it(tab: Tab, nursery) -> None:  # type: ignore[no-untyped-def]
    sidecar = await nursery.start(fake_cluster(members_=300).run)
    await tab.open(f"{sidecar.address}#/members?sort=name")
    await tab.wait_for_text("299 members and 1 that left")
    await tab_until(tab, IN_LIST)
    await tab.press("ArrowDown")
    assert await tab.evaluate(FOCUSED) == "web-1"
    await tab.press("End")
    await tab.wait_for(f"{FOCUSED} === 'web-299'")
    inside = "(() => { const box = document.activeElement.getBoundingClientRect();"
    assert await tab.evaluate(f"{inside} return box.top > 0 && box.bottom < innerHeight; }})()"), "it is in sight"
    await tab.press("ArrowUp")
    assert await tab.evaluate(FOCUSED) == "web-298"
    assert await tab.evaluate("document.querySelectorAll('tbody a[tabindex=\"0\"]').length") == 1
    assert await tab.evaluate("document.querySelectorAll('tbody a').length") < 100, "most rows are not in the document"
    await tab.press("Enter")
    await tab.wait_for("location.hash.startsWith('#/members/')")


async def test_the_map_is_one_stop_and_arrows_move_in_it(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(f"{sidecar.address}#/members")
    await tab.wait_for_text("29 members and 1 that left")
    await tab_until(tab, "document.activeElement.matches('.map')")
    said = "document.querySelector('.map-said').innerText.split(':')[0]"
    assert await tab.evaluate(said) == "web-0"
    for key, name in (("ArrowRight", "web-3"), ("ArrowDown", "web-21"), ("ArrowUp", "web-3"), ("ArrowLeft", "web-0"),
                      ("ArrowUp", "web-0"), ("End", "web-29"), ("Home", "web-0"), ("ArrowRight", "web-3")):  # fmt: skip
        await tab.press(key)
        assert await tab.evaluate(said) == name, key
    await tab.press("Tab")
    assert not await tab.evaluate("document.activeElement.closest('.map')")
    await tab.go("#/members?map=ring")
    await tab.wait_for("document.querySelector('.ring')")
    await tab.evaluate("document.querySelector('.map').focus()")
    for key, name in (("Home", "web-0"), ("ArrowUp", "web-21"), ("ArrowDown", "web-0"), ("ArrowRight", "web-13")):
        await tab.press(key)
        assert await tab.evaluate(said) == name, key
    await tab.go("#/members?state=dead")
    await tab.wait_for("document.querySelector('.zone')")
    await tab.evaluate("document.querySelector('.map').focus()")
    await tab.press("Home")
    assert await tab.evaluate(said) == "web-17", "what does not match the filter is faint, and skipped"
    await tab.press("Enter")
    await tab.wait_for(f"location.hash === '#/members/{member_id(17)}'")


async def test_the_bars_of_the_history_lead_to_their_lines(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(f"{sidecar.address}#/history")
    await tab.wait_for_text("120 lines")
    await tab_until(tab, "document.activeElement.matches('.strip-bars')")
    said = "document.querySelector('.strip-said').innerText"
    newest = await tab.evaluate(said)
    assert newest
    await tab.press("ArrowLeft")
    await tab.press("ArrowLeft")
    assert await tab.evaluate(said) != newest
    line = (await tab.evaluate(said)).split(", ")[-1].removesuffix(" back")
    await tab.press("Enter")
    assert (await tab.evaluate(FOCUSED)) == line


@pytest.mark.wide
async def test_focus_in_a_list_survives_a_change(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(f"{sidecar.address}#/members?sort=name")
    await tab.wait_for_text("29 members and 1 that left")
    await tab_until(tab, IN_LIST)
    for _ in range(3):
        await tab.press("ArrowDown")
    item = next(iter(sidecar.views["members"]({})))[1]["items"][3]
    await sidecar.tell("members", {"kind": "changed", "items": [{**item, "reason": "changed"}], "gone": []})
    await tab.wait_for_text("changed")
    assert await tab.evaluate(FOCUSED) == "web-3"


@pytest.mark.wide
async def test_heads_of_a_list_sort_it(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(f"{sidecar.address}#/members")
    await tab.wait_for_text("29 members and 1 that left")
    await tab_to(tab, "Round trip")
    await tab.press("Enter")
    await tab.press("Enter")
    await tab.wait_for("document.querySelector('th[aria-sort=descending]').innerText.startsWith('Round trip')")
    assert await tab.evaluate("document.querySelector('tbody a').innerText") == "web-29"
    assert (await tab.evaluate("location.hash")).endswith("?sort=-rtt")
