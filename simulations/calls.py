"""How many calls of Python functions does the core make: in an input while nothing happens, and for a change?

A sidecar sleeps most of the time, so its code and data are not in the caches of the processor when it wakes up. What a
wake-up costs then depends on how much code it runs once, and times on a machine that others use too say little of that.
The number of calls does, and in a new process the same run makes the same number. Functions of ours and of the standard
library count, functions in C do not.
"""

import sys
from collections.abc import Callable
from functools import partial, wraps
from types import FrameType
from typing import Any, NamedTuple

import click

from gossipreg.core.node import Node
from gossipreg.model import Health, RegisteredService
from simulations.host import Host
from simulations.world import World

MEMBERS = 16
RATES = (5, 50, 400)
"""Changes a second, spread over all members."""
_INPUTS = ("receive", "advance", "register")


class Calls(NamedTuple):
    idle_input: float
    """In an input of a member while nothing happens: a datagram or a timer."""
    a_change: dict[int, float]
    """Per member, by the changes a second. What an idle member does is left out."""


def count_calls(rates: tuple[int, ...] = RATES, changes: int = 400) -> Calls:
    """Count them among sealed members that know each other, each with a service that it changes in turn."""
    world = World(7, sealed=True)
    hosts = world.form(MEMBERS)
    for host in hosts:
        world.register(host, "changing")
    world.run(30)
    counter = _Counter()
    for host in hosts:
        counter.count_in(host.node)
    world.run(5)  # a class compiles its methods when they are needed first
    idle_s = 20
    counter.calls = counter.inputs = 0
    world.run(idle_s)
    idle_input, idle_a_second = counter.calls / counter.inputs, counter.calls / idle_s
    a_change: dict[int, float] = {}
    for rate in rates:
        counter.calls = 0
        start = world.now
        for number in range(changes):
            host = hosts[number % MEMBERS]
            world.at(start + number / rate, partial(_change, world, host, number))
        world.run(changes / rate)
        a_change[rate] = (counter.calls - idle_a_second * changes / rate) / changes / MEMBERS
        world.run(5)
    return Calls(idle_input, a_change)


def main() -> int:
    """Print them."""
    found = count_calls()
    click.echo(f"{found.idle_input:.1f} calls in an input of an idle member")
    for rate, calls in found.a_change.items():
        click.echo(f"{calls:.1f} calls of a member for a change, at {rate} changes a second")
    return 0


def _change(world: World, host: Host, number: int) -> None:
    service = RegisteredService("changing-80", "changing", host.address.host, 80, weight=number)
    host.services[service.id] = service, Health.PASSING
    world.act(host, host.node.register(service, Health.PASSING, host.local(world.now))[1])


class _Counter:
    def __init__(self) -> None:
        self.calls = 0
        self.inputs = 0

    def count_in(self, node: Node) -> None:
        """Count the calls that inputs of this node make from now on."""
        for name in _INPUTS:
            setattr(node, name, self._counted(getattr(node, name)))

    def _counted(self, input: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(input)
        def counted(*given: Any) -> Any:
            self.inputs += 1
            sys.setprofile(self._see)
            try:
                return input(*given)
            finally:
                sys.setprofile(None)

        return counted

    def _see(self, _frame: FrameType, event: str, _argument: Any) -> None:
        self.calls += event == "call"
