"""Programs that use a registry, run as processes of their own: a fork or an exit of the test's process would take along
what other tests have made."""

import os
import subprocess
import sys
from pathlib import Path

HEAD = """
import os, sys, signal, threading, time
import gossipreg
from gossipreg import NotSynced, Refused, TooStale
path = sys.argv[1]
registry = gossipreg.connect(path, timeout=30)
web = registry.service("web")

def ports(): return sorted(one.port for one in web.instances)

def eventually(condition, bound_s=30):
    end = time.monotonic() + bound_s
    while not condition():
        assert time.monotonic() < end, f"not within {bound_s} s: {web!r} {registry.stats()}"
        time.sleep(0.005)

def threads(): return [one.name for one in threading.enumerate() if one.name == "gossipreg"]

def descriptors(): return {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                           if os.path.islink(f"/proc/self/fd/{fd}")}

def child(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work(); code = 0
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
        os._exit(code)
    return pid

def ended_well(pid): return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


def run_program(program: str, path: Path, *, exit_code: int = 0, python: str = sys.executable) -> str:
    """The output of a program that finds these names. All warnings are errors in it; it must end with this code, and
    write nothing to stderr."""
    ended = subprocess.run(
        [python, "-W", "error", "-X", "dev", "-c", HEAD + program, str(path)],
        capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (exit_code, ""), ended.stderr + ended.stdout
    return ended.stdout
