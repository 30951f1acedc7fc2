"""The bench: what it takes and tells, on a cluster as small as there is; and that it leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.benchmarks.serf import SerfCluster
from scripts.benchmarks.stop import Stop, Stopped
from scripts.benchmarks.views import Listener, Views
from scripts.tools.wait import BOUND_S, wait_for

ROOT = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "scripts.benchmarks.bench"]
COLUMNS = ["row", "of", "n", "reps", "p50_ms", "p99_ms", "max_ms", "lost"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the bench has its temporary files; its name is in the command line of each sidecar."""
    with tempfile.TemporaryDirectory(prefix="b-") as folder:
        yield Path(folder)


def bench(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**os.environ, "TMPDIR": str(folder), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def processes(folder: Path) -> list[str]:
    """Command lines of those that have to do with this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:  # it just ended
            continue
        if os.fsencode(folder) in line:
            found.append(line.replace(b"\0", b" ").decode())
    return found


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["upadte"], "no row 'upadte': choose from update, crash"),
        (["update", "--n", "1"], "--n 1: at least 2"),
        (["partition", "--n", "3"], "--n 3: at least 4"),
        (["update", "--reps", "0"], "--reps 0: at least 1"),
        (["stress", "--minutes", "-1"], "--minutes -1: more than 0"),
        (["update", "--memberlist", "/no/such"], "--memberlist /no/such: no program is there"),
        (["events", "--processes", "5"], "--processes 5: 64 publishers do not spread over them evenly"),
    ],
)
def test_a_row_that_cannot_run_is_refused_before_anything_starts(arguments: list[str], says: str, folder: Path) -> None:
    ended = bench(folder, *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert says in ended.stderr.splitlines()[-1]
    assert list(folder.iterdir()) == []


def test_peers_without_serf_are_an_error_saying_where_to_get_it(folder: Path) -> None:
    ended = bench(folder, "update", "--peers", PATH=str(folder))
    assert ended.returncode == 2
    assert "no `serf` here" in ended.stderr.splitlines()[-1]


def test_events_without_redis_are_an_error_saying_where_to_get_it(folder: Path) -> None:
    ended = bench(folder, "events", PATH=str(folder))
    assert ended.returncode == 2
    assert "events: there is no `redis-server` here" in ended.stderr.splitlines()[-1]


@pytest.mark.wide
def test_the_row_of_the_journals_store_has_writers_beside_an_fsync(folder: Path) -> None:
    ended = bench(folder, "journal-store", "--reps", "3", "--json")
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    found = [(line["row"], line["n"], line["reps"], line["lost"]) for line in lines]
    stores = [("journal-store", writers, 3 * writers, 0) for writers in (1, 16, 64)]
    assert found == [("journal-fsync", 1, 3, 0), *stores]
    assert list(folder.iterdir()) == []


@pytest.mark.wide
def test_the_row_of_streams_has_rates_and_an_idle_stream(folder: Path) -> None:
    ended = bench(folder, "streams", "--reps", "20", "--json")
    assert ended.returncode == 0, ended.stderr
    line = json.loads(ended.stdout)
    assert (line["row"], line["n"], line["reps"], line["lost"]) == ("streams", 2, 20, 0)
    assert line["appends_a_second"] > 0
    assert line["idle_bytes_a_second"] in (0, None)
    assert list(folder.iterdir()) == []


def test_a_row_of_real_sidecars_is_a_line_of_json(folder: Path) -> None:
    ended = bench(folder, "update", "--n", "3", "--reps", "1", "--json")
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)
    assert list(figures)[: len(COLUMNS)] == COLUMNS
    assert [figures[name] for name in ("row", "of", "n", "reps", "lost")] == ["update", "gossipreg", 3, 1, 0]
    assert 0 < figures["p50_ms"] == figures["p99_ms"] == figures["max_ms"]
    assert "a spinning loop got" in ended.stderr.splitlines()[0]
    assert (list(folder.iterdir()), processes(folder)) == ([], [])


@pytest.mark.parametrize(
    ("number", "up"),
    [(signal.SIGTERM, 1), pytest.param(signal.SIGTERM, 3, marks=pytest.mark.wide), (signal.SIGINT, 3)],
    ids=["SIGTERM-while-it-starts", "SIGTERM", "SIGINT"],
)
def test_stopped_by_a_signal_it_ends_all_that_it_started(number: signal.Signals, up: int, folder: Path) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # it may be ignored here, as in the background of a shell
    try:
        started = subprocess.Popen(
            [*COMMAND, "update", "--n", "3", "--reps", "100000"],
            env={**os.environ, "TMPDIR": str(folder)},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(number, before)
    try:
        wait_for(lambda: len(list(folder.glob("*/n*.sock"))) >= up, 2 * BOUND_S)
        assert len(processes(folder)) >= up
        started.send_signal(number)
        _, errors = started.communicate(timeout=BOUND_S)
    finally:
        started.kill()
        started.wait()
    assert started.returncode == 128 + number, errors
    assert errors.splitlines()[-1] == f"stopped by {number.name}: all that was started has been ended"
    assert (list(folder.iterdir()), processes(folder)) == ([], [])


# -- peers -------------------------------------------------------------------------------------------------------------

PEER = """#!{python}
# Speaks the protocol at the head of memberlist.py. All members report to the first, which reports to all.
import argparse, selectors, socket, sys

parser = argparse.ArgumentParser()
for flag in ("name", "bind", "join"):
    parser.add_argument("--" + flag)
given = parser.parse_args()
host, _, port = given.bind.partition(":")
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((host, int(port)))
seed = (host, int(given.join.partition(":")[2])) if given.join else None
said, others = {{}}, set()

def told(line, source=None):
    others.update({{source}} - {{None}})
    said[line.split()[1]] = line
    if seed is None:
        for other in others:
            for known in said.values() if other == source else (line,):
                sock.sendto(known.encode(), other)
    if seed is None or source is not None:
        print(line, flush=True)
    else:
        sock.sendto(line.encode(), seed)

print("ready", flush=True)
told("here " + given.name + " ")
with selectors.DefaultSelector() as selector:
    selector.register(sys.stdin, 1)
    selector.register(sock, 1)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sock:
                data, source = sock.recvfrom(2000)
                told(data.decode(), source)
            elif not (line := sys.stdin.readline()):
                sys.exit()
            elif line.startswith("update "):
                told("here " + given.name + " " + line[7:].strip())
"""


def program(folder: Path, text: str) -> Path:
    path = folder / "program"
    path.write_text(text.format(python=sys.executable))
    path.chmod(0o755)
    return path


@pytest.mark.wide
def test_a_program_of_memberlist_runs_the_same_row(folder: Path) -> None:
    ended = bench(folder, "update", "--n", "3", "--reps", "1", "--json", "--memberlist", str(program(folder, PEER)))
    assert ended.returncode == 0, ended.stderr
    ours, theirs = map(json.loads, ended.stdout.splitlines())
    assert (ours["of"], theirs["of"], theirs["lost"]) == ("gossipreg", "memberlist", 0)
    assert theirs["ratio"] == pytest.approx(theirs["p50_ms"] / ours["p50_ms"], rel=0.05)
    assert processes(folder) == []


def test_a_program_that_breaks_the_protocol_is_named(folder: Path) -> None:
    chatty = program(folder, "#!/bin/sh\necho hello; read line\n")
    ended = bench(folder, "update", "--n", "2", "--reps", "1", "--memberlist", str(chatty))
    assert ended.returncode == 1
    assert "wrote b'hello': see the head of scripts/benchmarks/memberlist.py" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_log_of_serf_reports_joins_updates_and_deaths() -> None:
    class Fake(SerfCluster):
        def __init__(self) -> None:
            self.views = Views(Listener())

    cluster: Any = Fake()
    cluster.views.begin("n0")
    member: Any = threading.local()
    member.name = "n0"
    seen = []
    for line in (
        b"    2026/11/25 10:00:00 [INFO] serf: EventMemberJoin: n1 127.0.0.1",
        b"    2026/11/25 10:00:00 [INFO] serf: EventMemberUpdate: n1",
        b"    2026/11/25 10:00:00 [INFO] agent: Received event: member-update",
        b"    2026/11/25 10:00:01 [INFO] serf: EventMemberFailed: n1 127.0.0.1",
        b"    2026/11/25 10:00:02 [INFO] serf: EventMemberJoin: n1 127.0.0.1",
        b"    2026/11/25 10:00:03 [INFO] serf: EventMemberLeave (forced): n1 127.0.0.1",
    ):
        cluster.line(member, line, 1.0)
        seen.append(cluster.views.of["n0"].get("n1"))
    assert seen == ["", "changed", "changed", None, "", None]


# -- parts -------------------------------------------------------------------------------------------------------------


def test_a_view_that_never_holds_is_not_among_the_times() -> None:
    views = Views(Listener())
    for observer in ("a", "b"):
        views.begin(observer)
    views.tell("a", "x", "1", 5.0)
    views.tell("b", "x", "0", 6.0)
    assert views.until(["a", "b"], lambda _, view: view.get("x") == "1", 0.01) == {"a": 5.0}


def test_a_member_that_is_gone_is_reported_once() -> None:
    views, gone = Views(Listener()), []
    views.gone = lambda observer, subject: gone.append((observer, subject))
    views.begin("a")
    for mark in ("1", None, None):
        views.tell("a", "x", mark, 1.0)
    assert gone == [("a", "x")]


def test_a_held_signal_is_obeyed_once_at_the_end() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        stop, passed = Stop(), []

        def start_something() -> None:
            with stop.held():
                signal.raise_signal(signal.SIGTERM)
                passed.append("to the end")

        with pytest.raises(Stopped, match="SIGTERM") as raised:
            start_something()
        assert (raised.value.exit_code, passed) == (143, ["to the end"])
        signal.raise_signal(signal.SIGTERM)  # the clean-up is under way
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
