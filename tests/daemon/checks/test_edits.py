"""Checks that are edited while they run: each takes the place of the check that it was."""

from itertools import pairwise

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from gossipreg.daemon.checks.state import Beginning, paired
from tests.daemon.checks.world import C, P, W, World, spec


async def test_an_edited_interval_counts_at_once(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        checks.set("s", (spec("tcp://a:1,interval=1h"),), Beginning())
        await trio.sleep(3600)
        runs = len(world.runs)
        checks.set("s", (spec("tcp://a:1,interval=1s"),), Beginning())
        await trio.sleep(10.5)
        assert 9 <= len(world.runs) - runs <= 11


async def test_an_edit_while_a_check_runs_lets_it_end(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    world.takes_s = 3.0
    async with world.checks() as checks:
        checks.set("s", (spec("tcp://a:1,interval=10s"),), Beginning())
        await trio.sleep(1)
        checks.set("s", (spec("tcp://a:1,interval=10s,check_notes=n"),), Beginning())
        await trio.sleep(2.1)
        assert (world.changes, world.cancelled, len(world.runs)) == ([("s", P)], 0, 1)


async def test_an_edited_deregister_after_counts_from_first_failure(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    world.says["a:1"] = C
    async with world.checks() as checks:
        checks.set("s", (spec("tcp://a:1,deregister_after=1h"),), Beginning())
        await trio.sleep(50)
        checks.set("s", (spec("tcp://a:1,deregister_after=1m"),), Beginning())
        await trio.sleep(9)
        assert world.expired == []
        await trio.sleep(2)
        assert world.expired == [("s", "tcp://a:1,deregister_after=1m was critical for 60s")]
        await trio.sleep(7200)
        assert len(world.expired) == 1


async def test_runs_that_take_longer_than_the_interval_do_not_overlap(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    world.takes_s = 3.5
    async with world.checks() as checks:
        checks.set("s", (spec("tcp://a:1,interval=1s,timeout=10s"),), Beginning())
        await trio.sleep(60)
    assert world.most == 1
    assert world.changes == [("s", P)]
    starts = [at for _, at in world.runs]
    assert all(3.5 <= later - earlier <= 4.6 for earlier, later in pairwise(starts))


async def test_an_edited_check_inherits_from_the_one_it_replaces(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    world.says["b:2"] = W
    async with world.checks() as checks:
        checks.set("s", (spec("tcp://a:1"), spec("tcp://b:2")), Beginning())
        await trio.sleep(1)
        checks.set("s", (spec("tcp://b:2,check_id=b"), spec("tcp://c:3,check_id=c")), Beginning(P))
        assert [status.health for status in checks.statuses("s")] == [W, P]
        world.says["c:3"] = C
        await trio.sleep(1)
        assert [status.health for status in checks.statuses("s")] == [W, C]


some = st.lists(st.sampled_from(["tcp://a:1", "tcp://a:1,interval=5s", "tcp://a:1,check_id=x", "tcp://b:1,check_id=x"]))


@given(some, some)
def test_each_check_takes_the_place_of_one_at_most(before: list[str], after: list[str]) -> None:
    old, new = [spec(text) for text in before], [spec(text) for text in after]
    places = [place for place in paired("s", old, new) if place is not None]
    assert len(places) == len(set(places))
    for check, place in zip(new, paired("s", old, new), strict=True):
        if check in old and new.count(check) <= old.count(check):
            assert place is not None
            assert old[place].asked == check.asked
