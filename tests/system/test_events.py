"""Events between real sidecars, by the commands that a user types."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gossipreg.client import Client
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system.test_maintenance import cli

FAST = ("--profile", "local")


def durable(cluster: Sidecars, folder: Path, n: int = 3) -> list[Sidecar]:
    """Members on as many machines, as their host ids say."""
    members: list[Sidecar] = []
    for number in range(n):
        seed = ("--seed", members[0].gossip) if members else ()
        data = str(folder / f"data{number}")
        one = cluster.start(f"m{number}", "--data-dir", data, "--host-id", f"host{number}", *seed)
        members.append(one.wait_ready())
    for one in members:
        wait_for(lambda one=one: one.call("info")["synced"])  # type: ignore[misc]
    return members


@contextmanager
def subscribed(sidecar: Sidecar, folder: Path, *arguments: str) -> Iterator[Path]:
    """`gossipreg events subscribe` beside this sidecar; yields the file of its output."""
    output = folder / f"{sidecar.name}-{arguments[0].replace('*', 'x').replace('>', 'r')}-{len(arguments)}.jsonl"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*COMMAND, "--socket", str(sidecar.socket), "events", "subscribe", *arguments], stdout=file
        )
    try:
        yield output
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(BOUND_S)


def events_in(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def groups(sidecar: Sidecar) -> dict[str, int]:
    """What waits for each group that a journal knows."""
    found = json.loads(cli(sidecar, "--json", "events", "groups"))["groups"]
    return {one["group"]: one["pending"] for one in found if one["journals"]}


def test_each_group_gets_an_event_once(cluster: Sidecars, tmp_path: Path) -> None:
    one, two, three = durable(cluster, tmp_path)
    with (
        subscribed(two, tmp_path, "order.*", "--group", "stock") as stock,
        subscribed(three, tmp_path, "order.created", "--group", "mail") as mail,
        subscribed(one, tmp_path, "user.*", "--group", "other") as other,
    ):
        wait_for(lambda: published(one)["groups"] == 2)
        wait_for(lambda: bool(events_in(stock) and events_in(mail)))
        id = cli(one, "events", "publish", "order.created", '{"id": 7}', "--key", "a").strip()
        wait_for(lambda: id in ids(stock) and id in ids(mail))
        assert ids(stock).count(id) == ids(mail).count(id) == 1
        assert ids(other) == []
        [event] = [event for event in events_in(stock) if event["id"] == id]
        assert event["data"] == {"id": 7}
        assert (event["type"], event["partitionkey"]) == ("order.created", "a")
        wait_for(lambda: groups(two) == {"stock": 0, "mail": 0})


def ids(file: Path) -> list[str]:
    return [event["id"] for event in events_in(file)]


def published(sidecar: Sidecar, **params: Any) -> dict[str, Any]:
    with Client(str(sidecar.socket), timeout_s=BOUND_S) as client:
        result: dict[str, Any] = client.call("publish", type="order.created", data=b"{}", timeout=BOUND_S / 2, **params)
        return result


def test_event_outlives_its_publishers_host(cluster: Sidecars, tmp_path: Path) -> None:
    """It was acknowledged, nobody handled it yet, and the host burns with its disk: both groups get it."""
    members = durable(cluster, tmp_path)
    one, two, three = members
    with (
        subscribed(two, tmp_path, "order.*", "--group", "stock"),
        subscribed(three, tmp_path, "order.*", "--group", "mail"),
    ):
        wait_for(lambda: published(one)["groups"] == 2)
    wait_for(lambda: published(one)["takeover"])
    answer = published(one)
    assert (answer["takeover"], answer["groups"]) == (True, 2)
    assert answer["copies"] >= 2
    one.kill()
    with (
        subscribed(two, tmp_path, "order.*", "--group", "stock", "--count", "1000") as stock,
        subscribed(three, tmp_path, "order.*", "--group", "mail", "--count", "1000") as mail,
    ):
        wait_for(lambda: answer["id"] in ids(stock) and answer["id"] in ids(mail))


def test_with_one_copy_a_restart_delivers(cluster: Sidecars, tmp_path: Path) -> None:
    [one] = durable(cluster, tmp_path, 1)
    with subscribed(one, tmp_path, "order.*", "--group", "mail"):
        wait_for(lambda: published(one)["groups"] == 1)
    answer = published(one)
    assert (answer["copies"], answer["takeover"]) == (1, False)
    one.kill()
    one = cluster.start("m0", "--data-dir", str(tmp_path / "data0"), "--host-id", "host0").wait_ready()
    with subscribed(one, tmp_path, "order.*", "--group", "mail", "--count", "1000") as mail:
        wait_for(lambda: answer["id"] in ids(mail))


def test_publish_without_a_data_directory_says_so(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    said = cli(one, "events", "publish", "order.created", code=4)
    assert said == "Error: this sidecar has no disk to publish to: start it with --data-dir DIR\n"


def test_rejected_event_is_a_dead_letter_that_can_be_retried(cluster: Sidecars, tmp_path: Path) -> None:
    [one] = durable(cluster, tmp_path, 1)
    with Client(str(one.socket), timeout_s=BOUND_S) as client:
        stream = client.subscribe(pattern="order.*", group="mail")
        with stream:
            wait_for(lambda: published(one)["groups"] == 1)
            what, given = stream.next(BOUND_S) or ("", {})
            assert what == "event"
            stream.tell("reject", delivery=given["delivery"], reason="no such customer")
            wait_for(lambda: "no such customer" in cli(one, "events", "dead"))
            assert cli(one, "events", "retry", "--group", "mail") == "1 dead letters go out again\n"
            while True:
                what, again = stream.next(BOUND_S) or ("", {})
                stream.tell("ack", delivery=again["delivery"])
                if again["event"]["id"] == given["event"]["id"]:
                    break
            assert again["attempt"] == 1
            wait_for(lambda: groups(one) == {"mail": 0})
