"""Journals of real sidecars: their leader ends or is killed, the keys of the cluster change, one copy is left."""

import base64
import json
import os
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from gossipreg.daemon.journals_file import JOURNALS
from gossipreg.errors import NotSynced, RequestError, Unavailable
from gossipreg.sagas.saga_survey import CLOSED
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system.test_events import durable, events_in, groups, ids, published, subscribed
from tests.system.test_maintenance import cli


def journals(sidecar: Sidecar) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sidecar.call("journals")
    return found


def leads(sidecar: Sidecar) -> bool:
    return any(one["role"] == "leads" for one in journals(sidecar))


def with_events_that_wait(cluster: Sidecars, folder: Path) -> tuple[list[Sidecar], str]:
    """Three copies of the journal of the first member, and the id of an event in it that a group has not got yet."""
    members = durable(cluster, folder)
    one, two, _ = members
    with subscribed(two, folder, "order.*", "--group", "stock"):
        wait_for(lambda: published(one)["groups"] == 1)
    wait_for(lambda: published(one)["takeover"])
    id = published(one)["id"]
    wait_for(lambda: all(voter["state"] in ("here", "current") for voter in journals(one)[0]["voters"]))
    return members, id


def test_sigterm_of_a_leader_hands_its_journal_over(cluster: Sidecars, tmp_path: Path) -> None:
    """It gives way to another voter that stands; it does not just withdraw its claim, or leave with it."""
    (one, *others), id = with_events_that_wait(cluster, tmp_path)
    assert one.end() == 0
    log = one.log.read_text()
    assert "journal_not_led" in log
    assert "this member leaves" not in log
    assert "journals_not_handed_over" not in log
    wait_for(lambda: any(map(leads, others)))
    with subscribed(others[0], tmp_path, "order.*", "--group", "stock", "--count", "1000") as stock:
        wait_for(lambda: id in ids(stock))


@pytest.mark.wide
def test_a_killed_leader_votes_again_after_a_restart(cluster: Sidecars, tmp_path: Path) -> None:
    (one, *others), id = with_events_that_wait(cluster, tmp_path)
    one.kill()
    wait_for(lambda: any(map(leads, others)))
    leader = next(filter(leads, others))
    again = cluster.start("m0", "--data-dir", str(tmp_path / "data0"), "--host-id", "host0").wait_ready()

    def is_current() -> bool:
        voters = [voter for shown in journals(leader) for voter in shown["voters"]]
        return leads(again) or any(one["name"] == "m0" and one["state"] == "current" for one in voters)

    wait_for(is_current)
    with subscribed(again, tmp_path, "order.*", "--group", "stock", "--count", "1000") as stock:
        wait_for(lambda: id in ids(stock))
        wait_for(lambda: groups(again) == {"stock": 0})
        assert len(ids(stock)) == len(events_in(stock))


@pytest.mark.wide
def test_streams_come_back_with_the_new_key(cluster: Sidecars, tmp_path: Path) -> None:
    (one, *others), _ = with_events_that_wait(cluster, tmp_path)
    old = cluster.key_file.read_text().strip()
    new = base64.b64encode(os.urandom(32)).decode()
    for keys in (f"{old}\n{new}", f"{new}\n{old}", new):
        cluster.key_file.write_text(keys)
        for member in (one, *others):
            cli(member, "reload")
    answer = published(one)
    assert answer["takeover"]
    wait_for(lambda: published(one)["copies"] >= 2)
    assert leads(one)
    assert all(member.alive() == {"m0", "m1", "m2"} for member in (one, *others))


@pytest.mark.wide
def test_the_last_copy_is_recovered_by_an_operator(cluster: Sidecars, tmp_path: Path) -> None:
    (one, two, left), id = with_events_that_wait(cluster, tmp_path)
    journal = journals(left)[0]["id"]
    assert "leads this journal: there is nothing to recover" in cli(left, "journal", "recover", journal, code=4)
    for gone in (one, two):
        gone.process.send_signal(signal.SIGKILL)
    for gone in (one, two):
        gone.process.wait(BOUND_S)
        wait_for(lambda gone=gone: gone.name not in left.alive())  # type: ignore[misc]
        cli(left, "force-leave", gone.name)
    wait_for(lambda: journals(left)[0]["role"] == "leaderless")
    said = cli(left, "journal", "recover", journal[:6], code=2)
    assert "nothing was done: add --yes if the other voters are gone for good" in said
    assert all(name in said for name in ("m0", "m1", "m2"))
    assert not leads(left)
    done = json.loads(cli(left, "--json", "journal", "recover", journal, "--yes"))
    assert done["recovered"]
    wait_for(lambda: leads(left))
    left.wait_logged("journal_recovered")
    with subscribed(left, tmp_path, "order.*", "--group", "stock", "--count", "1000") as stock:
        wait_for(lambda: id in ids(stock))


def test_yes_is_for_a_recovery_alone(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    assert "--yes is for `journal recover`" in cli(one, "journal", "list", "--yes", code=2)
    assert "`journal recover` needs an ID" in cli(one, "journal", "recover", code=2)
    assert "no copy of a journal 'abc' is here" in cli(one, "journal", "recover", "abc", "--yes", code=4)


LOST = {
    "name": "lost",
    "step": [{"name": "a", "service": "nobody", "method": "PUT", "path": "/", "harmless": True, "undo": None}],
}


@pytest.mark.parametrize("damage", ["garbage", "newer"])
def test_sagas_of_a_database_that_cannot_be_read_are_missing(cluster: Sidecars, tmp_path: Path, damage: str) -> None:
    """Both lists were empty, with exit code 0. The other sidecar has met the journal before."""
    flags = ("--data-dir", str(tmp_path / "data"))
    one = cluster.start("m0", *flags).wait_ready()
    other = cluster.start("m1", "--seed", one.gossip).wait_ready()
    saga = one.call("saga-run", definition=LOST)["saga"]
    wait_for(lambda: [story["saga"] for story in other.call("saga-list")["sagas"]] == [saga])
    assert one.end() == 0
    path = tmp_path / "data" / JOURNALS
    if damage == "garbage":
        path.write_bytes(b"no database at all" * 1000)
    else:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("PRAGMA user_version = 99")
            database.execute("UPDATE store SET layout = 99")
    again = cluster.start("m0", *flags).wait_ready()
    listed = again.call("saga-list")
    journal = f"journal {saga[:8]}: nobody leads it"
    missing = journal if damage == "garbage" else CLOSED
    assert (listed["sagas"], listed["unanswered"]) == ([], [missing])
    with pytest.raises(RequestError, match=r"no saga .* where a journal is led, but") as caught:
        again.call("saga-show", saga=saga[33:])
    assert caught.value.code == "unavailable"
    if damage == "garbage":
        wait_for(lambda: other.call("saga-list")["unanswered"] == [f"{journal}, see `gossipreg info` at m0"])


def test_saga_of_an_id_runs_once_though_its_sidecar_lost_its_disk(cluster: Sidecars, tmp_path: Path) -> None:
    """A sidecar that came back without its copy opened another journal, where the id was new."""
    members = durable(cluster, tmp_path)
    wait_for(lambda: members[0].call("saga-run", definition=LOST)["takeover"])
    first = members[0].call("saga-run", definition=LOST, id="once")
    members[0].kill()
    for file in (tmp_path / "data0").glob(f"{JOURNALS}*"):
        file.unlink()
    again = cluster.start("m0", "--data-dir", str(tmp_path / "data0"), "--host-id", "host0").wait_ready()
    answers: list[dict[str, Any]] = []

    def answered() -> bool:
        with suppress(Unavailable, NotSynced):
            answers.append(again.call("saga-run", definition=LOST, id="once"))
        return bool(answers)

    wait_for(answered)
    assert (answers[0]["saga"], answers[0]["exists"]) == (first["saga"], True)
