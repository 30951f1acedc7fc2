"""Journals of real sidecars: their leader ends or is killed, the keys of the cluster change, one copy is left."""

import base64
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

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
