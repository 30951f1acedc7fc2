"""The page of real sidecars: what a browser asks them."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gossipreg.errors import Unavailable
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for

HTTP = ("--http", "127.0.0.1:0")


class OpenPage:
    """A stream of a page."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def next(self, kind: str, fits: Callable[[Any], bool] = lambda _: True) -> Any:
        """The data of the next event of this kind that fits."""
        found, until = "", time.monotonic() + BOUND_S
        while (line := self._response.readline()) and time.monotonic() < until:
            name, _, value = line.decode().strip().partition(": ")
            if name == "event":
                found = value
            elif name == "data" and found == kind and fits(data := json.loads(value)):
                return data
        raise AssertionError(f"no fitting {kind} came")


@contextmanager
def page(sidecar: Sidecar, view: str) -> Iterator[OpenPage]:
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.port("http"), timeout=BOUND_S)
    connection.request("GET", f"/ui/stream?view={view}")
    response = connection.getresponse()
    assert response.status == 200, response.read()
    try:
        yield OpenPage(response)
    finally:
        response.close()
        connection.close()


def test_a_member_is_asked_by_the_page_of_another(cluster: Sidecars) -> None:
    one, two = cluster.start("one", *HTTP).wait_ready(), cluster.start("two").wait_ready()
    wait_for(lambda: one.alive() == two.alive() == {"one", "two"})
    with page(one, f"member&name={two.id}") as shown:
        said = shown.next("member", lambda data: data["load"] is not None)
        assert (said["member"]["name"], said["load"]["members"], said["not_answered"]) == ("two", 2, None)
        assert said["load"]["memory_bytes"] > 10_000_000
    assert two.call("ask-member", member=one.id)["load"]["uptime_s"] > 0
    two.stop()
    try:
        with pytest.raises(Unavailable, match=r"two was asked and has not answered|two is dead"):
            one.call("ask-member", member=two.id)
    finally:
        two.resume()
    wait_for(lambda: one.alive() == {"one", "two"})
    assert one.call("ask-member", member=two.id, service="web")["checks"] == {}


@pytest.mark.wide
def test_events_and_sagas_are_shown_with_who_did_not_answer(cluster: Sidecars, tmp_path: Path) -> None:
    one = cluster.start("one", *HTTP, "--data-dir", str(tmp_path / "one"), "--host-id", "a").wait_ready()
    two = cluster.start("two", "--data-dir", str(tmp_path / "two"), "--host-id", "b").wait_ready()
    wait_for(lambda: one.call("info")["synced"] and two.call("info")["synced"])
    wait_for(lambda: one.alive() == two.alive() == {"one", "two"})
    with page(one, "events") as shown:
        events = shown.next("events")
        assert (events["groups"], events["dead"], events["not_answered"]) == ([], [], [])
        two.call("publish", type="order.created", json={"n": 1})
        led = shown.next("events", lambda data: bool(data["journals"]))
        assert led["journals"][0]["owner_name"] == "two"
    with page(one, "sagas") as shown:
        sagas = shown.next("sagas")
        assert (sagas["items"], sagas["more_open"], sagas["more_ended"]) == ([], False, False)
        assert sagas["not_answered"] == []
    with page(one, "saga&name=0.0") as shown:
        assert shown.next("error")["code"] in ("bad_params", "not_found")
    two.stop()
    try:
        with page(one, "events") as shown:
            shown.next("events", lambda data: "two" in data["not_answered"])
    finally:
        two.resume()


def test_the_page_itself_is_there_with_all_its_files(cluster: Sidecars) -> None:
    one = cluster.start("one", *HTTP).wait_ready()
    connection = http.client.HTTPConnection("127.0.0.1", one.port("http"), timeout=BOUND_S)
    connection.request("GET", "/ui/")
    response = connection.getresponse()
    text = response.read().decode()
    assert (response.status, response.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in (response.getheader("Content-Security-Policy") or "")
    for attribute in ("src", "href"):
        for part in text.split(f'{attribute}="')[1:]:
            name = part.partition('"')[0]
            if name.startswith("static/"):
                connection.request("GET", f"/ui/{name}")
                response = connection.getresponse()
                response.read()
                assert response.status == 200, name
    connection.close()
