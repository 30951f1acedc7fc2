"""The rows `change-cpu` and `update`: what a change costs each member, and how soon the last one has it."""

import random
import selectors
import time

from gossipreg.client.connection import Client
from scripts.benchmarks.against.row import Aim, Figure, Measured, Row, Turn
from scripts.benchmarks.sidecar_cluster import SidecarCluster
from scripts.benchmarks.views import View
from scripts.tools.figures import percentile
from scripts.tools.machine import cpu_s
from scripts.tools.wait import wait_for

MEMBERS = 16
RATES = {5: 20.0, 50: 8.0, 400: 4.0}
"""Changes a second in the whole cluster, and for how many seconds."""
EQUAL_S = 60.0
SPREAD_MEMBERS = 32
UPDATES = 25
UPDATE_S = 10.0


def change_cpu(turn: Turn) -> Measured:
    """CPU time a change takes at each of 16 sealed sidecars, at 5, 50 and 400 changes a second spread over all."""
    found: Measured = {}
    with turn.sidecars() as started:
        first = started.start("n0").wait_ready()
        others = [started.start(f"n{number}") for number in range(1, MEMBERS)]
        everyone = [first, *(one.wait_ready() for one in others)]
        names = {one.name for one in everyone}
        wait_for(lambda: all(one.alive() >= names for one in everyone), EQUAL_S)
        clients = [Client(str(one.socket)) for one in everyone]
        pids = [one.process.pid for one in everyone]
        serial = 0
        for rate, seconds in RATES.items():
            used = [cpu_s(pid) for pid in pids]
            begin = time.perf_counter()
            number = round(rate * seconds)
            with selectors.DefaultSelector() as pause:
                for sent in range(number):
                    pause.select(max(0.0, begin + sent / rate - time.perf_counter()))
                    serial += 1
                    clients[sent % MEMBERS].call("register", name="changing", port=1, weight=serial % 60_000)
            wait_for(lambda: len({client.call("info")["fingerprint"] for client in clients}) == 1, EQUAL_S)
            cost = sum(cpu_s(pid) - was for pid, was in zip(pids, used, strict=True))
            found[f"change-cpu-{rate}"] = 1000 * cost / number / MEMBERS
        for client in clients:
            client.close()
    return found


def update(turn: Turn) -> Measured:
    """From sending a change to one of 32 sealed sidecars until the last of the others reports it: p50 of 25."""
    times: list[float] = []
    rng = random.Random(22)
    with SidecarCluster(turn.stop, command=turn.build.command) as cluster:
        cluster.grow(SPREAD_MEMBERS)
        names = list(cluster.members)
        for rep in range(UPDATES):
            cluster.listener.rest(0.2 + rng.random() * 0.3)
            one, since = rng.choice(names), time.perf_counter()
            mark = cluster.update(cluster.members[one], rep + 1)

            def has_it(_observer: str, view: View, one: str = one, mark: str = mark) -> bool:
                return view.get(one) == mark

            came = cluster.views.until(names, has_it, UPDATE_S)
            times.append(1000 * (max(came.values()) - since if len(came) == len(names) else UPDATE_S))
    return {"update": percentile(times, 0.5) or 0.0}


CHANGE_CPU = Row(
    change_cpu, tuple(Figure(f"change-cpu-{rate}", "ms", Aim(ratio_at_most=0.6)) for rate in RATES), reps=3
)
UPDATE = Row(update, (Figure("update", "ms", Aim(ratio_at_most=0.6)),), reps=3)
