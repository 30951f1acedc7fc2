"""The rows `lookup` and `http`: the sidecar's CPU time for an answer about a service of 3 and of 1,000 instances."""

from scripts.benchmarks.against.requests import get_often, pipelined
from scripts.benchmarks.against.row import Aim, Figure, Measured, Row, Turn
from scripts.tools.machine import cpu_s

SIZES = {"few": 3, "many": 1000}
ASKED = {3: 4000, 1000: 200}
"""How often each size is asked for."""
CONNECTIONS = 16


def _register(path: str) -> None:
    for name, size in SIZES.items():
        pipelined(
            path, "register", [{"name": name, "port": 1 + number, "id": f"{name}{number}"} for number in range(size)]
        )


def lookup(turn: Turn) -> Measured:
    """CPU time of the sidecar for a lookup on the local socket, of 3 and of 1,000 instances; one connection that sends
    all without waiting."""
    found: Measured = {}
    with turn.sidecars() as started:
        one = started.start("n0").wait_ready()
        path, pid = str(one.socket), one.process.pid
        _register(path)
        for name, size in SIZES.items():
            pipelined(path, "lookup", [{"name": name}])
            used = cpu_s(pid)
            pipelined(path, "lookup", [{"name": name}] * ASKED[size])
            found[f"lookup-{size}"] = 1e6 * (cpu_s(pid) - used) / ASKED[size]
    return found


def http(turn: Turn) -> Measured:
    """HTTP `health/service` of 3 and of 1,000 instances over 16 connections: answers for each second of the sidecar's
    CPU time."""
    found: Measured = {}
    with turn.sidecars() as started:
        one = started.start("n0", "--http", "127.0.0.1:0").wait_ready()
        pid, port = one.process.pid, one.port("http")
        _register(str(one.socket))
        for name, size in SIZES.items():
            path = f"/v1/health/service/{name}"
            get_often(port, path, CONNECTIONS, CONNECTIONS)
            used = cpu_s(pid)
            get_often(port, path, CONNECTIONS, ASKED[size])
            found[f"http-{size}"] = ASKED[size] / (cpu_s(pid) - used)
    return found


LOOKUP = Row(lookup, (Figure("lookup-3", "us"), Figure("lookup-1000", "us", Aim(ratio_at_most=0.05))), reps=5)
HTTP = Row(
    http,
    (
        Figure("http-3", "a CPU second", Aim(ratio_at_least=1.5)),
        Figure("http-1000", "a CPU second", Aim(ratio_at_least=5)),
    ),
    reps=5,
)
