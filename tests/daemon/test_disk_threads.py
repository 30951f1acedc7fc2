"""While a sidecar answers, threads alone touch its disk: a slow one must not stop the loop."""

import json
from pathlib import Path

from tests.daemon.test_main import SCRIPT, Process

RECORDS = """
import os, sqlite3, sys, threading
folder, main = json.loads(sys.argv[1])["data_dir"], threading.main_thread()
touched = {True: set(), False: set()}

def note(what):
    if ready:
        touched[threading.current_thread() is main].add(what)

ready = []

class Database(sqlite3.Connection):
    def execute(self, *given): note(f"sqlite: {given[0][:60]}"); return super().execute(*given)
    def executemany(self, *given): note(f"sqlite: {given[0][:60]}"); return super().executemany(*given)
    def commit(self): note("sqlite: commit"); super().commit()

connect = sqlite3.connect
sqlite3.connect = lambda *given, **how: connect(*given, **how, factory=Database)

def audited(event, given):
    if event in ("open", "os.rename", "os.remove", "os.truncate", "os.mkdir", "os.listdir", "os.scandir"):
        if any(str(one).startswith(folder) for one in given):
            note(f"{event} {given[0]}")

sys.addaudithook(audited)

def noted(name, call):
    def wrapped(*given, **how):
        note(f"os.{name}")
        return call(*given, **how)
    return wrapped

for name in ("fsync", "fdatasync", "pwrite", "ftruncate"):
    setattr(os, name, noted(name, getattr(os, name)))

from gossipreg.daemon import running
print_ready = running.print_ready

def is_ready(*given):
    ready.append(True)
    print_ready(*given)

running.print_ready = is_ready
"""
SAY = """
print(json.dumps([sorted(touched[True]), sorted(touched[False])]))
sys.exit(code)
"""


class RecordedProcess(Process):
    script = SCRIPT.replace("from gossipreg.daemon.main", f"{RECORDS}\nfrom gossipreg.daemon.main", 1).replace(
        "print(json.dumps(sorted(sys.modules)))\nsys.exit(code)", SAY
    )


def test_no_call_to_the_disk_holds_up_the_loop(tmp_path: Path) -> None:
    data = tmp_path / "data"
    sidecar = RecordedProcess(tmp_path, data_dir=str(data), host_id="h")
    try:
        use(sidecar)
        assert (data / "journals.db").exists()
        assert (data / "history.db").exists()
        code, said = sidecar.end(15)
        assert code == 0
        loop, threads = json.loads(said)
        assert loop == []
        assert {"os.fsync", "sqlite: BEGIN IMMEDIATE"} <= set(threads), "the rest is noted"
    finally:
        sidecar.close()


def use(sidecar: Process) -> None:
    """Have it keep something of each kind."""
    for method, params in (
        ("register", {"name": "web", "port": 80, "checks": ["ttl:1h"]}),
        ("maint", {"service": "web-80", "reason": "why"}),
        ("publish", {"type": "order.created", "data": "{}"}),
        ("saga-begin", {"name": "order"}),
        ("history", {}),
        ("journals", {}),
        ("info", {}),
        ("reload", {}),
        ("deregister", {"id": "web-80"}),
    ):
        answer = sidecar.call(method, **params)
        assert not isinstance(answer, tuple), f"{method}: {answer}"
