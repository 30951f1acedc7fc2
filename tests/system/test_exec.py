"""`gossipreg exec` with real programs: registered while they run, drained before they are told to end, PID 1."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from scripts.tools.programs import free_port
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system.test_services import cli, start_cli

SERVER = """if True:
    import signal, socket, sys
    def end(*_):
        sys.exit(7)
    signal.signal(signal.SIGTERM, end)
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print(listener.getsockname()[1], flush=True)
    while True:
        listener.accept()[0].close()
"""


def test_exec_registers_a_healthy_program_and_passes_signals_on(
    cluster: Sidecars,
) -> None:
    one = cluster.start("one").wait_ready()
    port = str(free_port())
    program = [sys.executable, "-c", SERVER, port]
    client = start_cli(
        one, "exec", "--service", "web", "--port", port, "--check", f"tcp://127.0.0.1:{port},interval=100ms", "--",
        *program,
    )  # fmt: skip
    try:
        wait_for(lambda: len(one.lookup("web")) == 1)
        assert client.stdout is not None
        assert client.stdout.readline() == f"{port}\n"
        client.send_signal(signal.SIGTERM)
        client.communicate(timeout=BOUND_S)
        assert client.returncode == 7
    finally:
        client.kill()
        client.communicate()
    wait_for(lambda: one.call("lookup", name="web", all=True) == [])


def test_exec_says_what_cannot_be_run_and_runs_without_a_sidecar(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    line = ["exec", "--service", "web", "--port", "80", "--"]
    assert "no-such-program" in cli(one, *line, "no-such-program", code=127)
    error = json.loads(cli(one, "--json", *line, "no-such-program", code=127))["error"]
    assert (error["code"], "no-such-program" in error["message"]) == ("cannot_run", True)
    assert "port" in cli(one, "exec", "--service", "web", "--port", "65536", "--", "true", code=2)
    assert "name" in cli(one, "exec", "--service", "a/b", "--port", "1", "--", "touch", "/nowhere/x", code=2)
    assert cli(one, *line, "sh", "-c", "kill -9 $$", code=137) == ""
    one.kill()
    assert "ran" in cli(one, *line, "sh", "-c", "echo ran; exit 3", code=3)


DRAINS = """if True:
    import os, signal, socket, sys, time
    from gossipreg import Client
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    def drain(*_):
        listener.close()  # it takes no more connections, and finishes what it has
        with Client() as client:
            print("found", len(client.call("lookup", name="web")), flush=True)
        time.sleep(float(sys.argv[2]))
        sys.exit(7)
    signal.signal(signal.SIGTERM, drain)
    print("up", flush=True)
    while True:
        try:
            listener.accept()[0].close()
        except OSError:
            time.sleep(0.1)
"""


def _exec(sidecar: Sidecar, *flags: str, port: int, finishes_s: float = 0.0) -> "subprocess.Popen[str]":
    check = f"tcp://127.0.0.1:{port},interval=10s"
    line = ["exec", "--service", "web", "--port", str(port), "--address", "127.0.0.1", "--check", check, *flags]
    client = start_cli(sidecar, *line, "--", sys.executable, "-c", DRAINS, str(port), str(finishes_s))
    assert client.stdout is not None
    assert client.stdout.readline() == "up\n"
    return client


def _end(client: "subprocess.Popen[str]") -> str:
    """What it said until its end."""
    try:
        said, errors = client.communicate(timeout=BOUND_S)
    finally:
        client.kill()
    assert client.returncode == 7, errors
    return said


@pytest.mark.parametrize("drain", ["0s", "300ms"])
def test_exec_takes_the_service_out_before_the_program_is_told(cluster: Sidecars, drain: str) -> None:
    one = cluster.start("one").wait_ready()
    client = _exec(one, "--drain", drain, port=free_port())
    wait_for(lambda: len(one.lookup("web")) == 1)
    client.send_signal(signal.SIGTERM)
    assert _end(client) == "found 0\n"


def test_clients_elsewhere_are_served_while_a_program_drains(cluster: Sidecars) -> None:
    one, two = cluster.grow(2)
    port = free_port()
    client = _exec(one, "--drain", "3s", port=port, finishes_s=1.0)
    wait_for(lambda: len(two.lookup("web")) == 1)
    refused: list[str] = []
    connected = 0
    client.send_signal(signal.SIGTERM)
    while client.poll() is None:
        for found in two.lookup("web"):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                connected += 1
            except ConnectionRefusedError:
                refused.append(found)
    assert _end(client) == "found 0\n"
    assert refused == []


def test_a_second_signal_reaches_the_program_at_once(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    client = _exec(one, "--drain", "1h", port=free_port())
    wait_for(lambda: len(one.lookup("web")) == 1)
    client.send_signal(signal.SIGTERM)
    wait_for(lambda: one.call("lookup", name="web", all=True) == [])
    assert client.poll() is None
    client.send_signal(signal.SIGTERM)
    assert _end(client) == "found 0\n"


def test_a_program_that_ends_while_it_drains_is_not_waited_for(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    program = "import signal, time; print('up', flush=True); time.sleep(1.5); raise SystemExit(9)"
    line = ["exec", "--service", "web", "--port", "80", "--drain", "1h", "--", sys.executable, "-c", program]
    client = start_cli(one, *line)
    assert client.stdout is not None
    assert client.stdout.readline() == "up\n"
    client.send_signal(signal.SIGTERM)
    client.communicate(timeout=BOUND_S)
    assert client.returncode == 9


def test_exec_passes_the_signal_on_without_a_working_sidecar(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    program = ["sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"]
    for hangs in (True, False):
        client = start_cli(one, "exec", "--service", "web", "--port", "80", "--drain", "200ms", "--", *program)
        assert client.stdout is not None
        assert client.stdout.readline() == "up\n"
        if hangs:
            one.stop()
        client.send_signal(signal.SIGTERM)
        _end(client)
        if hangs:
            one.resume()
            one.kill()


def test_the_program_under_exec_finds_the_sidecar(cluster: Sidecars) -> None:
    one = cluster.start("one").wait_ready()
    line = ["exec", "--service", "web", "--port", "80", "--", "sh", "-c", 'echo "$GOSSIPREG_SOCKET"']
    assert cli(one, *line) == f"{one.socket}\n"


# -- PID 1 -----------------------------------------------------------------------------------------------------------

UNSHARE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
ORPHANS = "for _ in $(seq 20); do (setsid sleep 0.05 &) ; done"
LEFT = "pgrep -x sleep | wc -l"
"""How many of them there are, zombies among them."""


def _needs_namespaces() -> None:
    if shutil.which("unshare") is None or subprocess.run([*UNSHARE, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a PID namespace")


def test_exec_as_pid_1_reaps_orphans_and_passes_the_exit_code_on(cluster: Sidecars) -> None:
    _needs_namespaces()
    one = cluster.start("one").wait_ready()
    program = f"{ORPHANS}; until [ $({LEFT}) = 0 ]; do sleep 0.02; done; exit 9"
    line = ["exec", "--service", "web", "--port", "80", "--", "sh", "-c", program]
    ended = subprocess.run([*UNSHARE, *COMMAND, "--socket", str(one.socket), *line], timeout=BOUND_S)
    assert ended.returncode == 9


def test_exec_as_pid_1_passes_signals_on(cluster: Sidecars) -> None:
    _needs_namespaces()
    one = cluster.start("one").wait_ready()
    line = ["exec", "--service", "web", "--port", "80", "--drain", "0s", "--"]
    shell = "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"
    client = subprocess.Popen(
        [*UNSHARE, *COMMAND, "--socket", str(one.socket), *line, "sh", "-c", shell],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert client.stdout is not None
    assert client.stdout.readline() == "up\n"
    os.kill(_pid_1_of(client.pid), signal.SIGTERM)
    _end(client)


def test_a_sidecar_as_pid_1_reaps_orphans_and_runs_its_checks(cluster: Sidecars) -> None:
    _needs_namespaces()
    one = cluster.start("one", command=[*UNSHARE, *COMMAND]).wait_ready()
    cli(one, "register", "web", "--port", "80", "--check", f"cmd:{ORPHANS},interval=20s")
    cli(one, "register", "ill", "--port", "81", "--check", "cmd:exit 2,interval=20s")
    wait_for(lambda: len(one.lookup("web")) == 1)
    pid_1 = _pid_1_of(one.process.pid)
    inside = ["nsenter", "--target", str(pid_1), "--pid", "--mount", "sh", "-c"]
    subprocess.run([*inside, ORPHANS], check=True, timeout=BOUND_S)  # as a health check of the container leaves them
    wait_for(lambda: subprocess.run([*inside, LEFT], capture_output=True, text=True).stdout.strip() == "0")
    wait_for(lambda: [one["health"] for one in one.call("lookup", name="ill", all=True)] == ["critical"])
    assert "exit code 2" in cli(one, "lookup", "ill", "--all")
    os.kill(pid_1, signal.SIGTERM)
    assert one.process.wait(BOUND_S) == 0


def _pid_1_of(unshare: int) -> int:
    """The first process of the namespace that `unshare` made, as it is called here."""
    children = f"/proc/{unshare}/task/{unshare}/children"
    with open(children) as file:
        return int(file.read().split()[0])
