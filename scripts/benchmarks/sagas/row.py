"""The row `sagas`: gossipreg and DBOS, in turn."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from scripts.benchmarks.run import Figures, Run
from scripts.benchmarks.sagas.peers import DbosPeer, GossipregSagas, SagasPeer, decided
from scripts.tools.machine import quietness
from scripts.tools.wait import BOUND_S

AT_ONCE = 50
BEGIN_S = 0.5


@dataclass(frozen=True, slots=True)
class SagaLoad:
    at_once: int = AT_ONCE
    processes: int = 2
    warm_up_s: float = 2.0
    measured_s: float = 10.0


def sagas(run: Run) -> list[Figures]:
    """gossipreg and DBOS (PyPI's, with SQLite, fetched into .venv at first): sagas a second, of three HTTP steps, 50 at
    once, each begun when the one before it was decided; a repetition is 10 s after 2 s of warm-up. `sagas-latency`:
    from the beginning of a saga to its decision. gossipreg by code and declared, with three copies, and with one, as
    DBOS has. Each line ends with what the program counts as durable."""
    ours = [GossipregSagas(run.stop, kind, copies) for copies in (3, 1) for kind in ("by_code", "declared")]
    return measured(run, [*ours, DbosPeer(run.stop)], SagaLoad())


def measured(run: Run, peers: Sequence[SagasPeer], load: SagaLoad) -> list[Figures]:
    """Each peer in each repetition, so that what disturbs the machine disturbs all of them."""
    rates: dict[str, list[float | None]] = {peer.name: [] for peer in peers}
    delays: dict[str, list[float | None]] = {peer.name: [] for peer in peers}
    for rep in range(run.reps):
        for peer in peers:
            run.progress(f"sagas: {rep + 1} of {run.reps}, {peer.name}; {quietness()}\n")
            with peer:
                found = one_run(peer, load)
            rates[peer.name].append(len(found) / load.measured_s)
            delays[peer.name] += found
    return [
        *(
            Figures("sagas", peer.servers, rates[peer.name], unit="sagas/s", of=peer.name, durable=peer.durable)
            for peer in peers
        ),
        *(
            Figures("sagas-latency", peer.servers, delays[peer.name], of=peer.name, durable=peer.durable)
            for peer in peers
        ),
    ]


def one_run(peer: SagasPeer, load: SagaLoad) -> list[float]:
    """The milliseconds of each saga that was decided in the measured time."""
    processes = 1 if isinstance(peer, DbosPeer) else load.processes  # its workflows belong to one process
    each = load.at_once // processes
    with ExitStack() as running:
        clients = [peer.client(running, number * each, each) for number in range(processes)]
        for one in clients:
            one.wait_ready()
        first_s = time.perf_counter() + BEGIN_S
        begin_s = first_s + load.warm_up_s
        end_s = begin_s + load.measured_s
        for one in clients:
            one.tell(f"{first_s} {end_s}")
        bound_s = end_s - time.perf_counter() + BOUND_S
        found = [saga for one in clients for saga in decided(one.output(bound_s))]
    return [took_ms for at, took_ms in found if begin_s <= at < end_s]
