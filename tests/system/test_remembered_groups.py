"""Groups whose programs ran before the first event, and do not run now, by the commands that a user types."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import wait_for
from tests.system.test_events import durable, events_in, ids, published, subscribed
from tests.system.test_maintenance import cli


def shown(sidecar: Sidecar) -> dict[str, int]:
    """Each group that is shown, with its instances."""
    found = json.loads(cli(sidecar, "--json", "events", "groups"))["groups"]
    return {one["group"]: one["instances"] for one in found}


def kept(data: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{data / 'gossipreg.db'}?mode=ro", uri=True)) as database:
        return [name for (name,) in database.execute("SELECT name FROM event_groups")]


def test_a_group_that_ended_before_the_first_event_gets_it(cluster: Sidecars, tmp_path: Path) -> None:
    one, two, _ = durable(cluster, tmp_path)
    with subscribed(two, tmp_path, "order.*", "--group", "mail"):
        wait_for(lambda: shown(one) == {"mail": 1})
    wait_for(lambda: shown(one) == {"mail": 0})
    answer = published(one)
    assert answer["groups"] == 1
    with subscribed(two, tmp_path, "order.*", "--group", "mail", "--count", "1000") as mail:
        wait_for(lambda: answer["id"] in ids(mail))
        assert len(events_in(mail)) == 1


def test_a_restarted_sidecar_names_the_groups_that_ran_there(cluster: Sidecars, tmp_path: Path) -> None:
    """It was killed, and its program has not subscribed again when the first event is published elsewhere."""
    one, two, _ = durable(cluster, tmp_path)
    with subscribed(two, tmp_path, "order.*", "--group", "mail"):
        wait_for(lambda: shown(one) == {"mail": 1} and kept(tmp_path / "data1") == ["mail"])
        two.kill()
    two = cluster.start(
        "m1", "--data-dir", str(tmp_path / "data1"), "--host-id", "host1", "--seed", one.gossip
    ).wait_ready()
    wait_for(lambda: two.call("info")["synced"])
    wait_for(lambda: shown(one) == shown(two) == {"mail": 0})
    answer = published(one)
    assert answer["groups"] == 1
    with subscribed(two, tmp_path, "order.*", "--group", "mail", "--count", "1000") as mail:
        wait_for(lambda: answer["id"] in ids(mail))


def test_a_group_of_a_dead_sidecar_is_shown_and_gets_the_event(cluster: Sidecars, tmp_path: Path) -> None:
    one, two, _ = durable(cluster, tmp_path)
    with subscribed(two, tmp_path, "order.*", "--group", "mail"):
        wait_for(lambda: shown(one) == {"mail": 1})
        two.kill()
    wait_for(lambda: two.name not in one.alive())
    wait_for(lambda: shown(one) == {"mail": 0})
    forgot = one.call("events-forget", group="mail")
    assert (forgot["count"], [text.split()[0] for text in forgot["unanswered"]]) == (0, ["m1"])
    assert published(one)["groups"] == 1


def test_a_group_that_only_its_sidecar_remembers_can_be_forgotten(cluster: Sidecars, tmp_path: Path) -> None:
    one, two, _ = durable(cluster, tmp_path)
    with subscribed(two, tmp_path, "order.*", "--group", "mail"):
        wait_for(lambda: shown(one) == {"mail": 1})
    wait_for(lambda: shown(one) == {"mail": 0})
    wait_for(lambda: not one.call("events-forget", group="mail")["unanswered"])
    wait_for(lambda: shown(one) == {} and kept(tmp_path / "data1") == [])
    assert published(one)["groups"] == 0
