"""All that the page shows is somebody else's text: it is shown as it stands, and nothing of it runs."""

import json
from typing import Any

import pytest
import trio

from scripts.tools.chromium import Tab
from tests.ui.fake_cluster import fake_cluster, member_id
from tests.ui.fake_sidecar import Events, FakeSidecar

HOSTILE = "<script>window.ran=1</script>\"><img src=x onerror=window.ran=1>'javascript:window.ran=1//</title>"
PLACES = ("", "#/members", "#/members?map=ring", "#/services", "#/services/billing", "#/events", "#/sagas",
          "#/sagas/x.y", "#/history", f"#/members/{member_id(4)}")  # fmt: skip
_STRUCTURE = ("kind", "seq")


def hostile(value: Any, name: str = "", number: list[int] | None = None) -> Any:
    """The value with a hostile text in place of every text, each with a number so that ids still differ."""
    number = [0] if number is None else number
    match value:
        case dict():
            return {key: hostile(one, key, number) for key, one in value.items()} | {"__proto__": HOSTILE}
        case list():
            return [hostile(one, name, number) for one in value]
        case str() if name not in _STRUCTURE:
            number[0] += 1
            return f"{number[0]}{HOSTILE}"
    return value


@pytest.fixture
async def hostile_sidecar(nursery: trio.Nursery) -> FakeSidecar:
    sidecar = fake_cluster(members_=5, services_=5, writes=True)
    for view, answer in sidecar.views.items():
        sidecar.views[view] = lambda query, answer=answer: with_hostile_texts(answer(query))  # type: ignore[misc]
    sidecar.hello = hostile(sidecar.hello)
    sidecar.overview = hostile(sidecar.overview)
    started: FakeSidecar = await nursery.start(sidecar.run)
    return started


def with_hostile_texts(events: Events) -> Events:
    return [(kind, hostile(data)) for kind, data in events]


async def test_texts_of_others_never_run(tab: Tab, hostile_sidecar: FakeSidecar) -> None:
    await tab.open(hostile_sidecar.address)
    for place in PLACES:
        await tab.go(place)
        await tab.wait_for(f"document.querySelector('main').innerText.includes({json.dumps(HOSTILE)})")
        assert await tab.evaluate("window.ran") is None, place
        assert await tab.evaluate("document.querySelectorAll('main script, main img, main iframe').length") == 0, place
        links = await tab.evaluate("[...document.querySelectorAll('a')].map((one) => one.getAttribute('href'))")
        assert [one for one in links if not one.startswith("#")] == [], place
        assert await tab.evaluate("document.querySelectorAll('[onerror], [style*=expression]').length") == 0, place


@pytest.mark.wide
async def test_texts_of_others_never_run_in_a_dialog(tab: Tab, hostile_sidecar: FakeSidecar) -> None:
    hostile_sidecar.results["events-drop"] = {"error": {"code": HOSTILE, "message": HOSTILE}}
    await tab.open(f"{hostile_sidecar.address}#/events")
    await tab.click(".letters .action.danger", "Drop")
    await tab.wait_for(f"document.querySelector('dialog').innerText.includes({json.dumps(HOSTILE)})")
    await tab.click("dialog button.main")
    await tab.wait_for(f"document.querySelector('dialog .outcome').innerText.includes({json.dumps(HOSTILE)})")
    assert await tab.evaluate("window.ran") is None
    [call] = hostile_sidecar.calls
    assert HOSTILE in call.params["group"]
    tab.errors.clear()  # the browser reports the status 409


@pytest.mark.wide
async def test_a_name_of_any_characters_has_an_address(tab: Tab, sidecar: FakeSidecar) -> None:
    asked = []
    sidecar.views["service"] = lambda query: asked.append(query["name"]) or []  # type: ignore[func-returns-value]
    await tab.open(f"{sidecar.address}#/services/x")
    for name in ("a/b?c=d&e#f", "100%", "\u202eevil", "-- ; '", "пример"):
        there = f"location.hash = route.address('service', {json.dumps(name)})"
        await tab.evaluate(f"import('./static/route.js').then((route) => {{ {there} }})")
        readable = name.replace("\u202e", "\\u202e")
        await tab.wait_for(f"document.querySelector('h1').textContent === {json.dumps(readable)}")
    await tab.wait_for("document.body.dataset.connection === 'live'")
    assert [one for one in asked if one != "x"] == ["a/b?c=d&e#f", "100%", "\u202eevil", "-- ; '", "пример"]
