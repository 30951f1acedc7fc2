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
    connect_ms  what a request waits that has to open a connection: the first of a client to a server, the first after
                5 s, and each that finds the others in use

Requests of one seed are the same for all policies. The first 2 s are not measured.

    latency     of each request that was answered
    errors      the part of the requests that failed: an error, refused for load, no answer within 1 s
    share       of each server that should have 400 requests or more: its requests by those due to its weight
    starved     of the pairs of client and server that should have 50 requests or more by weight: the part that has not
                even half of them. Among equal servers there should be none
    probes      of Prequal, for each request
"""

import math
from collections.abc import Callable

from gossipreg.client.instance import Instance
from simulations.balancing import faults
from simulations.balancing.pickers import BASELINES, Ours, Picker
from simulations.balancing.prequal import Prequal
from simulations.balancing.rows import POLICIES, cases
from simulations.balancing.servers import Server
from simulations.balancing.traffic import Demand, Measured, Traffic
from simulations.randomness import Randomness
from simulations.scenario import Case, Figure, Scenario

WARM_UP_S = 2.0
SPEEDS = (1.0, 2.0, 4.0)
DUE_MIN = 400
"""Chance alone moves the share of a server with fewer requests by more than 5 %."""
PAIR_DUE_MIN = 50
CLIENTS, WORKERS, SERVICE_MS, LOAD = 10, 4, 20.0, 0.6
CONNECT_MS = 3.0
"""TCP and TLS 1.3 take three round trips (1.2 ms here) and the processors of both sides a millisecond or two."""


def run(case: Case) -> list[Figure]:
    randomness, measured = Randomness(case.seed), Measured(WARM_UP_S)
    workers = int(case.value("workers", WORKERS))
    speeds = [_speed(case, number) for number in range(case.nodes)]
    weights = [_weight(case, number) for number in range(case.nodes)]
    work_s = case.value("service_ms", SERVICE_MS) / 1000
    capacity = sum(speed * weight for speed, weight in zip(speeds, weights, strict=True)) * workers / work_s
    connect_s = case.value("connect_ms", CONNECT_MS) / 1000
    demand = Demand(case.value("load", LOAD) * capacity, work_s, case.value("bursts", 0) > 0, connect_s)
    traffic = Traffic(demand, randomness.of("arrivals"), measured)
    traffic.servers = [
        Server(workers * weight, speed, traffic.later, traffic.answer)
        for speed, weight in zip(speeds, weights, strict=True)
    ]
    make = _maker(case.word("policy", "ours"), randomness, traffic)
    clients = int(case.value("clients", CLIENTS))
    traffic.pickers = [make(number) for number in range(clients)]
    instances = [_instance(number, weight) for number, weight in enumerate(weights)]
    traffic.registry_says(instances)
    faults.prepare(case.word("fault", "none"), traffic, instances, randomness.of("faults"))
    traffic.run(case.duration_s)
    return _figures(measured, weights, clients)


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


def _figures(measured: Measured, weights: list[int], clients: int) -> list[Figure]:
    sent = sum(measured.sent.values())
    due = [sent * weight / sum(weights) for weight in weights]
    by_server = [sum(measured.sent.get((client, number), 0) for client in range(clients)) for number in range(len(due))]
    shares = [got / of for got, of in zip(by_server, due, strict=True) if of >= DUE_MIN]
    pairs = [
        measured.sent.get((client, number), 0) < of / clients / 2
        for number, of in enumerate(due)
        if of / clients >= PAIR_DUE_MIN
        for client in range(clients)
    ]
    found = [
        Figure("latency", "ms", tuple(1000 * latency_s for latency_s in measured.latencies_s)),
        Figure("errors", "%", (100 * measured.errors / max(1, measured.requests),)),
        Figure("share", "1", tuple(shares)),
        Figure("starved", "%", (100 * sum(pairs) / len(pairs),) if pairs else ()),
    ]
    if measured.probes:
        found.append(Figure("probes", "1", (measured.probes / sent,)))
    return found


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
        "connect_ms": (0, math.inf),
    },
)
