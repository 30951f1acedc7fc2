"""The order of a leave: journals are handed over while this sidecar is a member, then the leave is announced."""

from typing import Any, cast

import trio

from gossipreg.callers import Caller
from gossipreg.daemon.ending import Ending

OPERATOR = Caller(0, 5, frozenset({0}), "socket")


class Around:
    """What Ending asks of the rest of the sidecar; notes the order. The leave is over when it was announced."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.departed = trio.Event()
        self.hands_over = trio.Event()
        self.may_go_on = trio.Event()
        self.audit = self

    async def leave_journals(self) -> None:
        self.done.append("journals")
        self.hands_over.set()
        await self.may_go_on.wait()

    def order(self, call: Any) -> None:
        call(0.0)

    def leave(self, now: float, hold_s: float) -> None:
        del now
        self.done.append(f"leave {hold_s:g}")
        self.departed.set()

    async def flushed(self) -> None:
        self.done.append("flushed")

    def record(self, *_about: object) -> dict[str, str]:
        return {}

    def close(self, hold_s: float) -> None:
        del hold_s
        self.done.append("closed")

    @property
    def health(self) -> Any:
        return self

    def endpoints(self) -> list[Any]:
        return []

    def info(self, *_what: object, **_fields: object) -> None:
        pass

    def ending(self) -> Ending:
        part = cast("Any", self)
        return Ending(
            part, part, part, part, part, leave_s=2.0, hold_on_sigterm=False, leave_journals=self.leave_journals
        )  # fmt: skip


async def test_journals_are_handed_over_before_the_leave_is_announced() -> None:
    around = Around()
    around.may_go_on.set()
    ending = around.ending()
    await ending.leave(0.0, OPERATOR)
    assert around.done == ["closed", "flushed", "journals", "leave 0"]
    assert ending.over.is_set()


async def test_a_leave_with_a_hold_keeps_the_journals() -> None:
    around = Around()
    await around.ending().leave(30.0, OPERATOR)
    assert around.done == ["closed", "flushed", "leave 30"]


async def test_a_second_leave_waits_for_the_first_to_hand_over(autojump_clock: trio.testing.MockClock) -> None:
    assert autojump_clock.autojump_threshold == 0
    around = Around()
    ending = around.ending()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ending.leave, 0.0, OPERATOR)
        await around.hands_over.wait()
        nursery.start_soon(ending.leave, 0.0, OPERATOR)
        await trio.sleep(60.0)
        assert not ending.over.is_set()
        around.may_go_on.set()
    assert around.done.count("leave 0") == around.done.count("journals") == 1
    assert ending.over.is_set()


async def test_a_client_that_hangs_up_does_not_stop_the_leave() -> None:
    around = Around()
    ending = around.ending()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ending.leave, 0.0, OPERATOR)
        await around.hands_over.wait()
        nursery.cancel_scope.cancel()
    assert around.done[-1] == "leave 0"
