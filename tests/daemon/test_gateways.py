"""What goes wrong in a gateway stays there."""

from collections.abc import Callable

import trio

from gossipreg.core.view import View
from gossipreg.daemon.gateways import AGAIN_S, Bug, Gateways
from gossipreg.model import Address, Change
from tests.core.speaker import a_node

CHANGES: tuple[Change, ...] = ()


class Fragile:
    name = "fragile"
    addresses = (Address("127.0.0.1", 53), Address("::1", 53))

    def __init__(self) -> None:
        self.attached = 0
        self.runs = 0
        self.breaks: list[str] = []
        self.went_wrong: list[str] = []
        self.serving = trio.Event()

    def _maybe_break(self, where: str) -> None:
        if where in self.breaks:
            self.breaks.remove(where)
            raise ZeroDivisionError(where)

    def open(self) -> None: ...

    def attach(self, view: View, bug: Bug) -> None:  # noqa: ARG002  # the shape of a Gateway
        self.attached += 1
        self._maybe_break("attach")

    def changed(self, changes: tuple[Change, ...]) -> None:  # noqa: ARG002  # the shape of a Gateway
        self._maybe_break("changed")

    async def run(self) -> None:
        self.runs += 1
        self._maybe_break("run")
        self.serving.set()
        await trio.sleep_forever()

    def counts(self) -> dict[str, int]:
        return {"fragile.queries": 3}

    def close(self) -> None: ...

    def bug(self) -> Callable[[str, Exception], None]:
        return lambda where, _: self.went_wrong.append(where)


async def test_a_gateway_that_fails_begins_anew_and_says_so(
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001  # sleeping takes no time with it
) -> None:
    fragile, sound = Fragile(), Fragile()
    gateways = Gateways([fragile, sound], a_node(), fragile.bug())
    fragile.breaks = ["run", "attach", "run"]
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateways.run)
        await sound.serving.wait()
        await fragile.serving.wait()
        nursery.cancel_scope.cancel()
    assert (fragile.runs, fragile.attached, sound.runs) == (3, 3, 1)
    assert fragile.went_wrong == ["gateway_fragile"] * 3
    assert trio.current_time() - start == 2 * AGAIN_S


def test_a_gateway_that_cannot_take_a_change_reads_all_anew() -> None:
    fragile, sound = Fragile(), Fragile()
    gateways = Gateways([fragile, sound], a_node(), fragile.bug())
    fragile.breaks = ["changed"]
    gateways.changed(CHANGES)
    assert (fragile.attached, sound.attached) == (2, 1)
    assert fragile.went_wrong == ["gateway_fragile"]


async def test_a_gateway_that_failed_on_a_change_runs_anew_at_once(
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001  # sleeping takes no time with it
) -> None:
    fragile = Fragile()
    gateways = Gateways([fragile], a_node(), fragile.bug())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateways.run)
        await fragile.serving.wait()
        fragile.serving = trio.Event()
        fragile.breaks = ["changed"]
        start = trio.current_time()
        gateways.changed(CHANGES)
        await fragile.serving.wait()
        assert trio.current_time() == start
        nursery.cancel_scope.cancel()
    assert (fragile.attached, fragile.runs, fragile.went_wrong) == (2, 2, ["gateway_fragile"])


def test_their_counters_and_addresses_are_told() -> None:
    gateways = Gateways([Fragile()], a_node(), lambda *_: None)
    assert gateways.counts() == {"fragile.queries": 3}
    assert gateways.addresses() == {"fragile": "127.0.0.1:53,[::1]:53"}
