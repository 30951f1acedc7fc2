"""When checks run, in virtual time: at once, at their interval, at most so many at a time."""

from collections import Counter

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from gossipreg.daemon.checks.state import Beginning, damped
from gossipreg.model import Health
from tests.daemon.checks.world import C, P, W, World, spec


@pytest.mark.parametrize(
    ("health", "said", "streak", "after"),
    [
        # passes=2, fails=3
        (P, P, 2, (0, P)), (P, W, 0, (1, P)), (P, W, 2, (0, W)), (P, C, 2, (0, C)), (P, C, 1, (2, P)),
        (W, W, 1, (0, W)), (W, P, 0, (-1, W)), (W, P, -1, (0, P)), (W, P, 2, (-1, W)), (W, C, 2, (0, C)),
        (W, C, -1, (1, W)), (C, C, -1, (0, C)), (C, P, 0, (-1, C)), (C, P, -1, (0, P)), (C, W, -1, (0, W)),
    ],
)  # fmt: skip
def test_every_step_of_damping(health: Health, said: Health, streak: int, after: tuple[int, Health]) -> None:
    assert damped(health, said, streak, spec("tcp://h:1,passes=2,fails=3")) == after


async def test_a_new_service_is_critical_until_all_its_checks_pass(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        world.says["b:2"] = C
        checks.set("s", (spec("tcp://a:1"), spec("tcp://b:2,interval=5s")), Beginning(C))
        await trio.sleep(60)
        assert world.changes == []
        world.says["b:2"] = P
        await trio.sleep(6)
        assert world.changes == [("s", P)]
        assert [status.output for status in checks.statuses("s")] == ["it is PASSING"] * 2


async def test_flapping_changes_nothing_until_it_lasts(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        checks.set("s", (spec("tcp://a:1,interval=1s,passes=2,fails=3"),), Beginning(P))
        await trio.sleep(0.1)
        for _ in range(20):
            world.says["a:1"] = C if world.says.get("a:1", P) is P else P
            await trio.sleep(1)
        assert world.changes == []
        world.says["a:1"] = C
        await trio.sleep(4)
        assert world.changes == [("s", C)]
        world.says["a:1"] = P
        await trio.sleep(3)
        assert world.changes == [("s", C), ("s", P)]


async def test_checks_set_together_run_at_once_and_then_spread(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks(places=1000) as checks:
        for number in range(1000):
            checks.set(f"s{number}", (spec(f"tcp://h:{number + 1},interval=10s"),), Beginning(C))
        start = trio.current_time()
        await trio.sleep(30)
        assert len(world.changes) == 1000
        seconds = Counter(int(at - start) for _, at in world.runs)
        assert seconds[0] >= 1000
        assert all(60 <= seconds[second] <= 140 for second in range(10, 30))
        times = [at for target, at in world.runs if target == "h:7"]
        assert times[2] - times[1] == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize("up_after_s", [0.1, 1.5, 8.0, 60.0])
@pytest.mark.parametrize("before", [C, P])
async def test_a_program_that_comes_up_after_its_service_is_found_soon(
    autojump_clock: MockClock, up_after_s: float, before: Health
) -> None:
    """Also where it was well before a restart."""
    world = World(autojump_clock)
    async with world.checks() as checks:
        world.says["a:1"] = C
        checks.set("s", (spec("tcp://a:1,interval=10s"),), Beginning(before))
        await trio.sleep(up_after_s)
        world.says["a:1"] = P
        start = trio.current_time()
        while not world.changes or world.changes[-1] != ("s", P):
            await trio.sleep(0.01)
        assert trio.current_time() - start <= min(0.3 + up_after_s, 10.1)
        assert len(world.runs) <= 12 + up_after_s / 10


async def test_many_failing_checks_keep_to_their_interval(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks(places=5000) as checks:
        for number in range(4000):
            world.says[f"h:{number + 1}"] = C
            checks.set(f"s{number}", (spec(f"tcp://h:{number + 1},interval=10s"),), Beginning(C))
        await trio.sleep(30)
        assert 4000 * 2 <= len(world.runs) <= 4000 * 4


async def test_what_passed_once_is_checked_at_its_interval(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        checks.set("s", (spec("tcp://a:1,interval=10s,passes=3"),), Beginning(C))
        await trio.sleep(9)
        assert len(world.runs) <= 2
        world.says["a:1"] = C
        await trio.sleep(30)
        assert len(world.runs) <= 5


async def test_a_check_that_hangs_is_ended_at_its_timeout(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    world.takes_s = 3600
    async with world.checks() as checks:
        checks.set("s", (spec("tcp://a:1,interval=10s,timeout=2s"),), Beginning(P))
        await trio.sleep(2.1)
        assert world.changes == [("s", C)]
        assert checks.statuses("s")[0].output == "no answer within 2s"
        assert (world.running, world.cancelled) == (0, 1)


async def test_none_is_starved_where_there_are_more_than_places(autojump_clock: MockClock) -> None:
    """4,096 checks that take a second each, 128 at a time: each has its turn in 32 s."""
    world = World(autojump_clock)
    world.takes_s = 1
    async with world.checks() as checks:
        for number in range(4096):
            checks.set(f"s{number}", (spec(f"tcp://h:{number + 1},interval=10s"),), Beginning(C))
        await trio.sleep(40)
        assert world.most == 128
        assert len(world.changes) == 4096
        before = Counter(target for target, _ in world.runs)
        await trio.sleep(40)
        after = Counter(target for target, _ in world.runs)
        assert all(after[target] > before[target] for target in before)


async def test_commands_wait_for_commands_and_hold_up_nobody_else(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    world.takes_s = 100
    async with world.checks() as checks:
        for number in range(50):
            checks.set(f"c{number}", (spec(f"cmd:c{number},interval=1000s,timeout=100s"),), Beginning(C))
        await trio.sleep(1)
        assert world.most == 4
        world.takes_s = 0.001
        checks.set("t", (spec("tcp://a:1"),), Beginning(C))
        await trio.sleep(1)
        assert world.changes == [("t", P)]


async def test_a_check_that_stays_goes_on_and_one_that_goes_ends(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    a, b = spec("tcp://a:1,interval=10s"), spec("tcp://b:1,interval=10s,timeout=9s")
    async with world.checks() as checks:
        checks.set("s", (a,), Beginning(C))
        await trio.sleep(1)
        assert checks.health("s", (a, b), Beginning(C)) is C
        world.takes_s = 8
        checks.set("s", (a, b), Beginning(C))
        assert [status.health for status in checks.statuses("s")] == [P, C]
        await trio.sleep(1)
        assert checks.health("s", (a,), Beginning(C)) is P
        checks.set("s", (a,), Beginning(C))
        await trio.testing.wait_all_tasks_blocked()
        assert world.cancelled == 1
        checks.remove("s")
        checks.remove("s")
        runs = len(world.runs)
        await trio.sleep(100)
        assert (len(world.runs), checks.statuses("s"), checks.counts()["checks"]) == (runs, (), 0)


async def test_what_is_on_its_way_to_another_health_says_how_far(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        checks.set("s", (spec("tcp://a:1,interval=1s,passes=3,fails=2"),), Beginning(C))
        assert checks.statuses("s")[0].output == "no result yet"
        await trio.sleep(0.1)
        assert checks.statuses("s")[0].output == "it is PASSING; 1 of 3 in a row"
        await trio.sleep(4)
        assert checks.statuses("s")[0].output == "it is PASSING"
        world.says["a:1"] = C
        await trio.sleep(1)
        assert checks.statuses("s")[0].output == "it is CRITICAL; 1 of 2 in a row"
        await trio.sleep(1)
        assert checks.statuses("s")[0].output == "it is CRITICAL"


async def test_a_service_that_is_critical_for_too_long_expires_once(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    async with world.checks() as checks:
        checks.set("s", (spec("tcp://a:1,interval=1s,deregister_after=60s"),), Beginning(C))
        await trio.sleep(50)
        world.says["a:1"] = C
        await trio.sleep(50)
        world.says["a:1"] = P
        await trio.sleep(2)
        world.says["a:1"] = C
        await trio.sleep(59)
        assert world.expired == []
        await trio.sleep(10)
        [(id, why)] = world.expired
        assert id == "s"
        assert "60s" in why
        await trio.sleep(100)
        assert len(world.expired) == 1


async def test_a_runner_that_fails_ends_nothing(autojump_clock: MockClock) -> None:
    world = World(autojump_clock)
    world.says["a:1"] = RuntimeError("oh")
    async with world.checks() as checks:
        checks.set("s", (spec("tcp://a:1"),), Beginning(P))
        checks.set("t", (spec("tcp://b:1"),), Beginning(C))
        await trio.sleep(1)
        assert sorted(world.changes) == [("s", C), ("t", P)]
        assert {str(error) for error in world.bugs} == {"oh"}
