"""How fast is the laboratory on this machine? It measures datagrams received a second of processor time, with codec.

    idle      pings and acks, as in most of any long run
    updates   registrations, 20 a second: each is decoded, merged, put into the catalog and gossiped on by all members

Times are this process's own (`process_time`), so other processes disturb little. The best of several tries is what the
code can do, the median what to expect.
"""

import gc
import statistics
import time
from collections.abc import Callable

import click

from simulations.world import World

TRIES = 5
MEMBERS = 200


def idle(world: World) -> None:
    world.run(20.0)


def updates(world: World) -> None:
    for number in range(20):
        world.register(world.hosts[number % len(world.hosts)], f"speed-{number}")
        world.run(0.05)


def measured(load: Callable[[World], None], members: int, *, sealed: bool) -> float:
    """Return the datagrams received in a second of processor time."""
    world = World(1, sealed=sealed)
    world.form(members)
    world.run(2.0)
    gc.collect()
    gc.freeze()
    before, start = world.delivered, time.process_time()
    load(world)
    return (world.delivered - before) / (time.process_time() - start)


def main(members: int = MEMBERS) -> int:
    """Print a table."""
    for load in (idle, updates):
        for sealed in (False, True):
            tries = [measured(load, members, sealed=sealed) for _ in range(TRIES)]
            how = "sealed" if sealed else "clear"
            click.echo(
                f"{members} members  {load.__name__:8} {how:7} {max(tries):8,.0f}/s at best, "
                f"{statistics.median(tries):8,.0f}/s median of {TRIES}"
            )
    return 0
