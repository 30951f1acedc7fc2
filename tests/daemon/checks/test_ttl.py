"""TTL checks: a program's heartbeats keep its service in the answers."""

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from gossipreg.daemon.checks.state import Beginning, Restored
from gossipreg.errors import NotFound
from tests.daemon.checks.world import C, P, W, World, spec


async def test_a_ttl_passes_while_heartbeats_come(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        checks.set("s", (spec("ttl:30s"),), Beginning(C))
        await trio.sleep(10)
        checks.heartbeat("s", P, "fine")
        assert world.changes == [("s", P)]
        for _ in range(5):
            await trio.sleep(29)
            checks.heartbeat("s", P, "fine")
        assert world.changes == [("s", P)]
        await trio.sleep(31)
        assert world.changes == [("s", P), ("s", C)]
        assert checks.statuses("s")[0].output == "no heartbeat for 30s"
        checks.heartbeat("s", W, "slow")
        assert world.changes[-1] == ("s", W)
        with pytest.raises(NotFound):
            checks.heartbeat("t", P, "")


async def test_a_ttl_service_expires_once_its_time_is_up(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        checks.set("s", (spec("ttl:2s,deregister_after=1s"),), Beginning(C))
        assert checks.statuses("s")[0].output == "no heartbeat yet"
        await trio.sleep(2.9)
        assert world.expired == []
        await trio.sleep(0.2)
        assert [id for id, _ in world.expired] == ["s"]
        checks.set("t", (spec("ttl:2s,deregister_after=1s"),), Beginning(C))
        for _ in range(5):
            await trio.sleep(1.5)
            checks.heartbeat("t", P, "fine")
        await trio.sleep(2.9)
        assert len(world.expired) == 1
        await trio.sleep(0.2)
        assert [id for id, _ in world.expired] == ["s", "t"]


async def test_a_heartbeat_of_before_a_restart_lasts_one_ttl(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        checks.set("s", (spec("ttl:30s"),), Beginning(restored=lambda _: [Restored(P, 20.0, left_s=10.0)]))
        await trio.sleep(9.9)
        assert world.changes == []
        [status] = checks.statuses("s")
        assert status.checked_s == pytest.approx(29.9)
        await trio.sleep(0.2)
        assert world.changes == [("s", C)]


async def test_an_edited_ttl_counts_from_the_last_heartbeat(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        checks.set("s", (spec("ttl:20s"),), Beginning())
        checks.heartbeat("s", P, "")
        await trio.sleep(15)
        checks.set("s", (spec("ttl:40s"),), Beginning())
        await trio.sleep(24)
        assert world.changes == [("s", P)]
        await trio.sleep(2)
        assert world.changes == [("s", P), ("s", C)]


async def test_a_shorter_ttl_leaves_a_program_the_time_to_beat(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        checks.set("s", (spec("ttl:20s"),), Beginning())
        checks.heartbeat("s", P, "")
        await trio.sleep(15)
        checks.set("s", (spec("ttl:3s"),), Beginning())
        await trio.sleep(2.9)
        assert world.changes == [("s", P)]
        await trio.sleep(0.2)
        assert world.changes == [("s", P), ("s", C)]


async def test_registering_a_ttl_again_and_again_is_no_heartbeat(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        checks.set("s", (spec("ttl:20s"),), Beginning())
        checks.heartbeat("s", P, "")
        for number in range(30):
            checks.set("s", (spec(f"ttl:20s,check_notes={number}"),), Beginning())
            await trio.sleep(1)
        assert world.changes == [("s", P), ("s", C)]


async def test_a_new_ttl_check_takes_a_service_out_after_its_whole_ttl(
    autojump_clock: MockClock,
) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        checks.set("s", (spec("ttl:20s"),), Beginning(P))
        await trio.sleep(19.9)
        assert world.changes == []
        await trio.sleep(0.2)
        assert world.changes == [("s", C)]
