"""The token of --http-token-file: asked for, kept for as long as the tab is open, and sent as a header alone."""

import pytest

from scripts.tools.chromium import Tab
from tests.ui.fake_sidecar import FakeSidecar

TOKEN = "correct-horse-battery-staple"


async def test_the_page_asks_for_the_token_and_keeps_it(tab: Tab, sidecar: FakeSidecar) -> None:
    sidecar.token = TOKEN
    await tab.open(f"{sidecar.address}#/members")
    await tab.wait_for_text("This sidecar asks for a token")
    await tab.type("wrong")
    await tab.press("Enter")
    await tab.wait_for_text("This token is not accepted")
    await tab.type(TOKEN)
    await tab.press("Enter")
    await tab.wait_for_text("29 members and 1 that left")
    await tab.call("Page.reload")
    await tab.wait_for_text("29 members and 1 that left")
    assert await tab.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    assert [url for url in tab.requests if TOKEN in url] == []
    tab.errors.clear()  # the browser reports each 401


@pytest.mark.wide
async def test_a_dialog_for_the_token_cannot_be_left_behind(tab: Tab, sidecar: FakeSidecar) -> None:
    sidecar.token = TOKEN
    await tab.open(sidecar.address)
    await tab.wait_for_text("This sidecar asks for a token")
    await tab.press("Escape")
    await tab.wait_for("document.querySelector('dialog.token[open] input') === document.activeElement")
    tab.errors.clear()
