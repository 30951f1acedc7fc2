"""What an operator does with a running sidecar: look at its options, reload it, change its keys."""

import base64
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from gossipreg.wire.seal import key_id
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for


def cli(sidecar: Sidecar, *args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, "--socket", str(sidecar.socket), *args], capture_output=True, text=True, timeout=BOUND_S
    )


def troubles(sidecar: Sidecar) -> list[str]:
    return [one["message"] for one in sidecar.call("info")["troubles"]]


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def services_file(folder: Path, *ports: int) -> Path:
    path = folder / "services.toml"
    path.write_text("".join(f'[[service]]\nname = "web"\nport = {port}\n' for port in ports))
    return path


def test_config_says_what_is_in_force_and_shows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIPREG_ZONE", "z")
    monkeypatch.setenv("GOSSIPREG_SEEDS", "10.0.0.1")
    with Sidecars() as cluster:
        one = cluster.start("one", "--label", "rack=7").wait_ready()
        found = one.call("config")
        key = cluster.key_file.read_text()
        assert "variable_ignored" in one.log.read_text()
        gossip = one.gossip
    options = {each["name"]: (each["value"], each["source"], each["where"]) for each in found["options"]}
    assert options["zone"] == ("z", "variable", "GOSSIPREG_ZONE")
    assert options["label"] == (["rack=7"], "flag", "--label")
    assert options["advertise"] == (gossip, "default", "")
    assert options["key"][:2] == ([key_id(base64.b64decode(key)).hex()], "file")
    assert [each["variable"] for each in found["ignored"]] == ["GOSSIPREG_SEEDS"]
    assert key not in json.dumps(found)


def test_a_failed_reload_is_a_trouble_until_it_is_mended(cluster: Sidecars) -> None:
    file = services_file(cluster.folder, 80)
    one = cluster.start("one", "--services", str(file)).wait_ready()
    good_key = cluster.key_file.read_text()
    cluster.key_file.write_text("nonsense")
    file.write_text("[[service]]\nname = 3\n")
    one.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(troubles(one)) == 2)
    assert sorted(message.split(":")[0] for message in troubles(one)) == ["not read again", "not read again"]
    assert any(str(cluster.key_file) in message for message in troubles(one))
    assert len(one.lookup("web")) == 1
    cluster.key_file.write_text(good_key)
    ended = cli(one, "reload")
    assert (ended.returncode, ended.stdout) == (4, "")
    assert str(file) in ended.stderr
    assert [str(file) in message for message in troubles(one)] == [True], "the keys are mended"
    services_file(cluster.folder, 80, 81)
    one.process.send_signal(signal.SIGHUP)
    wait_for(lambda: troubles(one) == [])
    assert len(one.lookup("web")) == 2


def test_reload_answers_with_what_was_read(cluster: Sidecars) -> None:
    file = services_file(cluster.folder, 80)
    one = cluster.start("one", "--services", str(file)).wait_ready()
    services_file(cluster.folder, 81)
    ended = cli(one, "reload")
    fingerprint = key_id(base64.b64decode(cluster.key_file.read_text())).hex()
    assert ended.stdout.splitlines() == [
        f"keys: keys 1, fingerprints {fingerprint}",
        "services: services 1, registered 1, deregistered 1, failed 0",
    ]
    assert json.loads(cli(one, "reload", "--json").stdout)["services"]["registered"] == 0
    one.wait_logged("reload via=socket")


def test_reload_reads_tokens_only_where_there_is_a_token_file(cluster: Sidecars) -> None:
    tokens = cluster.folder / "tokens"
    tokens.write_text("a-token-of-twenty-bytes\n")
    without = cluster.start("without", "--http", "127.0.0.1:0").wait_ready()
    with_one = cluster.start("with", "--http", "127.0.0.1:0", "--http-token-file", str(tokens)).wait_ready()
    assert set(json.loads(cli(without, "reload", "--json").stdout)) == {"keys"}
    assert json.loads(cli(with_one, "reload", "--json").stdout)["http_tokens"] == {"tokens": 1}


def test_an_emptied_services_file_deregisters_nothing_unasked(cluster: Sidecars) -> None:
    file = services_file(cluster.folder, 80, 81)
    one = cluster.start("one", "--services", str(file)).wait_ready()
    file.write_text("# being written\n")
    one.process.send_signal(signal.SIGHUP)
    wait_for(lambda: any("names no service" in message for message in troubles(one)))
    assert len(one.lookup("web")) == 2
    assert cli(one, "reload").returncode == 4
    assert cli(one, "reload", "--allow-empty").returncode == 0
    assert (one.lookup("web"), troubles(one)) == ([], [])


def test_a_services_file_may_begin_with_a_byte_order_mark(cluster: Sidecars) -> None:
    file = services_file(cluster.folder, 80)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    one = cluster.start("one", "--services", str(file)).wait_ready()
    assert len(one.lookup("web")) == 1


def test_reload_names_the_options_that_need_a_restart(cluster: Sidecars) -> None:
    file = cluster.folder / "join.toml"
    file.write_text('zone = "a"\n')
    one = cluster.start("one", "--config", str(file)).wait_ready()
    file.write_text('zone = "b"\nlabel = ["rack=7"]\n')
    assert "options: restart_needed_for zone label" in cli(one, "reload").stdout
    file.write_text("zone = 3\n")
    assert cli(one, "reload").returncode == 4
    assert ["zone is '3'" in message for message in troubles(one)] == [True]
    file.write_text('zone = "a"\n')
    assert "options: changed 0" in cli(one, "reload").stdout
    assert troubles(one) == []


def test_reload_applies_the_log_level_of_the_file(cluster: Sidecars) -> None:
    file = cluster.folder / "join.toml"
    file.write_text('zone = "a"\n')
    one = cluster.start("one", "--config", str(file)).wait_ready()
    file.write_text('zone = "b"\nlog-level = "error"\n')
    assert "options: applied log-level, restart_needed_for zone" in cli(one, "reload").stdout
    [level] = [line for line in cli(one, "config").stdout.splitlines() if line.startswith("log-level")]
    assert level.split()[1] == "error"
    cli(one, "reload")
    one.wait_logged(" info reload ")
    assert one.log.read_text().count(" info reload ") == 1, "the second one is not logged any more"


def test_the_keys_of_every_member_show_how_far_a_rotation_is(cluster: Sidecars) -> None:
    key_files = [cluster.folder / f"key-{name}" for name in ("a", "b")]
    old, new = cluster.key_file.read_text(), new_key()
    for path in key_files:
        path.write_text(old)
    a, b = (cluster.start(path.name[-1], "--key-file", str(path)).wait_ready() for path in key_files)
    wait_for(lambda: a.states() == b.states() == {"a": "alive", "b": "alive"})
    old_id, new_id = (key_id(base64.b64decode(key)).hex() for key in (old, new))

    def keys(at: Sidecar) -> dict[str, list[str]]:
        return {member["name"]: member["keys"] for member in at.call("members")}

    def step(at: Sidecar, *lines: str) -> None:
        key_files[at is b].write_text("\n".join(lines))
        assert cli(at, "reload").returncode == 0

    assert keys(a) == {"a": [old_id], "b": [old_id]}
    step(a, old, new)
    wait_for(lambda: keys(b) == {"a": [old_id, new_id], "b": [old_id]})
    assert a.call("info")["keys"] == [old_id, new_id]
    assert troubles(a) == troubles(b) == []
    step(b, old, new)
    for one in (a, b):
        step(one, new, old)
    wait_for(lambda: keys(a) == keys(b) == {"a": [new_id, old_id], "b": [new_id, old_id]})
    for one in (a, b):
        step(one, new)
    wait_for(lambda: keys(a) == keys(b) == {"a": [new_id], "b": [new_id]})
    assert a.states() == b.states() == {"a": "alive", "b": "alive"}
    assert troubles(a) == troubles(b) == []
    assert new_id in cli(a, "members").stdout


def test_a_step_of_a_rotation_taken_too_early_is_a_trouble(cluster: Sidecars) -> None:
    key_files = [cluster.folder / f"key-{name}" for name in ("a", "b")]
    old, new = cluster.key_file.read_text(), new_key()
    for path in key_files:
        path.write_text(old)
    a, b = (cluster.start(path.name[-1], "--key-file", str(path)).wait_ready() for path in key_files)
    wait_for(lambda: a.states() == {"a": "alive", "b": "alive"})
    key_files[0].write_text(f"{new}\n{old}")
    cli(a, "reload")
    wait_for(lambda: any(message.startswith("b cannot open key ") for message in troubles(a)))
    key_files[1].write_text(f"{old}\n{new}")
    cli(b, "reload")
    wait_for(lambda: troubles(a) == troubles(b) == [] and b.states() == {"a": "alive", "b": "alive"})
    wait_for(lambda: any("understood" in one.log.read_text() for one in (a, b)))


def test_a_wrong_key_that_is_mended_leaves_no_trouble(cluster: Sidecars) -> None:
    first = cluster.start("first").wait_ready()
    path = cluster.folder / "wrong"
    path.write_text(new_key())
    other = cluster.start("other", "--key-file", str(path)).wait_ready()
    wait_for(lambda: any("does not accept the key of this sidecar" in message for message in troubles(other)))
    assert not any("no answer from the seed" in message for message in troubles(other))
    path.write_text(cluster.key_file.read_text())
    assert cli(other, "reload").returncode == 0
    wait_for(lambda: other.states() == {"first": "alive", "other": "alive"})
    wait_for(lambda: troubles(other) == troubles(first) == [], 10)


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-", "2>/dev/full", "1>/dev/full"])
def test_join_runs_with_closed_and_full_standard_streams(cluster: Sidecars, closed: str) -> None:
    socket = cluster.folder / "s"
    line = f'exec "$@" --bind 127.0.0.1:0 --data-dir {cluster.folder}/data --socket {socket} {closed}'
    process = subprocess.Popen(["bash", "-c", line, "bash", *COMMAND, "join"], stdout=subprocess.DEVNULL)
    try:
        wait_for(socket.exists)
        asked = [*COMMAND, "--socket", str(socket), "info", "--json"]
        wait_for(lambda: subprocess.run(asked, capture_output=True).returncode == 0)
        open_files = {os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)}
        assert not any("socket:" in name or "gossipreg.db" in name for name in open_files), open_files
        process.send_signal(signal.SIGTERM)
        assert process.wait(BOUND_S) == 0
    finally:
        process.kill()
        process.wait()
