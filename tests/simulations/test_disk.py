"""The laboratory's disk: each fault does what its name says, and nothing else is ever lost."""

from collections.abc import Callable
from math import inf

import pytest

from simulations.disk import FAILED_FSYNC, NO_SPACE, Disk
from simulations.host import Host
from simulations.world import World


class Database:
    """A process with one open file: writes numbers, and notes what becomes of them."""

    def __init__(self, world: World, host: Host) -> None:
        self.disk = world.disk(host)
        self.found = self.disk.open()
        self.done: list[object] = []
        self.failed: list[tuple[object, str]] = []

    def write(self, *numbers: int) -> None:
        for number in numbers:
            self.disk.write(
                number,
                lambda number=number: self.done.append(number),  # type: ignore[misc]
                lambda why, number=number: self.failed.append((number, why)),  # type: ignore[misc]
            )


def database(seed: int = 1) -> tuple[World, Host, Database]:
    world = World(seed)
    host = world.add()
    world.start(host)
    return world, host, Database(world, host)


def over_seeds(lost: Callable[[World, Host, Database], list[object]]) -> set[tuple[object, ...]]:
    """All that was found over many seeds."""
    return {tuple(lost(*database(seed))) for seed in range(60)}


def test_a_write_is_done_after_one_fsync_and_never_at_once() -> None:
    world, _, data = database()
    data.disk.latency_s = (0.004, 0.004)
    data.write(1)
    assert data.done == []
    world.run(0.0039)
    assert data.done == []
    world.run(0.0002)
    assert data.done == [1]


def test_writes_during_an_fsync_share_the_next_one() -> None:
    world, _, data = database()
    data.write(1)
    data.write(2, 3, 4)
    world.run(0.05)
    assert data.done == [1, 2, 3, 4]
    assert data.disk.fsyncs == 2


def crashed(world: World, host: Host, data: Database) -> list[object]:
    data.write(1)
    world.run(0.05)
    data.write(2, 3, 4)
    world.crash(host)
    world.run(0.05)
    assert data.done == [1]
    return data.disk.open()


def test_a_crash_leaves_any_first_part_of_what_was_pending() -> None:
    assert over_seeds(crashed) == {(1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)}


def test_a_power_loss_cuts_what_a_crash_had_left() -> None:
    """What a process reads after a crash of the one before is not durable until it has completed an fsync itself."""

    def lost(world: World, host: Host, data: Database) -> list[object]:
        read = crashed(world, host, data)
        world.lose_power(host)
        left = data.disk.open()
        assert left == read[: len(left)]
        assert left == list(data.disk.synced)
        return read[len(left) :]

    assert {(), (2,), (2, 3, 4), (4,)} <= over_seeds(lost)


def test_an_fsync_after_a_crash_keeps_what_was_read() -> None:
    world, host, data = database(3)
    read = crashed(world, host, data)
    world.start(host)
    again = Database(world, host)
    again.write(5)
    world.run(0.05)
    world.lose_power(host)
    assert again.disk.open() == [*read, 5]


def test_after_a_failed_fsync_every_write_fails_until_reopened() -> None:
    world, host, data = database()
    data.write(1)
    world.run(0.05)
    data.disk.fail_fsync()
    data.write(2)
    data.write(3)
    world.run(0.05)
    data.write(4)
    world.run(0.05)
    assert data.done == [1]
    assert data.failed == [(number, FAILED_FSYNC) for number in (2, 3, 4)]
    again = Database(world, host)
    assert again.found in ([1], [1, 2]), "whether the failed group reached the disk is random"
    again.write(5)
    world.run(0.05)
    assert again.done == [5]


def test_what_a_failed_fsync_wrote_is_random() -> None:
    def failed(world: World, _: Host, data: Database) -> list[object]:
        data.disk.fail_fsync()
        data.write(1)
        world.run(0.05)
        return data.disk.open()

    assert over_seeds(failed) == {(), (1,)}


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_written_behind_a_failure(seed: int) -> None:
    world, host, data = database(seed)
    data.disk.full = True
    data.write(1, 2)
    world.crash(host)
    assert data.disk.open() == [], "there was no space"
    data.disk.full = False
    data.disk.fail_fsync()
    data.write(3)
    world.run(0.05)
    data.write(4, 5)
    world.crash(host)
    assert data.disk.open() in ([], [3])


def test_a_full_disk_fails_writes_until_there_is_space() -> None:
    world, _, data = database()
    data.disk.full = True
    data.write(1, 2)
    world.run(0.05)
    data.disk.full = False
    data.write(3)
    world.run(0.05)
    assert data.failed == [(1, NO_SPACE), (2, NO_SPACE)]
    assert data.done == data.disk.open() == [3]


def test_a_hung_disk_completes_nothing_until_it_goes_on() -> None:
    world, _, data = database()
    data.disk.hang()
    data.write(1)
    world.run(600.0)
    data.write(2)
    assert (data.done, data.failed) == ([], [])
    data.disk.resume()
    world.run(0.05)
    assert data.done == [1, 2]


def test_a_process_that_ends_on_a_hung_disk_is_not_called() -> None:
    world, host, data = database()
    data.disk.hang()
    data.write(1)
    world.run(1.0)
    world.crash(host)
    data.disk.resume()
    world.run(1.0)
    assert (data.done, data.failed) == ([], [])


def test_writes_to_an_unlinked_file_succeed_and_are_lost() -> None:
    world, _, data = database()
    data.write(1)
    world.run(0.05)
    assert data.disk.links == 1
    data.disk.unlink()
    assert data.disk.links == 0
    data.write(2)
    world.run(0.05)
    assert data.done == [1, 2]
    assert list(data.disk.synced) == []
    assert data.disk.open() == []
    assert data.disk.links == 1


def test_a_lost_disk_fails_writes_and_is_empty_when_opened() -> None:
    world, host, data = database()
    data.write(1)
    world.run(0.05)
    data.write(2)
    data.disk.lose()
    world.run(0.05)
    assert data.failed == [(2, FAILED_FSYNC)]
    again = Database(world, host)
    assert again.found == []
    again.write(3)
    world.run(0.05)
    assert again.done == [3]


def test_a_restored_disk_has_the_contents_of_the_backup() -> None:
    world, host, data = database()
    data.write(1)
    world.run(0.05)
    backup = data.disk.backup()
    data.write(2)
    world.run(0.05)
    world.crash(host)
    data.disk.restore(backup)
    assert data.disk.open() == [1]


def test_a_backup_makes_a_clone_on_another_host() -> None:
    world, _, data = database()
    data.write(1, 2)
    world.run(0.05)
    clone = world.disk(world.add())
    clone.restore(data.disk.backup())
    assert clone.open() == [1, 2]
    assert data.disk.open() == [1, 2]


def test_a_stalled_process_hears_of_its_writes_when_it_goes_on() -> None:
    world, host, data = database()
    data.write(1)
    world.stall(host)
    data.write(2)
    world.run(1.0)
    assert data.done == []
    assert list(data.disk.synced) == [1]
    world.resume(host)
    assert data.done == [1]
    world.run(0.05)
    assert data.done == [1, 2]


def test_a_process_whose_network_blocks_hears_of_its_writes() -> None:
    world, host, data = database()
    world.block(host)
    data.write(1)
    world.run(0.05)
    assert data.done == [1]


def test_a_process_that_reopens_in_a_callback_hears_of_no_more() -> None:
    world, host, data = database()
    opened: list[Database] = []
    data.write(0)
    data.disk.write(1, lambda: opened.append(Database(world, host)), lambda _: None)
    data.write(2)
    world.run(0.05)
    assert data.done == [0]
    assert opened[0].found == [0, 1, 2], "the whole group is synced"


@pytest.mark.parametrize("latency_s", [(0.0002, 0.005), pytest.param((0.5, 2.0), marks=pytest.mark.wide)])
def test_latency_lies_in_its_bounds(latency_s: tuple[float, float]) -> None:
    world, _, data = database()
    data.disk.latency_s = latency_s
    shortest, longest = inf, 0.0
    for number in range(200):
        began = world.now
        data.write(number)
        assert world.until(lambda number=number: number in data.done, 5.0, 0.0001)  # type: ignore[misc]
        shortest, longest = min(shortest, world.now - began), max(longest, world.now - began)
    assert latency_s[0] <= shortest < 1.5 * latency_s[0]
    assert latency_s[1] / 1.5 < longest <= latency_s[1] + 0.0002


def test_a_disk_of_the_same_seed_does_the_same() -> None:
    def told(seed: int) -> list[object]:
        world = World(seed)
        disk = Disk(world, world.randomness.of("disk", 0))
        at: list[object] = []
        for number in range(20):
            disk.write(number, lambda: at.append(world.now), lambda _: None)
            world.run(0.001)
        return at

    assert told(1) == told(1) != told(2)
