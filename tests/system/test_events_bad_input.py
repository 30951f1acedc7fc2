"""What people and programs do wrong with events, and what goes wrong around them: each has a clear answer, and nothing
that was acknowledged is lost."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gossipreg.client import Client
from gossipreg.errors import RequestError
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system.test_events import durable, groups, published
from tests.system.test_maintenance import cli


def refused(sidecar: Sidecar, method: str, **params: Any) -> tuple[str, str]:
    """The code and the text of the error."""
    with Client(str(sidecar.socket), timeout_s=BOUND_S) as client:
        call = client.subscribe if method == "subscribe" else partial(client.call, method)
        with pytest.raises(RequestError) as caught:
            call(**params)
    return caught.value.code, str(caught.value)


def troubles(sidecar: Sidecar) -> list[str]:
    return [one["message"] for one in sidecar.call("info")["troubles"]]


def take(stream: Any) -> dict[str, Any]:
    """The next event."""
    what, given = stream.next(BOUND_S) or ("nothing", {})
    assert what == "event", given
    return dict(given)


ODD_TYPES = {
    "order created": "has a space",
    "order\ncreated": "cannot be printed",
    "order\x00": "cannot be printed",
    "order.*": "stands for others",
    ">": "stands for others",
    "order..created": "empty token",
    "order*": "within a token",
    "": "empty",
    "o" * 300: "at most 255 bytes",
    "\N{PACKAGE}" * 70: "at most 255 bytes",
}
ODD_GROUPS = {
    "our mail": "has a space",
    "order.*": "as patterns have",
    "mail\x1b[31m": "control characters",
    "m" * 300: "255",
    "": "group",
}
ODD_PATTERNS = {
    "order.>.x": "before its end",
    "order*": "within a token",
    "order. *": "has a space",
    "": "empty",
    "o" * 300: "at most 255 bytes",
}
ODD_OPTIONS: dict[str, Any] = {
    "window": 0, "max_attempts": 0, "ack_timeout": 0, "on_dead": "explode", "surprise": 1,
}  # fmt: skip


def test_events_with_odd_names_and_sizes_are_refused_by_name(cluster: Sidecars, tmp_path: Path) -> None:
    [one] = durable(cluster, tmp_path, 1)
    for type, words in ODD_TYPES.items():
        code, text = refused(one, "publish", type=type, data=b"x")
        assert (code, words in text) == ("bad_params", True), (type, text)
        assert "\n" not in text
    assert refused(one, "publish", type="order", data=bytes(200 * 1024))[0] == "too_large"
    assert refused(one, "publish", type="order", data_base64="eA==", data=b"x")[0] == "bad_params"
    assert refused(one, "publish", type="order", data=b"x", id="i" * 300)[0] == "bad_params"
    assert refused(one, "publish", type="order", data=b"x", extensions={"Upper": "x"})[0] == "bad_params"
    odd = [("group", ODD_GROUPS, {"pattern": "order"}), ("pattern", ODD_PATTERNS, {"group": "mail"})]
    for name, values, more in odd:
        for value, words in values.items():
            code, text = refused(one, "subscribe", **{name: value}, **more)
            assert (code, words in text) == ("bad_params", True), (name, value, text)
            assert text.isprintable()
    for name, value in ODD_OPTIONS.items():
        code, text = refused(one, "subscribe", pattern="order", group="mail", **{name: value})
        assert (code, name in text) == ("bad_params", True), (name, text)
    assert refused(one, "ack", delivery=7)[0] in ("not_found", "bad_params", "unknown_method")
    with (
        Client(str(one.socket), timeout_s=BOUND_S) as client,
        client.subscribe(pattern="\N{PACKAGE}.>", group="\N{ENVELOPE}") as stream,
    ):
        wait_for(lambda: client.call("publish", type="\N{PACKAGE}.sent", data="x")["groups"] == 1)
        assert take(stream)["event"]["type"] == "\N{PACKAGE}.sent"


@pytest.mark.wide
def test_a_handler_that_never_answers_loses_the_event_to_another(cluster: Sidecars, tmp_path: Path) -> None:
    [one] = durable(cluster, tmp_path, 1)
    with Client(str(one.socket), timeout_s=BOUND_S) as client:
        with client.subscribe(pattern="order.*", group="mail", ack_timeout=0.3, window=1) as hangs:
            wait_for(lambda: published(one)["groups"] == 1)
            first = take(hangs)
            what, dropped = hangs.next(BOUND_S) or ("", {})
            assert (what, dropped["delivery"]) == ("dropped", first["delivery"])
        with client.subscribe(pattern="order.*", group="mail") as works:
            again = take(works)
            assert (again["event"]["id"], again["attempt"]) == (first["event"]["id"], 2)
            works.tell("ack", delivery=again["delivery"])
            wait_for(lambda: groups(one) == {"mail": 0})


def test_acks_that_come_twice_or_from_others_change_nothing(cluster: Sidecars, tmp_path: Path) -> None:
    [one] = durable(cluster, tmp_path, 1)
    with (
        Client(str(one.socket), timeout_s=BOUND_S) as client,
        client.subscribe(pattern="order.*", group="mail") as mine,
    ):
        wait_for(lambda: published(one)["groups"] == 1)
        given = take(mine)
        with client.subscribe(pattern="user.*", group="other") as others:
            others.tell("ack", delivery=given["delivery"])
            with pytest.raises(RequestError) as caught:
                others.next(BOUND_S)
            assert caught.value.code == "not_found"
        assert groups(one)["mail"] == 1
        mine.tell("ack", delivery=given["delivery"])
        mine.tell("ack", delivery=given["delivery"])
        mine.tell("reject", delivery=given["delivery"])
        wait_for(lambda: groups(one)["mail"] == 0)
        assert json_dead(one) == []


def json_dead(sidecar: Sidecar) -> list[Any]:
    with Client(str(sidecar.socket), timeout_s=BOUND_S) as client:
        return list(client.call("events-dead")["letters"])


@pytest.mark.wide
def test_journals_of_a_newer_release_refuse_publishing_and_stay(cluster: Sidecars, tmp_path: Path) -> None:
    [one] = durable(cluster, tmp_path, 1)
    assert published(one)["copies"] == 1
    one.kill()
    file = tmp_path / "data0" / "journals.db"
    with sqlite3.connect(file) as database:
        database.execute("UPDATE store SET layout = 9999")
        database.execute("PRAGMA user_version = 9999")
    database.close()
    one = cluster.start("m0", "--data-dir", str(tmp_path / "data0"), "--host-id", "host0").wait_ready()
    wait_for(lambda: any("newer" in text for text in troubles(one)))
    code, text = refused(one, "publish", type="order", data=b"x", timeout=1.0)
    assert code == "unavailable", text
    assert "the journals of m0: see `gossipreg info`" in cli(one, "events", "groups", code=4)
    with sqlite3.connect(file) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (9999,)
    database.close()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mount: {mounted.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def publish_until_refused(sidecar: Sidecar, taken: list[str]) -> str:
    """The code of the refusal; `taken` gets the ids of what was acknowledged."""
    with Client(str(sidecar.socket), timeout_s=BOUND_S) as client:
        while len(taken) < 1000:
            try:
                answer = client.call("publish", type="order.created", data=bytes(50_000), timeout=10.0)
            except RequestError as error:
                return error.code
            taken.append(answer["id"])
    return ""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_fills_up_refuses_and_loses_nothing_acknowledged(cluster: Sidecars, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        one = cluster.start("m0", "--data-dir", str(disk), "--group", "mail=order.*").wait_ready()
        wait_for(lambda: one.call("info")["synced"])
        taken: list[str] = []
        code = publish_until_refused(one, taken)
        assert code in ("unavailable", "outcome_unknown")
        assert 2 < len(taken) < 200
        wait_for(lambda: any("disk is full" in text or "No space left" in text for text in troubles(one)))
        subprocess.run(["mount", "-o", "remount,size=40m", disk], check=True)
        wait_for(lambda: troubles(one) == [])
        missing = set(taken)
        with (
            Client(str(one.socket), timeout_s=BOUND_S) as client,
            client.subscribe(pattern="order.*", group="mail") as stream,
        ):
            while missing:
                given = take(stream)
                missing.discard(given["event"]["id"])
                stream.tell("ack", delivery=given["delivery"])
        one.close()


@pytest.mark.wide
def test_a_group_that_is_gone_for_good_is_forgotten_by_hand(cluster: Sidecars, tmp_path: Path) -> None:
    [one] = durable(cluster, tmp_path, 1)
    with Client(str(one.socket), timeout_s=BOUND_S) as client, client.subscribe(pattern="order.*", group="mail"):
        wait_for(lambda: published(one)["groups"] == 1)
    assert published(one)["groups"] == 1
    info = one.call("info")["events"]
    assert info["groups"]["mail"]["pending"] == 2
    assert "pending 2" in cli(one, "info")
    cli(one, "events", "groups", "--forget", "mail")
    assert published(one)["groups"] == 0
    assert groups(one) == {}
    one.wait_logged("group_forgotten")
    assert one.call("info")["counters"]["events.groups_forgotten"] == 1


@pytest.mark.wide
def test_a_declared_group_gets_what_came_before_it_subscribed(cluster: Sidecars, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    one = cluster.start("m0", "--data-dir", data, "--group", "mail=order.*", "--group", "mail=user.*").wait_ready()
    wait_for(lambda: one.call("info")["synced"])
    answer = published(one)
    assert answer["groups"] == 1
    with (
        Client(str(one.socket), timeout_s=BOUND_S) as client,
        client.subscribe(pattern="order.*", group="mail") as stream,
    ):
        assert take(stream)["event"]["id"] == answer["id"]


@pytest.mark.wide
def test_a_publisher_takes_up_groups_that_others_remember(cluster: Sidecars, tmp_path: Path) -> None:
    """The group is gone when the second publisher writes its first event, and gets it all the same when it is back."""
    one, two = durable(cluster, tmp_path, 2)
    with Client(str(one.socket), timeout_s=BOUND_S) as client, client.subscribe(pattern="order.*", group="mail"):
        wait_for(lambda: published(one)["groups"] == 1)
    id = []

    def is_known() -> bool:
        answer = published(two)
        id.append(answer["id"])
        return bool(answer["groups"])

    wait_for(is_known)
    with (
        Client(str(two.socket), timeout_s=BOUND_S) as client,
        client.subscribe(pattern="order.*", group="mail") as stream,
    ):
        found = take(stream)
        while found["event"]["id"] != id[-1]:
            stream.tell("ack", delivery=found["delivery"])
            found = take(stream)


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--group", "mail", "write NAME=PATTERN"),
        ("--group", "our mail=x", "has a space"),
        ("--group", "mail=a..b", "empty token"),
        ("--group", "mail=order*", "within a token"),
        ("--dapr-app", "shop.*", "as patterns have"),
    ],
)
def test_a_flag_with_a_group_that_is_none_ends_join_with_2(flag: str, value: str, words: str, tmp_path: Path) -> None:
    from scripts.tools.sidecars import COMMAND

    http = ("--http", "127.0.0.1:0") if flag == "--dapr-app" else ()
    line = [*COMMAND, "join", "--bind", "127.0.0.1:0", "--socket", str(tmp_path / "s"), flag, value, *http]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1), ended.stderr
    assert flag in ended.stderr
    assert words in ended.stderr
