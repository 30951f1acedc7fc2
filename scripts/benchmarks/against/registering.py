"""The row `register-durable`: registrations that are on the disk before they are answered."""

import time

from scripts.benchmarks.against.requests import pipelined
from scripts.benchmarks.against.row import Aim, Figure, Measured, Row, Turn
from scripts.tools.machine import cpu_s

REGISTRATIONS = 600


def register_durable(turn: Turn) -> Measured:
    """Registrations of 600 services with a data directory, on one connection that sends all without waiting."""
    with turn.sidecars() as started:
        one = started.start("n0", "--data-dir", str(started.sidecars.folder / "data")).wait_ready()
        asked = [{"name": f"s{number % 50}", "port": 1 + number, "id": f"i{number}"} for number in range(REGISTRATIONS)]
        used, since = cpu_s(one.process.pid), time.perf_counter()
        pipelined(str(one.socket), "register", asked)
        seconds, used = time.perf_counter() - since, cpu_s(one.process.pid) - used
    return {"register-durable": REGISTRATIONS / seconds, "register-durable-cpu": 1e6 * used / REGISTRATIONS}


REGISTER_DURABLE = Row(
    register_durable,
    (Figure("register-durable", "a second", Aim(ratio_at_least=6)), Figure("register-durable-cpu", "us")),
    reps=5,
)
