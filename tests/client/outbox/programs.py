"""Programs with an outbox, run as processes of their own: they are killed, they fork, they end with a relay running."""

import os
import subprocess
import sys
from pathlib import Path

HEAD = """
import json, os, signal, sqlite3, sys, threading, time
from gossipreg import GossipregError, Outbox, Relay, relay_once
address, sent = sys.argv[1:3]

def connect():
    if address.endswith(".db"):
        return sqlite3.connect(address, timeout=60)
    import psycopg
    return psycopg.connect(address)

class FilePublisher:
    '''Durable once the line is written: one write to a file opened for appending.'''
    def __init__(self, answered=lambda: None): self.answered = answered
    def publish(self, type, data=None, *, id=None, **named):
        with open(sent, "a") as file: file.write(json.dumps([id, type]) + "\\n")
        self.answered()

def write(*types):
    connection = connect()
    for type in types: Outbox(connection).publish(type)
    connection.commit()
    connection.close()

def waiting():
    connection = connect()
    (found,) = connection.execute("SELECT count(*) FROM gossipreg_outbox").fetchone()
    connection.close()
    return found

def eventually(condition, bound_s=30):
    end = time.monotonic() + bound_s
    while not condition():
        assert time.monotonic() < end, f"not within {bound_s} s"
        time.sleep(0.005)

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


def start_program(program: str, address: str, sent: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + program, address, str(sent)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def run_program(program: str, address: str, sent: Path, *, exit_code: int = 0) -> str:
    """The output of a program that finds these names; it must end with this code."""
    with start_program(program, address, sent) as process:
        out = process.communicate(timeout=120)[0]
    assert process.returncode == exit_code, out
    return out
