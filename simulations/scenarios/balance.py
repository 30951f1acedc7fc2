"""Which policy gives clients the shortest latencies and the fewest errors?

Clients send requests to servers with queues, and pick by the policy: the shipped Balancer (`ours`; `ours_load`: servers
tell their load in the header gossipreg-load), or one that it is compared with. `--nodes` is the number of servers. Of
the label:

    policy      the policy
    speeds      equal; mixed: servers of speed 1, 2 and 4 in turns
    weights     equal; 1_to_100: from 1 to 100 by even factors, and as many workers as the weight
    fault       antagonists that come and go; one server fails_fast, hangs or restarts (see `balancing/faults.py`)
    load        the part of all workers' time that the requests take
    clients     how many clients
    workers     of a server; with weights, of each unit of it
    service_ms  the mean work of a request, for a worker of speed 1
    bursts      1: the first tenth of each second has four times the mean rate

Requests of one seed are the same for all policies. The first 2 s are not measured.

    latency     of each request that was answered
    errors      the part of the requests that failed: an error, refused for load, no answer within 1 s
    share       of each server that should have 400 requests or more: its requests by those due to its weight
    probes      of Prequal, for each request
"""

import math
from collections.abc import Callable
from dataclasses import replace

from gossipreg.client.instance import Instance
from simulations.balancing import faults
from simulations.balancing.pickers import BASELINES, Ours, Picker
from simulations.balancing.prequal import Prequal
from simulations.balancing.servers import Server
from simulations.balancing.traffic import Demand, Measured, Traffic
from simulations.randomness import Randomness
from simulations.scenario import Case, Figure, Scenario

POLICIES = (*BASELINES, "prequal", "ours", "ours_load")
WARM_UP_S = 2.0
SPEEDS = (1.0, 2.0, 4.0)
DUE_MIN = 400
"""Chance alone moves the share of a server with fewer requests by more than 5 %."""
CLIENTS, WORKERS, SERVICE_MS, LOAD = 10, 4, 20.0, 0.6


def run(case: Case) -> list[Figure]:
    randomness, measured = Randomness(case.seed), Measured(WARM_UP_S)
    workers = int(case.value("workers", WORKERS))
    speeds = [_speed(case, number) for number in range(case.nodes)]
    weights = [_weight(case, number) for number in range(case.nodes)]
    work_s = case.value("service_ms", SERVICE_MS) / 1000
    capacity = sum(speed * weight for speed, weight in zip(speeds, weights, strict=True)) * workers / work_s
    demand = Demand(case.value("load", LOAD) * capacity, work_s, case.value("bursts", 0) > 0)
    traffic = Traffic(demand, randomness.of("arrivals"), measured)
    traffic.servers = [
        Server(workers * weight, speed, traffic.later, traffic.answer)
        for speed, weight in zip(speeds, weights, strict=True)
    ]
    make = _maker(case.word("policy", "ours"), randomness, traffic)
    traffic.pickers = [make(number) for number in range(int(case.value("clients", CLIENTS)))]
    instances = [_instance(number, weight) for number, weight in enumerate(weights)]
    traffic.registry_says(instances)
    faults.prepare(case.word("fault", "none"), traffic, instances, randomness.of("faults"))
    traffic.run(case.duration_s)
    return _figures(measured, weights)


def _speed(case: Case, number: int) -> float:
    return SPEEDS[number % len(SPEEDS)] if case.word("speeds", "equal") == "mixed" else 1.0


def _weight(case: Case, number: int) -> int:
    if case.word("weights", "equal") == "equal":
        return 1
    return round(math.pow(100, number / (case.nodes - 1)))


def _instance(number: int, weight: int) -> Instance:
    return Instance(
        str(number), "billing", f"{number:032x}", f"server-{number}", f"10.0.{number // 256}.{number % 256}", 80,
        weight=weight,
    )  # fmt: skip


def _maker(policy: str, randomness: Randomness, traffic: Traffic) -> Callable[[int], Picker]:
    if policy == "prequal":
        traffic.servers_tell = True
        return lambda number: Prequal(randomness.of("client", number), traffic.probe)
    if policy in BASELINES:
        return lambda number: BASELINES[policy](randomness.of("client", number))
    return lambda number: Ours(randomness.of("client", number), header=policy == "ours_load")


def _figures(measured: Measured, weights: list[int]) -> list[Figure]:
    sent = sum(measured.by_server.values())
    due = [sent * weight / sum(weights) for weight in weights]
    shares = [measured.by_server.get(number, 0) / of for number, of in enumerate(due) if of >= DUE_MIN]
    found = [
        Figure("latency", "ms", tuple(1000 * latency_s for latency_s in measured.latencies_s)),
        Figure("errors", "%", (100 * measured.errors / max(1, measured.requests),)),
        Figure("share", "1", tuple(shares)),
    ]
    if measured.probes:
        found.append(Figure("probes", "1", (measured.probes / sent,)))
    return found


KINDS = (
    *((nodes, f"load={load:g}") for nodes in (2, 3, 5, 50, 500) for load in (0.1, 0.8)),
    *((nodes, f"load={load:g} speeds=mixed") for nodes in (3, 12, 50) for load in (0.3, 0.7)),
    *((nodes, f"load={load:g} fault=antagonists") for nodes in (5, 12, 50) for load in (0.3, 0.6)),
    *((nodes, f"load=0.4 fault={fault}") for nodes in (2, 3, 12) for fault in ("fails_fast", "hangs", "restarts")),
    *((nodes, "load=0.5 bursts=1") for nodes in (3, 12, 50)),
    *((10, f"clients=200 service_ms={rest}") for rest in ("120 load=0.6", "220 load=0.5 speeds=mixed")),
)
"""(servers, the rest of the label)."""
WEIGHTED = (
    *((nodes, f"load={load:g} weights=1_to_100 service_ms=10") for nodes in (2, 3) for load in (0.1, 0.8)),
    *((50, f"load={load:g} weights=1_to_100 service_ms=100") for load in (0.1, 0.8)),
)
"""Prequal knows no weights."""


def cases(case: Case) -> list[Case]:
    return [
        replace(case, nodes=nodes, label=f"policy={policy} {label}", duration_s=_duration_s(case, nodes))
        for nodes, label in (*KINDS, *WEIGHTED)
        for policy in POLICIES
        if policy != "prequal" or (nodes, label) in KINDS
    ]


def _duration_s(case: Case, nodes: int) -> float:
    """With many servers there are many requests a second."""
    return min(case.duration_s, 10.0) if nodes >= 50 else case.duration_s


SCENARIO = Scenario(
    "balance",
    "which policy gives clients the shortest latencies and the fewest errors?",
    run,
    Case(nodes=12, duration_s=30.0),
    cases,
    words={
        "policy": POLICIES,
        "speeds": ("equal", "mixed"),
        "weights": ("equal", "1_to_100"),
        "fault": faults.FAULTS,
    },
    numbers={
        "load": (0.01, 2.0),
        "clients": (1, math.inf),
        "workers": (1, math.inf),
        "service_ms": (0.1, math.inf),
        "bursts": (0, 1),
    },
)
