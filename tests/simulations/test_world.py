"""The world itself: what it does to members is done to the end."""

from collections.abc import Callable

import pytest

from gossipreg.core.effects import Effect, Send
from gossipreg.model import Address
from simulations.host import Host
from simulations.network import into
from simulations.world import START, World


@pytest.mark.parametrize("processing_s", [0.0, 0.002])
def test_a_stalled_member_is_woken_when_it_goes_on(processing_s: float) -> None:
    """Found by swarm: a member that takes its time for each datagram slept for ever, and never joined."""
    world = World(1)
    host = world.add()
    world.start(host)
    world.run(0.1)
    host.processing_s = processing_s
    world.stall(host)
    world.run(5.0)
    world.resume(host)
    world.run(3.0)
    assert host.node.next_deadline() > world.now - 1.1, "its period went on"
    assert host.wake_at > world.now


LATENCY_S = 0.05


def sends_to_a_refused_port(world: World) -> tuple[Host, list[float]]:
    """A member that has just sent something to one whose port is refused, and when it hears of that."""
    world.network.low_s = world.network.high_s = LATENCY_S
    one, other = world.form(2)
    heard: list[float] = []
    refused = one.node.refused

    def noted(address: Address, now: float) -> list[Effect]:
        assert address == other.address
        heard.append(now - START)
        return refused(address, now)

    one.node.refused = noted  # type: ignore[method-assign]
    world.crash(other)
    world.act(one, [Send(b"anybody there?", other.address)])
    return one, heard


def test_a_refusal_takes_the_way_of_the_datagram_and_its_own() -> None:
    world = World(1)
    _, heard = sends_to_a_refused_port(world)
    world.run(2 * LATENCY_S + 0.001)
    assert heard == [pytest.approx(2 * LATENCY_S)]


@pytest.mark.parametrize("slow", [World.stall, World.block])
def test_who_is_slow_hears_of_a_refusal_when_it_goes_on(slow: Callable[[World, Host], None]) -> None:
    world = World(1)
    one, heard = sends_to_a_refused_port(world)
    slow(world, one)
    world.run(0.5)
    assert heard == []
    world.resume(one)
    assert heard == [0.5]


def test_a_refusal_can_be_lost_and_is_never_refused_itself() -> None:
    world = World(1)
    one, heard = sends_to_a_refused_port(world)
    world.network.rules["deaf"] = into(frozenset({one.number}))
    world.run(3 * LATENCY_S)
    assert heard == []
    world.network.rules.clear()
    world.act(one, [Send(b"anybody there?", world.hosts[1].address)])
    world.crash(one)
    world.run(1.0)
    assert heard == []
    assert not world._heap
