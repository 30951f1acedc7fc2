"""The history of real sidecars: what a person asks in the morning, after kills, full disks and hostile names."""

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.small_disk import SmallDisk
from scripts.tools.wait import BOUND_S, wait_for


def history(sidecar: Sidecar, *args: str, code: int = 0) -> list[str]:
    """The lines of `gossipreg history`, without their times."""
    ended = subprocess.run(
        [*COMMAND, "--socket", str(sidecar.socket), "history", *args], capture_output=True, text=True, timeout=BOUND_S
    )
    assert ended.returncode == code, ended.stderr
    return [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line) for line in ended.stdout.splitlines()]


def lines(sidecar: Sidecar, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sidecar.call("history", **params)["lines"]
    return found


def kinds(sidecar: Sidecar) -> list[str]:
    return [line["kind"] for line in lines(sidecar, after=0, limit=5000)]


def test_the_history_goes_on_over_a_kill_and_a_clean_stop(cluster: Sidecars, tmp_path: Path) -> None:
    data = ("--data-dir", str(tmp_path / "data"))
    one = cluster.start("one", *data).wait_ready()
    one.call("register", name="billing", port=8101)
    wait_for(lambda: "service_registered" in kinds(one))
    wait_for(lambda: b"billing-8101" in (tmp_path / "data" / "history.db-wal").read_bytes())
    one.kill()
    one = cluster.start("one", *data).wait_ready()
    starts = [line["message"] for line in lines(one, kind="start")]
    assert [text.rpartition(", ")[2] for text in starts] == ["for the first time", "after an unclean stop"]
    assert "billing-8101 registered by uid" in history(one, "--service", "billing")[0]
    assert one.end() == 0
    one = cluster.start("one", *data).wait_ready()
    assert lines(one, kind="start")[-1]["after"] == "clean"
    seqs = [line["seq"] for line in lines(one, after=0)]
    assert seqs == sorted(set(seqs))


def test_a_death_is_told_with_who_declared_it_and_why(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    two = cluster.start("two").wait_ready()
    three = cluster.start("three").wait_ready()
    three.call("register", name="billing", port=8101)
    wait_for(lambda: len(one.call("lookup", name="billing")) == 1 == len(two.call("lookup", name="billing")))
    three.kill()
    wait_for(lambda: "answers_left" in kinds(one) and "answers_left" in kinds(two))
    deaths = [history(each, "--member", "three", "--kind", "member_dead") for each in (one, two)]
    by = {line["by"] for each in (one, two) for line in lines(each, kind="member_dead")}
    assert by <= {"one", "two"}
    assert any(re.search(rf"three declared dead by {name}: .* as seen by ", each[0]) for each, name in
               zip(deaths, ("one", "two"), strict=True))  # fmt: skip
    assert "billing-8101 of three left the answers: three is dead" in history(one, "--service", "billing")[-1]


def test_everywhere_shows_what_each_member_saw(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    two = cluster.start("two").wait_ready()
    two.call("register", name="billing", port=8101)
    wait_for(lambda: len(one.call("lookup", name="billing")) == 1)
    shown = history(one, "--everywhere", "--service", "billing")
    assert sorted(line.split()[0] for line in shown) == ["one", "two"]
    found = one.call("history-everywhere")
    assert {each["name"] for each in found["members"]} == {"one", "two"}
    assert all(abs(each["clock_ahead_s"]) <= each["clock_uncertain_s"] + 0.05 for each in found["members"])
    assert found["disagreements"] == []


def test_following_shows_lines_as_they_come_and_goes_on_after_a_restart(cluster: Sidecars, tmp_path: Path) -> None:
    data = ("--data-dir", str(tmp_path / "data"))
    one = cluster.start("one", *data).wait_ready()
    command = [*COMMAND, "--socket", str(one.socket), "--json", "history", "--follow", "--service", "billing"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        try:
            assert follower.stdout is not None
            one.call("register", name="billing", port=8101)
            assert json.loads(follower.stdout.readline())["kind"] == "service_registered"
            assert one.end() == 0
            one = cluster.start("one", *data).wait_ready()
            one.call("deregister", id="billing-8101")
            seen = [json.loads(follower.stdout.readline())["kind"] for _ in range(2)]
            assert seen == ["service_registered", "service_deregistered"]
        finally:
            follower.send_signal(signal.SIGINT)
            assert follower.wait(BOUND_S) == 130


def test_a_full_disk_stops_nobody_and_loses_no_line(cluster: Sidecars) -> None:
    disk = SmallDisk(cluster.folder / "disk", 8 << 20)
    try:
        if not disk.works:
            pytest.skip("a small disk can be mounted by root alone")
        one = cluster.start("one", "--data-dir", str(disk.path / "data")).wait_ready()
        disk.fill()
        for number in range(100):
            one.call("register", name=f"s{number}", port=1, attach=True)
        wait_for(lambda: any("the history" in each["message"] for each in one.call("info")["troubles"]))
        assert one.call("history")["fault"]
        before = [line["seq"] for line in lines(one, after=0, limit=5000)]
        disk.empty()
        wait_for(lambda: "history_kept_again" in kinds(one))
        assert lines(one, kind="history_kept_again")[0]["lost"] == 0
        assert [line["seq"] for line in lines(one, after=0, limit=5000)][: len(before)] == before
        assert one.end() == 0
    finally:
        disk.close()


SECRET = "s3cr3t-0f-somebody"


def test_no_secret_gets_into_the_history(cluster: Sidecars, tmp_path: Path) -> None:
    script = tmp_path / "check.sh"
    script.write_text(f"#!/bin/sh\necho {SECRET}\nexit 2\n")
    script.chmod(0o755)
    services = tmp_path / "services.toml"
    services.write_text(
        '[[service]]\nname = "of-file"\nport = 9\nchecks = [{check = "http://127.0.0.1:1/", interval = "1s", method = '
        f'"POST", header = {{Authorization = "Bearer {SECRET}"}}, body = "{SECRET}"}}]\n'
    )
    one = cluster.start(
        "one", "--data-dir", str(tmp_path / "data"), "--allow-cmd-checks", "--services", str(services)
    ).wait_ready()
    checks = [
        f"cmd:{script} {SECRET},interval=1s,deregister_after=2s",
        f"http://127.0.0.1:1/{SECRET}?t={SECRET},interval=1s",
        "ttl:1s",
    ]
    for number, check in enumerate(checks):
        one.call("register", name=f"s{number}", port=80 + number, checks=[check], meta={"token": SECRET})
    one.call("heartbeat", id="s2-82")
    one.call("heartbeat", id="s2-82", status="critical", note=SECRET)
    key = cluster.key_file.read_text().strip()
    cluster.key_file.write_text(f"{SECRET}\n")
    with pytest.raises(Exception, match="key"):
        one.call("reload")
    cluster.key_file.write_text(key + "\n")
    one.call("reload")
    wait_for(lambda: {"service_expired", "keys_not_read", "keys_read"} <= set(kinds(one)))
    shown = json.dumps(lines(one, after=0, limit=5000))
    assert "cmd check failed: exit code 2" in shown or "left the answers for good" in shown
    assert one.end() == 0
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("history.db*"))
    for secret in (SECRET, key):
        assert secret not in shown
        assert secret.encode() not in kept


def test_hostile_names_stay_in_their_line(cluster: Sidecars) -> None:
    name = "<script>{x}'\"%s"
    one = cluster.start("one").wait_ready()
    two = cluster.start("two", "--name", name).wait_ready()
    two.call("register", name="<b>billing", port=1, id="'; DROP TABLE lines;--".replace(" ", "_"))
    wait_for(lambda: "answers_entered" in kinds(one))
    shown = history(one)
    assert any("DROP_TABLE" in line for line in shown)
    assert all(line.isprintable() for line in shown)
    assert len(shown) == len(lines(one))
