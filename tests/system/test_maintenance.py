"""`maint` and `drain` as operators use them: real sidecars, the command line, restarts, a program that comes back."""

import json
import signal
import subprocess

from gossipreg.client import Client
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for


def cli(sidecar: Sidecar, *arguments: str, code: int = 0) -> str:
    ended = subprocess.run(
        [*COMMAND, "--socket", str(sidecar.socket), *arguments], capture_output=True, text=True, timeout=BOUND_S
    )
    assert ended.returncode == code, ended.stderr
    return ended.stdout + ended.stderr


def _register(sidecar: Sidecar, *more: str) -> None:
    cli(sidecar, "register", "web", "--port", "80", "--address", "10.0.0.1", *more)


def test_a_drained_service_is_in_no_answer_when_drain_returns(cluster: Sidecars) -> None:
    members = cluster.grow(4)
    _register(members[0])
    for one in members:
        wait_for(lambda one=one: len(one.lookup("web")) == 1)  # type: ignore[misc]
    assert cli(members[0], "drain", "--service", "web-80", "--reason", "deploy", "--timeout", "30s") == ""
    assert [one.lookup("web") for one in members] == [[]] * 4
    assert cli(members[3], "lookup", "web", "--all") == "10.0.0.1:80 maintenance  deploy\n"
    assert cli(members[0], "drain", "--service", "web-80", "--off", "--timeout", "30s") == ""
    assert [len(one.lookup("web")) for one in members] == [1] * 4


def test_a_drained_sidecar_says_why_everywhere(cluster: Sidecars) -> None:
    one, two = cluster.grow(2)
    _register(one)
    wait_for(lambda: len(two.lookup("web")) == 1)
    result = json.loads(cli(one, "drain", "--reason", "new disk", "--timeout", "30s", "--json"))
    assert result == {"acked": True, "missing": 0, "members": [], "durable": True, "not_synced_because": ""}
    assert two.lookup("web") == []
    assert cli(two, "lookup", "web", "--all") == "10.0.0.1:80 maintenance  new disk\n"
    assert "maintenance: new disk" in cli(two, "members")
    assert "! this sidecar is in maintenance: new disk; `gossipreg maint --off` ends it" in cli(one, "info")
    one.wait_logged('message="this sidecar with all its services is out of the answers"')
    assert {"service": None, "reason": "new disk"} in one.call("info")["maintenance"]
    cli(one, "maint", "--off")
    wait_for(lambda: len(two.lookup("web")) == 1)
    one.wait_logged("maintenance_over")


def test_drain_fails_while_the_sidecar_is_not_synced(cluster: Sidecars) -> None:
    one = cluster.start("one", "--seed", "127.0.0.1:1").wait_ready()
    _register(one)
    said = cli(one, "drain", "--service", "web-80", "--timeout", "0.3s", code=1)
    assert said.startswith("this sidecar is not synced after 0.3s, so it does not know all members: "), said
    result = json.loads(cli(one, "drain", "--timeout", "0.3s", "--json", code=1))
    assert (result["acked"], result["durable"]) == (False, True)
    assert result["not_synced_because"]


def test_drain_fails_and_names_the_member_that_has_not_acked(cluster: Sidecars) -> None:
    one, two = cluster.grow(2)
    _register(one)
    wait_for(lambda: len(two.lookup("web")) == 1)
    two.stop()
    try:
        said = cli(one, "drain", "--service", "web-80", "--timeout", "0.3s", code=1)
    finally:
        two.resume()
    assert "1 living members have not acknowledged it after 0.3s: n1" in said
    assert one.lookup("web") == []
    wait_for(lambda: two.lookup("web") == [])


def test_maintenance_of_an_attached_service_outlives_its_program(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()

    def attached() -> "subprocess.Popen[bytes]":
        line = ["register", "web", "--port", "80", "--attach"]
        program = subprocess.Popen([*COMMAND, "--socket", str(one.socket), *line], stdout=subprocess.DEVNULL)
        wait_for(lambda: len(one.call("lookup", name="web", all=True)) == 1)
        return program

    def end(program: "subprocess.Popen[bytes]") -> None:
        program.send_signal(signal.SIGTERM)
        program.wait(BOUND_S)
        wait_for(lambda: one.call("lookup", name="web", all=True) == [])

    program = attached()
    cli(one, "maint", "--service", "web-80", "--reason", "audit")
    end(program)
    assert {"service": "web-80", "reason": "audit"} in one.call("info")["maintenance"]
    program = attached()
    assert cli(one, "lookup", "web", "--all").split(maxsplit=1)[1] == "maintenance  audit\n"
    end(program)
    cli(one, "maint", "--service", "web-80", "--off")
    program = attached()
    assert len(one.lookup("web")) == 1
    end(program)


def test_maintenance_outlives_a_restart_and_ends_without_http(cluster: Sidecars) -> None:
    data = ["--data-dir", str(cluster.folder / "data")]
    one = cluster.start("one", *data).wait_ready()
    _register(one)
    cli(one, "maint", "--reason", "whole")
    cli(one, "maint", "--service", "web-80", "--reason", "part")
    one.kill()
    again = cluster.start("one", *data).wait_ready()
    assert cli(again, "lookup", "web", "--all") == "10.0.0.1:80 maintenance  whole\n"
    again.wait_logged("this sidecar starts in maintenance")
    cli(again, "maint", "--off")
    assert cli(again, "lookup", "web", "--all") == "10.0.0.1:80 maintenance  part\n"
    cli(again, "maint", "--service", "web-80", "--off")
    assert len(again.lookup("web")) == 1


def test_a_hold_does_not_bring_a_drained_sidecar_back(cluster: Sidecars) -> None:
    data = ["--data-dir", str(cluster.folder / "data")]
    two = cluster.start("two").wait_ready()
    one = cluster.start("one", *data).wait_ready()
    _register(one)
    wait_for(lambda: len(two.lookup("web")) == 1)
    cli(one, "drain", "--timeout", "30s")
    with Client(str(two.socket)).watch("web") as watch:
        cli(one, "leave", "--hold", "30s")
        seen = []
        while (change := watch.next_within(2)) is not None:
            seen.append(change)
    healths = {one["instance"]["health"] for one in seen if "instance" in one}
    assert healths <= {"maintenance"}
    assert two.lookup("web") == []


def test_deregister_ends_the_maintenance_of_the_service(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    _register(one)
    cli(one, "maint", "--service", "web-80")
    assert one.lookup("web") == []
    cli(one, "deregister", "web-80")
    _register(one)
    assert len(one.lookup("web")) == 1


def test_wrong_use_of_maint_and_drain_says_what_to_do(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    for verb in ("maint", "drain"):
        assert "'nobody'" in cli(one, verb, "--service", "nobody", code=4)
        assert "'nobody'" in cli(one, verb, "--service", "nobody", "--off", code=4)
        assert "--off takes no --reason" in cli(one, verb, "--off", "--reason", "x", code=2)
        assert "--service is empty" in cli(one, verb, "--service", "", code=2)
        assert cli(one, verb, "--off") == ""
