"""Three real nodes, each in its pump, in virtual time on a network with the faults of a real one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import pytest
import trio
from trio.testing import MockClock

from gossipreg.daemon.socket_client import SocketClient
from gossipreg.errors import NotSynced
from tests.daemon.conftest import ME, Inside
from tests.daemon.memory_network import Faults, MemoryNetwork

NAMES = ("a", "b", "c")


@asynccontextmanager
async def three(clock: MockClock, seed: int, faults: Faults) -> AsyncIterator[list[Inside]]:
    """Each has registered the service of its name; b and c have a for a seed."""
    assert clock.autojump_threshold == 0
    network = MemoryNetwork(seed, faults)
    sidecars = [Inside(network, name, number) for number, name in enumerate(NAMES, start=1)]
    async with trio.open_nursery() as nursery:
        for sidecar, name in zip(sidecars, NAMES, strict=True):
            nursery.start_soon(sidecar.pump.run)
            await sidecar.register(name, 80)
        first = sidecars[0].transport.address
        sidecars[0].seek()
        for sidecar in sidecars[1:]:
            sidecar.seek(first)
        yield sidecars
        nursery.cancel_scope.cancel()
    for sidecar in sidecars:
        assert not sidecar.pump.counts, sidecar.log.getvalue()


def found(sidecar: Inside, name: str) -> int:
    """How many instances; -1: it is not synced."""
    try:
        return len(msgpack.unpackb(sidecar.methods.lookups.lookup({"name": name})))
    except NotSynced:
        return -1


async def all_find(sidecars: list[Inside], names: tuple[str, ...], count: int = 1) -> float:
    """How long, in seconds of virtual time, until all find `count` of each name."""
    start = trio.current_time()
    with trio.fail_after(60):
        while any(found(sidecar, name) != count for sidecar in sidecars for name in names):
            await trio.sleep(0.01)
    return trio.current_time() - start


@pytest.mark.parametrize("seed", range(3))
async def test_three_sidecars_find_each_others_services(autojump_clock: MockClock, seed: int) -> None:
    async with three(autojump_clock, seed, Faults()) as sidecars:
        assert await all_find(sidecars, NAMES) < 1
        for sidecar in sidecars:
            assert sidecar.node.synced
            assert "synced" in sidecar.events
            assert len(sidecar.node.members(trio.current_time())) == 3


@pytest.mark.parametrize("seed", range(5))
async def test_three_sidecars_find_each_other_over_a_bad_network(autojump_clock: MockClock, seed: int) -> None:
    faults = Faults(loss=0.1, duplication=0.1, delay_s=(0.001, 0.04))
    async with three(autojump_clock, seed, faults) as sidecars:
        assert await all_find(sidecars, NAMES) < 15
        await sidecars[1].register("later", 81)
        assert await all_find(sidecars, ("later",)) < 15
        await sidecars[1].methods.deregister({"id": "later-81"}, SocketClient(ME))
        assert await all_find(sidecars, ("later",), count=0) < 15


async def test_a_sidecar_that_leaves_is_gone_at_once(autojump_clock: MockClock) -> None:
    async with three(autojump_clock, 1, Faults()) as sidecars:
        await all_find(sidecars, NAMES)
        sidecars[2].pump.order(lambda now: sidecars[2].node.leave(now))
        start = trio.current_time()
        await sidecars[2].pump.departed.wait()
        sidecars[2].transport.close()
        assert trio.current_time() - start < 1
        assert await all_find(sidecars[:2], ("c",), count=0) < 0.1
        assert "member_left" in sidecars[0].events


async def test_a_sidecar_whose_port_is_closed_is_declared_dead(autojump_clock: MockClock) -> None:
    async with three(autojump_clock, 1, Faults()) as sidecars:
        await all_find(sidecars, NAMES)
        sidecars[2].transport.close()
        assert await all_find(sidecars[:2], ("c",), count=0) < 3
        assert "member_dead" in sidecars[0].events


async def test_lookup_all_names_a_dead_members_services(autojump_clock: MockClock) -> None:
    async with three(autojump_clock, 1, Faults()) as sidecars:
        await all_find(sidecars, NAMES)
        first = sidecars[0]

        def ask(**params: Any) -> list[Any]:
            answer = first.methods.lookups.lookup({"name": "c", **params})
            assert isinstance(answer, bytes)
            found: list[Any] = msgpack.unpackb(answer)
            return found

        [before] = ask(all=True)
        sidecars[2].transport.close()
        await all_find(sidecars[:2], ("c",), count=0)
        await trio.sleep(7)
        assert ask() == []
        assert ask(all=True, zone="elsewhere") == ask(all=True, tags=["none"]) == []
        [gone] = ask(all=True)
        reason, since_s = gone.pop("reason"), gone.pop("since_s")
        assert gone == {**before, "health": "critical"}
        assert reason.startswith("c is dead: ")
        assert 5 < since_s < 12


async def test_a_started_seed_is_found_however_late(autojump_clock: MockClock) -> None:
    network = MemoryNetwork(3)
    late, early = Inside(network, "late", 1), Inside(network, "early", 2)
    seed = late.transport.address
    del network.bound[seed]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(early.pump.run)
        early.seek(seed)
        await trio.sleep(3600)
        assert autojump_clock.autojump_threshold == 0
        assert not early.node.synced
        network.bound[seed] = late.transport
        nursery.start_soon(late.pump.run)
        late.seek()
        await late.register("x", 1)
        assert await all_find([late, early], ("x",)) < 60
        nursery.cancel_scope.cancel()
