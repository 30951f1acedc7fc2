"""Restarts that nobody notices: held services, everybody at once, clocks that are wrong, and a copied identity."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from scripts.tools.programs import free_port
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system.asker import Asker

RESTARTED = """if True:
    import sys
    from gossipreg.daemon.ending import Ending
    def restart_job():
        return "gossipreg.service"
    Ending.__init__.__kwdefaults__["restart_job"] = restart_job
    from gossipreg.cli import main
    sys.exit(main())
"""
"""A sidecar whose unit systemd restarts whenever the sidecar ends."""


@pytest.fixture
def listening() -> Iterator[int]:
    """The port of a program that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as program:
        yield int(program.getsockname()[1])


@pytest.mark.parametrize("how", ["leave", "sigterm"])
def test_a_held_restart_takes_no_service_out_of_any_answer(cluster: Sidecars, how: str, listening: int) -> None:
    other = cluster.start("other").wait_ready()
    data = ("--data-dir", str(cluster.folder / "data"), "--on-sigterm", "hold")
    command = [sys.executable, "-c", RESTARTED]
    web = cluster.start("web", *data, command=command).wait_ready()
    cluster.start("third").wait_ready()
    web.call("register", name="web", port=listening)
    wait_for(lambda: len(other.lookup("web")) == 1)
    with Asker(other):
        for _ in range(2):
            if how == "leave":
                web.call("leave", hold=30)
                assert web.process.wait(BOUND_S) == 0
            else:
                assert web.end() == 0
            generation = int(other.call("lookup", name="web")[0]["version"][0])
            web = cluster.start("web", *data, command=command).wait_ready()
            wait_for(lambda before=generation: int(other.call("lookup", name="web")[0]["version"][0]) > before)  # type: ignore[misc]
    wait_for(lambda: other.states() == {"other": "alive", "web": "alive", "third": "alive"})


def test_sigterm_without_a_restart_job_holds_no_services(
    cluster: Sidecars, listening: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INVOCATION_ID", raising=False)  # as outside systemd
    other = cluster.start("other").wait_ready()
    web = cluster.start("web", "--data-dir", str(cluster.folder / "data"), "--on-sigterm", "hold").wait_ready()
    web.call("register", name="web", port=listening)
    wait_for(lambda: len(other.lookup("web")) == 1)
    assert web.end() == 0
    wait_for(lambda: other.states()["web"] == "left")
    assert other.lookup("web") == []
    assert "it leaves without a hold" in web.log.read_text()
    assert "warning no_hold" in web.log.read_text()


def test_a_hold_takes_out_services_that_refuse_connections(cluster: Sidecars, listening: int) -> None:
    other = cluster.start("other").wait_ready()
    data = ("--data-dir", str(cluster.folder / "data"))
    web = cluster.start("web", *data).wait_ready()
    for id, port in (("lives", listening), ("dead", free_port())):
        web.call("register", name="web", id=id, port=port, address="127.0.0.1")
    wait_for(lambda: len(other.lookup("web")) == 2)
    web.call("leave", hold=30)
    assert web.process.wait(BOUND_S) == 0
    assert other.lookup("web") == [f"127.0.0.1:{listening}"]
    assert "service_refuses id=dead" in web.log.read_text()
    cluster.start("web", *data).wait_ready()
    wait_for(lambda: len(other.lookup("web")) == 2)  # it has no check: it is in the answers as it was before


OFF_BY_S = (0, 3600, -3600)
WRONG_CLOCK = """if True:
    import sys, time
    off_ns, real = int(sys.argv.pop(1)) * 10**9, time.time_ns
    time.time_ns = lambda: real() + off_ns
    from gossipreg.cli import main
    sys.exit(main())
"""


@pytest.mark.parametrize(
    ("n", "durable"),
    [
        (6, True),  # two with each clock
        pytest.param(16, True, marks=pytest.mark.wide),
        pytest.param(16, False, marks=pytest.mark.wide),
    ],
)
def test_all_restart_at_once_with_wrong_clocks_without_ghosts(cluster: Sidecars, n: int, durable: bool) -> None:
    ports = [str(own_port(number)) for number in range(n)]

    def start_all(shift: int) -> list[Sidecar]:
        started = []
        for number, port in enumerate(ports):
            command = [sys.executable, "-c", WRONG_CLOCK, str(OFF_BY_S[(number + shift) % len(OFF_BY_S)])]
            data = ("--data-dir", str(cluster.folder / f"data{number}")) if durable else ()
            arguments = ("--bind", f"127.0.0.1:{port}", "--service", "web", "--port", str(number + 1), *data)
            seeds = ("--seed", f"127.0.0.1:{ports[0]}") if number else ()
            started.append(cluster.start(f"n{number}", *arguments, *seeds, seed=False, command=command))
        return [one.wait_ready() for one in started]

    names = {f"n{number}": "alive" for number in range(n)}
    for shift in range(2):
        started = start_all(shift)
        for one in started:
            wait_for(lambda one=one: one.states() == names and len(one.lookup("web")) == n, 90)  # type: ignore[misc]
        for one in started:
            members = one.call("members")  # no second row of anybody: a ghost
            assert sum(member["state"] == "alive" for member in members) == n
        wait_for(lambda: len({one.call("info")["fingerprint"] for one in cluster.all[-n:]}) == 1, 90)
        for one in started:
            one.kill()


MOST = 16
"""Members of one test."""


def own_port(number: int) -> int:
    """One that the kernel gives to nobody, below those for clients, and that no other process of tests uses, of this
    run or of another on this machine."""
    return 10_000 + MOST * (os.getpid() % 1400) + number


@pytest.mark.parametrize("seed", ["first", "other"])
def test_a_copy_of_a_data_directory_ends_and_not_the_original(cluster: Sidecars, seed: str) -> None:
    first = cluster.start("first", "--data-dir", str(cluster.folder / "a")).wait_ready()
    other = cluster.start("other").wait_ready()
    wait_for(lambda: first.states().get("other") == "alive")
    shutil.copytree(cluster.folder / "a", cluster.folder / "b")
    copy = [*COMMAND, "join", "--data-dir", str(cluster.folder / "b"), "--bind", "127.0.0.1:0"]
    environment = {**os.environ, "GOSSIPREG_KEY": cluster.key_file.read_text()}
    ended = subprocess.run(
        [*copy, "--seed", {"first": first, "other": other}[seed].gossip, "--socket", str(cluster.folder / "copy")],
        capture_output=True, text=True, timeout=BOUND_S, env=environment,
    )  # fmt: skip
    assert ended.returncode == 5
    assert f"duplicate identity {first.id}: the sidecar at {first.gossip}" in ended.stderr.splitlines()[-1]
    wait_for(lambda: other.states() == first.states() == {"first": "alive", "other": "alive"})
    first.wait_logged("error duplicate_identity")
