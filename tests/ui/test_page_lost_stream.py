"""What the page says when its sidecar is gone, and how it comes back."""

import pytest

from scripts.tools.chromium import Tab
from tests.ui.fake_sidecar import FakeSidecar

FASTER = "const slow = setTimeout; window.setTimeout = (call, ms, ...more) => slow(call, ms / 50, ...more);"
"""Waits of the page are a fiftieth."""
GREY = "getComputedStyle(document.querySelector('#main > div:last-child')).filter"


async def test_a_lost_stream_is_said_at_once(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(f"{sidecar.address}#/members")
    await tab.wait_for_text("29 members and 1 that left")
    sidecar.refusing = True
    sidecar.cut()
    await tab.wait_for_text("No connection to the sidecar")
    await tab.wait_for_text("What is shown is of")
    assert await tab.evaluate(GREY) == "grayscale(1)"
    assert await tab.evaluate("document.querySelector('#pulse').innerText") == "no connection"
    await tab.wait_for_text("29 members and 1 that left")  # what was known stays, as old
    tab.errors.clear()  # the failed requests


@pytest.mark.wide
async def test_it_comes_back_by_itself(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.call("Page.addScriptToEvaluateOnNewDocument", source=FASTER)
    await tab.open(f"{sidecar.address}#/members")
    await tab.wait_for_text("29 members and 1 that left")
    sidecar.refusing = True
    sidecar.cut()
    await tab.wait_for_text("No connection to the sidecar")
    sidecar.refusing = False
    await tab.wait_for("document.querySelector('#pulse').innerText === 'live'")
    assert await tab.evaluate("document.querySelector('#banner').hidden")
    assert await tab.evaluate(GREY) == "none"
    await tab.wait_for_text("29 members and 1 that left")
    tab.errors.clear()


@pytest.mark.wide
async def test_a_person_need_not_wait_for_the_next_attempt(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(f"{sidecar.address}#/services")
    await tab.wait_for_text("42 services")
    await tab.evaluate("window.setTimeout = () => 0")  # no attempt by itself
    sidecar.cut()
    await tab.wait_for_text("the sidecar ended the stream")
    await tab.click("#banner button", "Try now")
    await tab.wait_for("document.querySelector('#pulse').innerText === 'live'")


@pytest.mark.wide
async def test_a_stream_that_goes_silent_is_lost(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.call("Page.addScriptToEvaluateOnNewDocument", source=FASTER)
    await tab.open(sidecar.address)
    await tab.wait_for_text("nothing came from the sidecar for 8 s")


@pytest.mark.wide
async def test_ages_stop_while_nothing_is_known(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(f"{sidecar.address}#/members")
    await tab.wait_for("document.querySelector('.age')")
    sidecar.refusing = True
    sidecar.cut()
    await tab.wait_for_text("No connection to the sidecar")
    ages = "[...document.querySelectorAll('.age')].map((one) => one.textContent).join()"
    shown = await tab.evaluate(ages)
    await tab.wait_for_text("2 s old")
    assert await tab.evaluate(ages) == shown
    tab.errors.clear()


@pytest.mark.wide
async def test_a_page_opened_without_a_sidecar_claims_nothing(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(sidecar.address)
    await tab.wait_for_text("6 things need a look")
    sidecar.refusing = True
    sidecar.cut()
    await tab.wait_for_text("No connection to the sidecar")
    await tab.click("nav a .nav-name", "Sagas")
    await tab.wait_for_text("Waiting for the sidecar's answer")
    assert "No saga" not in await tab.evaluate("document.body.innerText")
    tab.errors.clear()


@pytest.mark.wide
async def test_a_page_that_nobody_looks_at_gives_its_stream_back(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.call("Page.addScriptToEvaluateOnNewDocument", source=FASTER)
    await tab.open(sidecar.address)
    await tab.wait_for_text("6 things need a look")
    hidden = "Object.defineProperty(document, 'hidden', {configurable: true, value: %s});"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    await tab.evaluate(hidden % "true" + tell)
    await tab.wait_for_text("paused while hidden")
    while sidecar.streams:
        await tab.evaluate("1")
    await tab.evaluate(hidden % "false" + tell)
    await tab.wait_for("document.querySelector('#pulse').innerText === 'live'")


@pytest.mark.wide
async def test_the_stream_of_the_view_before_is_closed(tab: Tab, sidecar: FakeSidecar) -> None:
    await tab.open(f"{sidecar.address}#/members")
    for name in ("Services", "Events", "Sagas", "History", "Overview"):
        await tab.click("nav a .nav-name", name)
        await tab.wait_for(f"document.title.startsWith('{name}') && document.body.dataset.connection === 'live'")
    await tab.wait_for_text("6 things need a look")
    while len(sidecar.streams) > 1:
        await tab.evaluate("1")
    assert [stream.query for stream in sidecar.streams] == [{"view": "overview"}]
