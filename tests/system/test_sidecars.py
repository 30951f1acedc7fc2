"""Real processes, sealed, on loopback: what a user sees of a small cluster from its start to its end."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from gossipreg.client.connection import Client
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for


@pytest.fixture
def sidecars() -> Iterator[Sidecars]:
    with Sidecars(profile="local") as started:
        yield started


def _everywhere(members: list[Sidecar], name: str, found: list[str]) -> None:
    wait_for(lambda: all(one.lookup(name) == found for one in members))


def _run(*arguments: str, socket: Sidecar | None = None) -> subprocess.CompletedProcess[str]:
    chosen = [] if socket is None else ["--socket", str(socket.socket)]
    return subprocess.run([*COMMAND, *chosen, *arguments], capture_output=True, text=True, timeout=BOUND_S, check=False)


def test_five_sidecars_find_lose_and_regain_services(sidecars: Sidecars) -> None:
    members = sidecars.grow(5)
    members[1].call("register", name="billing", port=8080)
    _everywhere(members, "billing", ["127.0.0.1:8080"])
    members[2].call("register", name="stock", port=8081)

    with Client(str(members[4].socket)) as client, client.watch("billing") as watch:
        assert [one["port"] for one in next(watch)["instances"]] == [8080]
        members[3].call("register", name="billing", port=8082)
        change = watch.next_within(BOUND_S)
        assert change is not None
        assert (change["kind"], change["instance"]["port"]) == ("added", 8082)
        members[3].call("deregister", id="billing-8082")
        change = watch.next_within(BOUND_S)
        assert change is not None
        assert (change["kind"], change["instance"]["port"]) == ("removed", 8082)

    members[2].stop()
    rest = [one for one in members if one is not members[2]]
    _everywhere(rest, "stock", [])
    wait_for(lambda: all(one.states()["n2"] == "dead" for one in rest))
    members[2].resume()
    _everywhere(members, "stock", ["127.0.0.1:8081"])
    wait_for(lambda: all(one.states()["n2"] == "alive" for one in members))

    members[1].kill()
    rest = [one for one in members if one is not members[1]]
    _everywhere(rest, "billing", [])
    wait_for(lambda: all(one.states()["n1"] == "dead" for one in rest))

    assert members[2].end() == 0
    rest.remove(members[2])
    _everywhere(rest, "stock", [])
    wait_for(lambda: all(one.states()["n2"] == "left" for one in rest))
    assert all("Traceback" not in one.log.read_text() for one in members)


def test_a_service_of_flags_is_found_at_once_at_the_others(sidecars: Sidecars) -> None:
    first = sidecars.start("first", "--service", "web", "--port", "8000", "--tag", "v1").wait_ready()
    second = sidecars.start("second").wait_ready()
    assert first.lookup("web") == ["127.0.0.1:8000"], "it answers before anybody joined"
    _everywhere([first, second], "web", ["127.0.0.1:8000"])
    printed = _run("lookup", "web", "--one", "--tag", "v1", socket=second)
    assert (printed.stdout, printed.returncode) == ("127.0.0.1:8000\n", 0)
    assert _run("lookup", "web", "--tag", "v2", socket=second).returncode == 1


def test_a_sidecar_started_before_its_seed_joins_later(sidecars: Sidecars) -> None:
    reserved = sidecars.start("reserved").wait_ready()
    address = reserved.gossip
    reserved.kill()
    early = sidecars.start("early", "--seed", address).wait_ready()
    assert not early.call("info")["synced"]
    late = sidecars.start("late", "--bind", address).wait_ready()
    wait_for(lambda: early.call("info")["synced"] and late.states() == {"early": "alive", "late": "alive"})
    assert _run("wait", "--synced", "--timeout", "10", socket=early).returncode == 0


def test_another_key_or_cluster_is_an_error_in_words(sidecars: Sidecars) -> None:
    first = sidecars.start("first").wait_ready()
    stranger = sidecars.start("stranger", "--seed", first.gossip, "--cluster", "other").wait_ready()
    stranger.wait_logged("belongs to cluster 'default'")
    other_key = sidecars.folder / "other-key"
    other_key.write_text(_run("keygen").stdout)
    locked_out = Sidecar(sidecars.folder, "locked-out", "--seed", first.gossip, key_file=other_key)
    sidecars.all.append(locked_out)
    locked_out.wait_ready()
    locked_out.wait_logged("does not accept the key of this sidecar")
    assert first.states() == {"first": "alive"}


def test_ipv6_alone_is_enough(sidecars: Sidecars) -> None:
    first = sidecars.start("first", "--bind", "[::1]:0").wait_ready()
    second = sidecars.start("second", "--bind", "[::1]:0").wait_ready()
    first.call("register", name="six", port=6)
    _everywhere([first, second], "six", ["::1:6"])
    assert _run("lookup", "six", socket=second).stdout == "[::1]:6\n"


def test_a_second_sidecar_on_a_live_socket_or_port_cannot_start(sidecars: Sidecars) -> None:
    first = sidecars.start("first").wait_ready()
    on_socket = _run("join", "--bind", "127.0.0.1:0", "--socket", str(first.socket))
    assert on_socket.returncode == 6
    assert len(on_socket.stderr.splitlines()) == 1
    on_port = _run("join", "--bind", first.gossip, "--socket", str(sidecars.folder / "x.sock"))
    assert on_port.returncode == 6
    assert first.gossip.rpartition(":")[2] in on_port.stderr
    assert first.lookup("anything") == []


def test_off_loopback_without_a_key_the_error_names_keygen(sidecars: Sidecars) -> None:
    refused = _run("join", "--bind", "0.0.0.0:0", "--socket", str(sidecars.folder / "x.sock"))
    assert refused.returncode == 5
    assert "gossipreg keygen" in refused.stderr


def test_leave_ends_the_sidecar_with_zero_and_the_socket_is_gone(sidecars: Sidecars) -> None:
    members = sidecars.grow(3)
    assert _run("leave", socket=members[1]).returncode == 0
    assert members[1].process.wait(BOUND_S) == 0
    assert not members[1].socket.exists()
    wait_for(lambda: all(one.states()["n1"] == "left" for one in (members[0], members[2])))
    assert _run("lookup", "x", socket=members[1]).returncode == 3


def test_an_identity_outlives_its_process_and_leaves_no_ghost(sidecars: Sidecars) -> None:
    first = sidecars.start("first").wait_ready()
    data = str(sidecars.folder / "data")
    second = sidecars.start("second", "--data-dir", data).wait_ready()
    wait_for(lambda: first.states() == {"first": "alive", "second": "alive"})
    second.kill()
    again = sidecars.start("second-again", "--data-dir", data).wait_ready()
    assert again.id == second.id
    wait_for(lambda: first.states() == {"first": "alive", "second-again": "alive"})


def test_the_socket_of_a_dead_sidecar_is_taken_over(sidecars: Sidecars) -> None:
    first = sidecars.start("first").wait_ready()
    first.kill()
    assert first.socket.exists()
    again = Sidecar(sidecars.folder, "first", key_file=sidecars.key_file)
    sidecars.all.append(again)
    assert again.wait_ready().lookup("x") == []


def test_keys_rotate_one_by_one_without_an_interruption(sidecars: Sidecars) -> None:
    members = sidecars.grow(3)
    old = sidecars.key_file.read_text().strip()
    new = _run("keygen").stdout.strip()
    for step, text in enumerate((f"{old}\n{new}\n", f"{new}\n{old}\n", f"{new}\n"), 1):
        sidecars.key_file.write_text(text)
        for one in members:
            one.process.send_signal(signal.SIGHUP)
        wait_for(lambda step=step: all(one.log.read_text().count("keys_read") == step for one in members))  # type: ignore[misc]
        members[0].call("register", name=f"after-{step}", port=step)
        _everywhere(members, f"after-{step}", [f"127.0.0.1:{step}"])
    assert all(set(one.states().values()) == {"alive"} for one in members)


def test_sigterm_twice_stops_at_once(sidecars: Sidecars) -> None:
    members = sidecars.grow(2)
    members[0].kill()  # nobody is left to acknowledge the farewell
    start = time.perf_counter()
    members[1].process.send_signal(signal.SIGTERM)
    members[1].wait_logged("leaving")
    members[1].process.send_signal(signal.SIGTERM)
    members[1].process.wait(BOUND_S)
    assert time.perf_counter() - start < BOUND_S


def test_json_lines_and_json_logs_are_json(sidecars: Sidecars) -> None:
    folder = sidecars.folder
    process = subprocess.Popen(
        [*COMMAND, "join", "--log-format", "json", "--bind", "127.0.0.1:0", "--socket", str(folder / "j.sock")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert set(ready) >= {"name", "id", "gossip", "socket"}
        printed = subprocess.run(
            [*COMMAND, "--socket", ready["socket"], "lookup", "x", "--json"],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert (json.loads(printed.stdout), printed.returncode) == ([], 1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=BOUND_S)
        assert process.returncode == 0
        assert all(isinstance(json.loads(line), dict) for line in errors.splitlines())
    finally:
        process.kill()
        process.wait()


def test_the_idle_daemon_stays_within_its_file_descriptors(sidecars: Sidecars) -> None:
    one = sidecars.start("one").wait_ready()

    def count() -> int:
        return len(os.listdir(f"/proc/{one.process.pid}/fd"))

    before = count()
    for _ in range(50):
        one.lookup("x")
    wait_for(lambda: count() <= before)
