"""The world itself: what it does to members is done to the end."""

import pytest

from simulations.world import World


@pytest.mark.parametrize("processing_s", [0.0, 0.002])
def test_who_was_stalled_is_woken_when_it_goes_on_though_nothing_waits_for_it(processing_s: float) -> None:
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
