"""A feed hands on what happens, and a follower that fails harms nobody."""

from contextlib import ExitStack

import trio

from gossipreg.feed import Feed


async def test_every_follower_gets_everything_in_order() -> None:
    feed, one, other = Feed[int](never), list[int](), list[int]()
    feed.publish(1)
    with feed.following("one", one.append):
        feed.publish(2)
        with feed.following("other", other.append):
            feed.publish(3)
        feed.publish(4)
    feed.publish(5)
    assert (one, other) == ([2, 3, 4], [3])


async def test_a_follower_that_fails_ends_its_block_alone() -> None:
    bugs: list[tuple[str, str]] = []
    feed, sound = Feed[int](lambda name, error: bugs.append((name, str(error)))), list[int]()
    with feed.following("sound", sound.append):
        with feed.following("fragile", fail):
            feed.publish(1)
            feed.publish(2)
            await trio.sleep_forever()
        feed.publish(3)
        await trio.lowlevel.checkpoint()
    assert sound == [1, 2, 3]
    assert {name for name, _ in bugs} == {"fragile"}


def test_a_lasting_follower_that_fails_goes_on() -> None:
    bugs: list[str] = []
    feed = Feed[int](lambda _, error: bugs.append(str(error)))
    feed.follow("fragile", fail)
    feed.publish(1)
    feed.publish(2)
    assert bugs == ["1 is too much", "2 is too much"]


def test_what_a_follower_publishes_comes_after_for_all() -> None:
    feed, seen = Feed[int](never), list[tuple[str, int]]()

    def first(what: int) -> None:
        seen.append(("first", what))
        if what == 1:
            feed.publish(2)

    feed.follow("first", first)
    feed.follow("second", lambda what: seen.append(("second", what)))
    feed.publish(1)
    assert seen == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]


async def test_a_follower_may_begin_while_something_is_handed_on() -> None:
    feed, seen = Feed[int](never), list[str]()
    with ExitStack() as stack:

        def begin(what: int) -> None:
            seen.append(f"first {what}")
            if what == 1:
                stack.enter_context(feed.following("later", lambda later: seen.append(f"later {later}")))

        stack.enter_context(feed.following("first", begin))
        feed.publish(1)
        feed.publish(2)
    assert seen == ["first 1", "first 2", "later 2"]


def never(name: str, error: Exception) -> None:
    raise AssertionError(name) from error


def fail(what: int) -> None:
    raise ValueError(f"{what} is too much")
