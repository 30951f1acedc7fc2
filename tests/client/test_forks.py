"""One client shared by processes that were forked from one another: every caller gets its own answer.

The parent runs as a program of its own, since a fork of the test's process would take all its threads' locks along.
"""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gossipreg.client import Client
from gossipreg.errors import Forked
from tests.client.fake_sidecar import FakeSidecar, echo, instance


def run(program: str, path: Path) -> str:
    """The output of a program that finds `path` and these in its name space; it must end well."""
    head = (
        "import os, sys, threading, signal\nfrom gossipreg import Client, Forked, Unreachable\npath = sys.argv[1]\n"
        "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"
        "def child(work):\n    pid = os.fork()\n    if pid == 0:\n        code = 1\n"
        "        try:\n            work(); code = 0\n        except BaseException as error:\n"
        "            print(type(error).__name__, error, flush=True)\n        os._exit(code)\n    return pid\n"
        "def ended_well(pid): return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", head + program, str(path)], capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    return ended.stdout


ASK = """
def ask(client, who, times=100):
    for number in range(times):
        name = f"{who}-{number}"
        found = client.call("lookup", name=name)[0]["service"]
        assert found == name, f"WRONG SERVICE: asked for {name}, got {found}"
"""


def test_a_client_used_before_a_fork_serves_children_and_parent(sidecar: FakeSidecar) -> None:
    echo(sidecar)
    run(
        ASK + "client = Client(path)\nask(client, 'before', 3)\n"
        "children = [child(lambda n=n: ask(client, f'child-{n}')) for n in range(4)]\n"
        "ask(client, 'parent')\n"
        "assert all([ended_well(pid) for pid in children])\n"
        "ask(client, 'after', 3)\n",
        sidecar.path,
    )


def test_a_fork_during_calls_of_other_threads_harms_neither_side(sidecar: FakeSidecar) -> None:
    echo(sidecar)
    run(
        ASK + "client = Client(path)\nstop = threading.Event()\nfaults = []\n"
        "def keep_asking(n):\n"
        "    try:\n"
        "        while not stop.is_set(): ask(client, f'thread-{n}', 5)\n"
        "    except BaseException as error: faults.append(error)\n"
        "threads = [threading.Thread(target=keep_asking, args=(n,)) for n in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for n in range(20):\n"
        "    assert ended_well(child(lambda: ask(client, f'child-{n}', 20)))\n"
        "stop.set()\n"
        "for thread in threads: thread.join(60)\n"
        "assert not faults, faults\n",
        sidecar.path,
    )


def test_forked_workers_can_call_from_many_threads(sidecar: FakeSidecar) -> None:
    """As gunicorn does with --preload: the module-level client is made, and used, in the parent."""
    echo(sidecar)
    run(
        ASK + "registry = Client(path)\nask(registry, 'preload', 1)\n"
        "def worker(n):\n"
        "    faults = []\n"
        "    def serve(t):\n"
        "        try: ask(registry, f'worker-{n}-{t}', 20)\n"
        "        except BaseException as error: faults.append(error)\n"
        "    threads = [threading.Thread(target=serve, args=(t,)) for t in range(8)]\n"
        "    for thread in threads: thread.start()\n"
        "    for thread in threads: thread.join(60)\n"
        "    assert not faults, faults\n"
        "children = [child(lambda n=n: worker(n)) for n in range(4)]\n"
        "assert all([ended_well(pid) for pid in children])\n",
        sidecar.path,
    )


def test_a_forked_child_holds_no_connection_of_its_parents(sidecar: FakeSidecar) -> None:
    sidecar.answers |= {"info": lambda _: 1, "register": lambda _: {"id": "web-80"}}
    run(
        "client = Client(path); client.call('info'); watch = client.watch(); attachment = client.attach(name='web')\n"
        "def count():\n"
        "    links = []\n"
        "    for fd in os.listdir('/proc/self/fd'):\n"
        "        try: links.append(os.readlink(f'/proc/self/fd/{fd}'))\n"
        "        except OSError: pass\n"
        "    return sum(link.startswith('socket:') for link in links)\n"
        "def look():\n"
        "    assert count() == 0, count()\n"
        "    client.call('info')\n"
        "    watch.close(); attachment.close(); client.close()\n"
        "assert count() == 3\n"
        "assert ended_well(child(look))\n"
        "assert client.call('info') == 1 and attachment.open and attachment.notified() is None\n",
        sidecar.path,
    )


def test_a_forked_child_is_refused_the_watch_of_its_parent(sidecar: FakeSidecar) -> None:
    sidecar.changes = [{"kind": "current", "instances": []}, {"kind": "added", "instance": instance(1)}]
    out = run(
        "watch = Client(path).watch(); next(watch)\n"
        "def use():\n"
        "    for use in (lambda: next(watch), lambda: watch.next_within(0)):\n"
        "        try: use()\n"
        "        except Forked as error:\n"
        "            print(str(error).replace(str(os.getppid()), 'P').replace(str(os.getpid()), 'C'))\n"
        "    watch.close(); sys.stdout.flush()\n"
        "assert ended_well(child(use))\n"
        "assert watch.next_within(60)['instance']['port'] == 1\n",
        sidecar.path,
    )
    assert out.splitlines() == ["this watch was opened by process P: open another one in this process (C)"] * 2


def test_a_child_of_a_fork_outside_python_is_kept_apart_too(
    sidecar: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some servers fork in C, and the hooks of Python do not run: then the id of the process tells."""
    echo(sidecar)
    with Client(str(sidecar.path)) as client, client.watch() as watch:
        client.call("lookup", name="parent")
        monkeypatch.setattr("os.getpid", lambda: 4_194_305)  # no process has this id
        assert client.call("lookup", name="child")[0]["service"] == "child"
        with pytest.raises(Forked):
            next(watch)
        assert len(sidecar.open) == 3  # of the watch, the parent's call, the child's
        monkeypatch.undo()
        assert client.call("lookup", name="parent")[0]["service"] == "parent"


def test_a_socket_that_is_closed_twice_closes_no_other(sidecar: FakeSidecar) -> None:
    sidecar.answers["info"] = lambda _: 1
    with Client(str(sidecar.path)) as client:
        watch = client.watch()
        watch.close()
        with socket.socket(socket.AF_UNIX) as reused:
            watch.close()
            assert reused.fileno() >= 0
            reused.getsockname()
