"""The page on a phone, in dark and light, without motion, without JavaScript; axe-core finds nothing serious."""

import json
from pathlib import Path

import pytest

from scripts.tools.chromium import Tab
from tests.ui.fake_cluster import fake_cluster, member_id
from tests.ui.fake_sidecar import FakeSidecar

AXE = Path(__file__).parents[2] / ".venv" / "peers" / "node_modules" / "axe-core" / "axe.min.js"
PLACES = {
    "": ".verdict .glyph", "#/members": "table.list tbody a", "#/members?map=ring": ".ring",
    f"#/members/{member_id(4)}": ".facts",
    "#/services": "table.list tbody a", "#/services/billing": ".instances", "#/events": ".letters",
    "#/sagas": "table.list tbody a", "#/sagas/5f.1": ".saga", "#/history": ".time-line",
}  # fmt: skip
"""With what says that the place is shown."""
SERIOUS = ("serious", "critical")


async def show(tab: Tab, sidecar: FakeSidecar, place: str) -> None:
    if await tab.evaluate("location.href") == "about:blank":
        await tab.open(sidecar.address)
    await tab.go(place)
    await tab.wait_for(f"document.querySelector({json.dumps(PLACES[place])})")


async def test_no_view_is_wider_than_a_phone(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.size(360, 740)
    for place in PLACES:
        await show(tab, sidecar, place)
        wide = "[...document.querySelectorAll('main *')].filter((one) => one.getBoundingClientRect().right > 361)"
        assert await tab.evaluate("document.documentElement.scrollWidth") <= 360, (
            place,
            await tab.evaluate(f"{wide}.map((one) => one.outerHTML.slice(0, 200))"),
        )


@pytest.mark.wide
async def test_dark_and_light_are_those_of_the_reader(tab: Tab, sidecar: FakeSidecar) -> None:
    await show(tab, sidecar, "")
    ground = "getComputedStyle(document.body).backgroundColor"
    await tab.media(prefers_color_scheme="light")
    light = await tab.evaluate(ground)
    await tab.media(prefers_color_scheme="dark")
    assert await tab.evaluate(ground) != light


@pytest.mark.wide
async def test_nothing_moves_by_itself(tab: Tab, sidecar: FakeSidecar) -> None:
    """It would tire readers and, on a page that stays open all day, processors."""
    for place in PLACES:
        await show(tab, sidecar, place)
        assert await tab.evaluate("document.getAnimations().length") == 0


async def test_without_javascript_the_page_says_so_and_shows_the_tables(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.call("Emulation.setScriptExecutionDisabled", value=True)
    await tab.open(sidecar.address)
    await tab.wait_for_text("This page needs JavaScript")
    await tab.click("noscript a", "The tables")
    await tab.wait_for("location.pathname === '/ui/tables' && document.body?.innerText.includes('the tables')")
    tab.errors.clear()  # the browser looks for an icon of the tables


@pytest.mark.wide
async def test_every_state_is_a_word_and_a_shape(tab: Tab, sidecar: FakeSidecar) -> None:
    """So none is told by colour alone."""
    await show(tab, sidecar, "#/members")
    shapes = await tab.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.badge')].map((one) =>"
        " [one.innerText.trim(), one.querySelector('path').getAttribute('d')]))"
    )
    assert {"alive", "dead", "suspect", "maintenance"} <= set(shapes)
    assert len(set(shapes.values())) == len(shapes)


# -- axe-core ----------------------------------------------------------------------------------------------------------


async def axe(tab: Tab) -> list[str]:
    """What it takes for serious, one line each."""
    if not AXE.exists():
        pytest.skip("axe-core of npm is not there: scripts/check --wide fetches it")
    await tab.evaluate(await_free(AXE.read_text()))
    found = await tab.evaluate("axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations)")
    return [
        f"{one['id']}: {one['help']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"][:3]
    ]


def await_free(script: str) -> str:
    return f"(() => {{ {script} }})()"


async def test_axe_finds_nothing_serious_on_the_overview(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.media(prefers_reduced_motion="reduce")
    await show(tab, sidecar, "")
    assert await axe(tab) == []


@pytest.mark.wide
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious_anywhere(tab: Tab, nursery, width: int, scheme: str) -> None:  # type: ignore[no-untyped-def]
    sidecar = await nursery.start(fake_cluster(writes=True).run)
    await tab.size(width, 900)
    await tab.media(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    for place in PLACES:
        await show(tab, sidecar, place)
        assert await axe(tab) == [], place
    await show(tab, sidecar, "#/events")
    await tab.click("button.action", "Drop all")
    await tab.wait_for("document.querySelector('dialog[open]')")
    assert await axe(tab) == [], "a dialog"
    await tab.press("Escape")
    sidecar.refusing = True
    sidecar.cut()
    await tab.wait_for_text("No connection to the sidecar")
    assert await axe(tab) == [], "a lost stream"
    tab.errors.clear()
