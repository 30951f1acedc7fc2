"""What is written is on the disk before anything follows from it, in the order asked for."""

import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from math import inf

import pytest
import trio
import trio.testing

from gossipreg.daemon.kept import Statement
from gossipreg.daemon.store import HANGS, HANGS_S, LOOK_S, Store
from gossipreg.errors import OutcomeUnknown, Refused, RequestError


class Disk:
    """Writes when it is let; notes each commit."""

    def __init__(self) -> None:
        self.commits: list[list[str]] = []
        self.fails = False
        self.fault: Exception | None = None
        self.gate = trio.Event()

    def write(self, statements: Iterable[Statement]) -> None:
        trio.from_thread.run(self.gate.wait)
        if self.fails:
            raise Refused("disk full")
        if self.fault is not None:
            raise self.fault
        self.commits.append([statement for statement, _ in statements])


@asynccontextmanager
async def running(disk: Disk) -> AsyncIterator[tuple[Store, list[str]]]:
    failed: list[str] = []
    store = Store(disk, failed.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        yield store, failed
        nursery.cancel_scope.cancel()


async def test_nothing_follows_before_the_commit_and_many_share_one() -> None:
    disk = Disk()
    order: list[int] = []

    async def ask(store: Store, number: int) -> None:
        await store.commit([(f"w{number}", ())], lambda: order.append(number))

    async with running(disk) as (store, _), trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(ask, store, number)
            await trio.testing.wait_all_tasks_blocked()
        assert order == []
        disk.gate.set()
    assert order == list(range(20))
    assert [one for commit in disk.commits for one in commit] == [f"w{number}" for number in range(20)]
    assert len(disk.commits) == 2


async def test_where_it_cannot_be_written_nothing_follows() -> None:
    disk = Disk()
    disk.gate.set()
    disk.fails = True
    followed: list[int] = []
    async with running(disk) as (store, _):
        with pytest.raises(Refused, match="disk full"):
            await store.commit([("w", ())], lambda: followed.append(1))
        disk.fails = False
        await store.commit([("w", ())], lambda: followed.append(2))
    assert followed == [2]


async def test_an_unawaited_write_is_made_once_with_the_latest_value() -> None:
    disk = Disk()
    disk.fails = True
    disk.gate.set()
    state = ["first"]
    async with running(disk) as (store, failed):
        store.commit_later("a", lambda: [(state[0], ())])
        store.commit_later("a", lambda: [(state[0], ())])
        state[0] = "second"
        await trio.testing.wait_all_tasks_blocked()
        while not failed:
            await trio.sleep(0)
        disk.fails = False
        await store.commit([("third", ())], lambda: None)
    assert disk.commits == [["second", "third"]]  # what is about to change comes last


async def test_a_failed_write_is_retried_and_both_are_logged(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert autojump_clock.autojump_threshold == 0
    disk = Disk()
    disk.gate.set()
    disk.fails = True
    told: list[str] = []
    store = Store(disk, told.append, lambda: told.append("again"), [("trial", ())])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        with pytest.raises(Refused):
            await store.commit([("a", ())], lambda: None)
        await trio.sleep(60)
        assert set(told) == {"disk full"}
        disk.fails = False
        with trio.fail_after(3600):
            while told[-1] != "again":
                await trio.sleep(1)
        assert disk.commits == [["trial"]]
        await store.commit([("b", ())], lambda: None)
        assert told.count("again") == 1
        nursery.cancel_scope.cancel()


async def test_a_disk_that_hangs_is_told_and_nobody_waits_for_it(autojump_clock: trio.testing.MockClock) -> None:
    autojump_clock.autojump_threshold = inf  # a thread is at work
    disk = Disk()
    told: list[str] = []
    followed: list[str] = []
    errors: dict[str, tuple[str, str]] = {}
    store = Store(disk, told.append, lambda: told.append("again"), clock=trio.current_time)

    async def ask(name: str) -> None:
        try:
            await store.commit([(name, ())], lambda: followed.append(name))
        except RequestError as error:
            errors[name] = error.code, str(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        nursery.start_soon(ask, "under way")
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask, "behind it")
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(int(HANGS_S / LOOK_S) - 1):
            autojump_clock.jump(LOOK_S)
            store.look()
        assert told == []
        autojump_clock.jump(LOOK_S)
        store.look()
        await trio.testing.wait_all_tasks_blocked()
        assert (told, followed) == ([HANGS], [])
        assert (errors["under way"][0], "may be done later" in errors["under way"][1]) == ("outcome_unknown", True)
        assert "nothing was changed" in errors["behind it"][1]
        await ask("later")
        assert "nothing was changed" in errors["later"][1]
        assert not await store.apply_first("out", lambda: [("out", ())], lambda: followed.append("out")).result()
        await store.flushed()
        disk.gate.set()
        while told[-1] != "again":
            await trio.sleep(0)
        await store.flushed()
        await ask("after it")
        assert followed == ["out", "under way", "after it"]
        assert [each for each in disk.commits if each] == [["under way"], ["out"], ["after it"]]
        nursery.cancel_scope.cancel()


async def test_a_process_that_was_stopped_takes_no_disk_for_one_that_hangs(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The thread goes on when the loop does, and its result may come later than the first requests."""
    autojump_clock.autojump_threshold = inf  # a thread is at work
    disk = Disk()
    told: list[str] = []
    store = Store(disk, told.append, lambda: told.append("again"), clock=trio.current_time)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        write = store.begin([("a", ())], lambda: 5)
        await trio.testing.wait_all_tasks_blocked()
        autojump_clock.jump(3600.0)
        after = [store.begin([(name, ())], lambda: 6) for name in "bcd"]  # each of them looks
        store.look()
        await trio.testing.wait_all_tasks_blocked()
        disk.gate.set()
        assert [await each.result() for each in (write, *after)] == [5, 6, 6, 6]
        assert told == []
        nursery.cancel_scope.cancel()


async def test_a_disk_that_hangs_is_found_though_nobody_asks_for_more(autojump_clock: trio.testing.MockClock) -> None:
    autojump_clock.autojump_threshold = inf  # a thread is at work
    disk = Disk()
    told: list[str] = []
    store = Store(disk, told.append, clock=trio.current_time)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run)
        store.commit_later("a", lambda: [("a", ())])
        for second in range(int(HANGS_S / LOOK_S) + 1):
            assert told == [], second
            await trio.testing.wait_all_tasks_blocked()
            autojump_clock.jump(LOOK_S)
        await trio.testing.wait_all_tasks_blocked()
        assert told == [HANGS]
        disk.gate.set()
        nursery.cancel_scope.cancel()


async def test_what_must_not_be_is_refused_before_it_is_written() -> None:
    """It is known once the write of that name before it has taken effect, so the two share no commit."""
    disk, taken = Disk(), list[str]()

    def prepare(who: str) -> list[Statement]:
        if taken:
            raise Refused(f"{taken[0]} has it")
        return [(who, ())]

    async with running(disk) as (store, _):
        first, second, other = (
            store.begin([], partial(taken.append, who), name=name, prepare=partial(prepare, who))
            for who, name in (("first", "a"), ("second", "a"), ("other", "b"))
        )
        disk.gate.set()
        await first.result()
        for one in (second, other):
            with pytest.raises(Refused, match="first has it"):
                await one.result()
    assert disk.commits[0] == ["first"]
    assert [each for commit in disk.commits for each in commit] == ["first"]


async def test_a_refusal_after_the_write_is_answered_once_the_disk_shows_it() -> None:
    disk = Disk()
    disk.gate.set()
    answered: list[list[str]] = []

    def refuse() -> None:
        raise Refused("row full")

    async with running(disk) as (store, _):
        undo = partial(store.commit_later, "a", lambda: [("as it was", ())])
        with pytest.raises(Refused, match=r"^row full$"):
            await store.begin([], refuse, name="a", prepare=lambda: [("a", ())], undo=undo).result()
        answered += disk.commits
        await store.flushed()
    assert answered == [["a"], ["as it was"]]


async def test_a_refusal_that_the_disk_does_not_take_back_is_no_certain_one() -> None:
    disk = Disk()
    disk.gate.set()

    def refuse() -> None:
        disk.fails = True
        raise Refused("row full")

    async with running(disk) as (store, _):
        undo = partial(store.commit_later, "a", lambda: [("as it was", ())])
        write = store.begin([("a", ())], refuse, name="a", undo=undo)
        with pytest.raises(OutcomeUnknown, match=r"row full; but it is on the disk, .* disk full"):
            await write.result()
        disk.fails = False
        await store.flushed()
    assert disk.commits[:2] == [["a"], ["as it was"]]


async def test_a_commit_of_which_nobody_knows_is_undone_by_the_next_one() -> None:
    disk, followed = Disk(), list[int]()
    disk.gate.set()
    disk.fault = OutcomeUnknown("the folder cannot be flushed")
    async with running(disk) as (store, failed):
        undo = partial(store.commit_later, "a", lambda: [("as it was", ())])
        write = store.begin([("a", ())], lambda: followed.append(1), name="a", undo=undo)
        out = store.apply_first("b", lambda: [("out", ())], lambda: None)
        with pytest.raises(OutcomeUnknown, match="cannot be flushed"):
            await write.result()
        assert not await out.result()
        assert failed == ["the folder cannot be flushed"]
        disk.fault = None
        await store.flushed()
    assert [each for commit in disk.commits for each in commit] == ["out", "as it was"]
    assert followed == []


async def test_flushing_a_full_disk_is_no_error() -> None:
    """The sidecar that ends must go on to leave."""
    disk = Disk()
    disk.gate.set()
    disk.fails = True
    async with running(disk) as (store, failed):
        store.commit_later("a", lambda: [("a", ())])
        await store.flushed()
        assert failed == ["disk full"]


async def test_an_error_of_what_follows_goes_to_who_asked_alone() -> None:
    disk = Disk()
    disk.gate.set()

    def refuse() -> None:
        raise Refused("row full")

    async with running(disk) as (store, _):
        with pytest.raises(Refused, match="row full"):
            await store.commit([("a", ())], refuse)
        assert await store.commit([("b", ())], lambda: 5) == 5


async def test_a_caller_that_gives_up_does_not_stop_what_it_asked_for() -> None:
    disk = Disk()
    followed: list[int] = []
    async with running(disk) as (store, _):
        with trio.move_on_after(0):
            await store.commit([("a", ())], lambda: followed.append(1))
        disk.gate.set()
        await store.flushed()
    assert followed == [1]


async def test_what_was_applied_first_is_repeated_if_nobody_waits_for_it() -> None:
    disk = Disk()
    disk.fails = True
    async with running(disk) as (store, failed):
        with trio.move_on_after(0):
            await store.apply_first("a", lambda: [("a", ())], lambda: None).result()
        disk.gate.set()
        while not failed:
            await trio.testing.wait_all_tasks_blocked()
        disk.fails = False
        await store.flushed()
    assert [one for commit in disk.commits for one in commit] == ["a"]


async def test_without_a_disk_nothing_is_waited_for() -> None:
    store = Store(None, lambda why: pytest.fail(why))
    store.commit_later("a", list)
    assert await store.commit([("a", ())], lambda: 3) == 3
    await store.flushed()


async def test_a_write_waits_for_no_other_thread() -> None:
    disk = Disk()
    disk.gate.set()
    over = threading.Event()

    def hold() -> None:
        over.wait(30)

    limiter = trio.to_thread.current_default_thread_limiter()
    async with running(disk) as (store, _), trio.open_nursery() as nursery:
        for _ in range(int(limiter.total_tokens)):
            nursery.start_soon(trio.to_thread.run_sync, hold)
        while limiter.available_tokens:
            await trio.sleep(0)
        try:
            with trio.fail_after(30):
                assert await store.commit([("a", ())], lambda: 5) == 5
        finally:
            over.set()
