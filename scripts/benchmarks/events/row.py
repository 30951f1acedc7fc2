"""The row `events`: gossipreg and other programs for events, in turn."""

from collections.abc import Sequence

from scripts.benchmarks.cluster import Failed
from scripts.benchmarks.events import nats_peer, redis_peer
from scripts.benchmarks.events.gossipreg_peer import GossipregPeer
from scripts.benchmarks.events.nats_peer import NatsPeer
from scripts.benchmarks.events.peer import EventsPeer, Load, Pace
from scripts.benchmarks.events.records import Throughput
from scripts.benchmarks.events.redis_peer import RedisPeer
from scripts.benchmarks.run import Figures, Run
from scripts.tools.machine import quietness

PUBLISHERS = Load().publishers


def events(run: Run) -> list[Figures]:
    """gossipreg, Redis Streams (Debian's) and NATS JetStream (PyPI's, fetched into .venv at first): events a second,
    as 64 publishers in 4 processes (--processes) get them acknowledged, each waiting for its own, 1 KiB, and one group
    handles them; a repetition is 10 s after 2 s of warm-up. `events-latency`, from publishing one event until it is
    handled, of 500 at 20 a second in a repetition. Each line ends with what the program counts as durable; `least` is
    the worst repetition, `again` counts deliveries of an event that had been handled, `failed` repetitions that had no
    result."""
    return measured(
        run, [GossipregPeer(run.stop), RedisPeer(run.stop), NatsPeer(run.stop)], Load(processes=run.processes), Pace()
    )


def measured(run: Run, peers: Sequence[EventsPeer], load: Load, pace: Pace) -> list[Figures]:
    """Each peer in each repetition, so that what disturbs the machine disturbs all of them. One that fails costs that
    repetition of that peer alone. Raises Failed for a peer that has no other."""
    rates: dict[EventsPeer, list[Throughput]] = {peer: [] for peer in peers}
    delays: dict[EventsPeer, list[float | None]] = {peer: [] for peer in peers}
    failures: dict[EventsPeer, list[Failed]] = {peer: [] for peer in peers}
    for rep in range(run.reps):
        for peer in peers:
            run.progress(f"events: {rep + 1} of {run.reps}, {peer.name}; {quietness()}\n")
            try:
                with peer:
                    rate, delay = peer.throughput(load), peer.latency(pace)
            except Failed as failed:
                run.progress(f"events: {failed}: this repetition does not count\n")
                failures[peer].append(failed)
                continue
            rates[peer].append(rate)
            delays[peer] += delay
    for peer in peers:
        if not rates[peer]:
            raise failures[peer][-1]
    return [
        *(throughput_figures(peer, rates[peer], len(failures[peer])) for peer in peers),
        *(Figures("events-latency", peer.servers, delays[peer], of=peer.name, durable=peer.durable) for peer in peers),
    ]


def throughput_figures(peer: EventsPeer, found: Sequence[Throughput], failed: int) -> Figures:
    rates = [one.events_a_second for one in found]
    return Figures(
        "events",
        peer.servers,
        [*rates],
        unit="events/s",
        lost=sum(one.lost for one in found),
        also={"least": min(rates), "again": float(sum(one.again for one in found)), "failed": float(failed)},
        of=peer.name,
        durable=peer.durable,
    )


def missing() -> str | None:
    """The reason why the row cannot be measured here, if there is one."""
    return redis_peer.missing() or nats_peer.missing()
