"""All that is shown is somebody else's text: it stays text, in the tables and in the data of the streams."""

import json
from collections.abc import AsyncIterator, Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gossipreg.gateway.http.ui.asked_views import AskedViews
from gossipreg.gateway.http.ui.page_tables import POLICY, text_of
from gossipreg.model import Health
from gossipreg.sidecar_api import SidecarApi
from tests.daemon.conftest import ME, Inside
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Served, running
from tests.gateway.http.ui.page_reader import open_page

SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
LINK = "javascript:alert(1)"
EVENT = "x\n\nevent: hello\ndata: {}"
TURNED = "a\u202eb\u0000c"
TEXTS = (SCRIPT, IMAGE, LINK, "</td></table>", "&lt;b&gt;", "' onload='x", "{{7*7}}", "${7*7}")


def named(text: str) -> str:
    """As the name or the id of a service, which has neither slash nor space."""
    return text.replace("/", "").replace(" ", "_")


OF_THE_PAGE = frozenset(
    (
        *("html", "head", "meta", "title", "link", "body", "main", "h1", "h2", "p", "ul", "li", "table", "thead"),
        *("tbody", "tr", "th", "td", "div"),
    )
)
OWN_ATTRIBUTES = frozenset(("lang", "charset", "name", "content", "rel", "href", "scope", "class", "tabindex", "role"))
HREFS = frozenset(("static/icon.svg", "static/base.css", "static/tables.css"))


class ReadTables(HTMLParser):
    """Reads HTML as a browser does; whatever is not the page's own is noted."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.cells: list[str] = []
        self.foreign: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in OF_THE_PAGE:
            self.foreign.append(tag)
        for name, value in attrs:
            if name not in (*OWN_ATTRIBUTES, "aria-label") or (name == "href" and value not in HREFS):
                self.foreign.append(f"{tag} {name}={value}")
        self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


@pytest.fixture
async def hostile(tmp_path: Path) -> AsyncIterator[Served]:
    """A sidecar with a hostile text in every field of its services, and of another member."""
    network = MemoryNetwork()
    async with running(Served(tmp_path, network, "one")) as served:
        for number, text in enumerate(TEXTS, 1):
            await served.services.register(
                {"name": named(text), "id": f"{named(text)}{number}", "port": number, "tags": [text],
                 "meta": {"k": text}, "checks": ["ttl:1h"]}, by=ME, holder=None,
            )  # fmt: skip
            served.services.heartbeat(f"{named(text)}{number}", Health.CRITICAL, text, by=ME)
            served.history.note("thing", text, service=named(text))
        for text in TEXTS[::2]:
            await served.services.maintain(f"{named(text)}{TEXTS.index(text) + 1}", text, by=ME)
        async with trio.open_nursery() as nursery:
            for number, text in enumerate(TEXTS, 2):
                other = Inside(network, text, number, zone=text, labels=((text, text),), software=text[:32])
                nursery.start_soon(other.pump.run)
                other.seek(*served.transport.local_addresses)
                await other.services.maintain(None, text, by=ME)
            with trio.fail_after(60):
                while not all(_is_known(served, text) for text in TEXTS):
                    await wait_all_tasks_blocked(0.01)
            yield served
            nursery.cancel_scope.cancel()


def _is_known(served: Served, name: str) -> bool:
    members = served.node.members(trio.current_time())
    return any(one.name == name and one.maintenance == name for one in members)


async def test_the_tables_show_hostile_text_as_text(hostile: Served) -> None:
    reply = await hostile.get("/ui/tables")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["content-security-policy"] == POLICY
    assert "script" not in POLICY
    assert reply.headers["cache-control"] == "no-store"
    read = ReadTables(reply.body.decode())
    assert read.foreign == []
    for text in TEXTS:
        assert read.cells.count(text) >= 4, f"as name, zone, reason and tag: {text}"
        assert named(text) in read.cells


@pytest.mark.parametrize("view", ["overview", "members", "services", "history"])
async def test_streams_carry_hostile_text_as_data(hostile: Served, view: str) -> None:
    page = await open_page(hostile, view)
    if view in ("members", "services"):
        shown = json.dumps(await page.next(view, lambda data: len(data["items"]) >= len(TEXTS)), ensure_ascii=False)
        wanted = TEXTS if view == "members" else [named(text) for text in TEXTS]
        assert [text for text in wanted if json.dumps(text, ensure_ascii=False) not in shown] == []
    overview = await page.next("overview")
    said = json.dumps([overview["failing_checks"], overview["maintenance"]], ensure_ascii=False)
    assert [text for text in TEXTS if json.dumps(text, ensure_ascii=False)[1:-1] not in said] == []


async def test_a_view_may_have_a_hostile_name(hostile: Served) -> None:
    for number, text in enumerate(TEXTS, 1):
        page = await open_page(hostile, "service", name=named(text))
        shown = await page.next("service")
        assert shown["name"] == named(text)
        assert (shown["instances"][0]["tags"], shown["instances"][0]["meta"]) == ([text], {"k": text})
        assert [one["id"] for one in shown["instances"]] == [f"{named(text)}{number}"]


@pytest.mark.parametrize("line_end", ["\n", "\r"])
async def test_a_line_end_in_a_text_begins_no_event(served: Served, line_end: str) -> None:
    await served.services.register({"name": "web", "port": 1, "checks": ["ttl:1h"]}, by=ME, holder=None)
    served.services.heartbeat("web-1", Health.CRITICAL, EVENT.replace("\n", line_end), by=ME)
    page = await open_page(served, "service", name="web")
    kinds = [(await page.event())[0] for _ in range(3)]
    assert sorted(kinds) == ["hello", "overview", "service"]


@pytest.mark.parametrize("text", [*TEXTS, EVENT, TURNED])
async def test_events_and_sagas_with_hostile_names_are_data(text: str) -> None:
    answers = {
        "events-groups": {"groups": [{"group": text, "patterns": [text]}], "left_out": 0, "unanswered": [text]},
        "events-dead": {"letters": [{"group": text, "type": text, "reason": text}], "unanswered": []},
        "journals": [{"owner_name": text}],
        "saga-list": {"sagas": [{"saga": text, "name": text}], "unanswered": [text], "more": False},
        "saga-show": {"name": text, "steps": [{"name": text, "text": text}]},
    }

    class Sidecar:
        async def ask(self, method: str, _params: object, _caller: object) -> object:
            return answers[method]

    views = AskedViews(cast(SidecarApi, Sidecar()), ME)
    for made in (await views.events(), await views.sagas(), await views.saga(text)):
        assert made.data.isascii()
        assert b"\n" not in made.data
        assert text in json.loads(made.data, object_hook=lambda found: _flat(found.values()))


def _flat(values: Iterable[Any]) -> list[Any]:
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def test_text_of_html_opens_nothing_and_turns_nothing() -> None:
    for text in (*TEXTS, EVENT, TURNED):
        made = text_of(text)
        assert not set("<>\"'") & set(made)
        assert made.isprintable()
    assert text_of(None) == ""
    assert text_of(0) == "0"


async def test_an_error_about_a_hostile_request_is_json(served: Served) -> None:
    for path in (f"/ui/{IMAGE}", f"/ui/static/{SCRIPT}", f"/ui/stream?view={SCRIPT}", f"/ui/rpc/{SCRIPT}"):
        reply = await served.get(path.replace(" ", "%20"))
        assert reply.status in (400, 404, 405)
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert json.loads(reply.body)["error"]["code"]
