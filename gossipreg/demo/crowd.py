"""The customers as a process: `shop/customers.py`, which orders at the rate that it is told."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import trio

from gossipreg.demo.orders import OrderOutcome, Orders
from gossipreg.demo.processes import DemoProcess
from gossipreg.errors import Unreachable

PIECE_BYTES = 65_536
SINGLE = "single-"
"""How the name of an order begins that is not one of the steady ones."""


class Crowd:
    """Made once the shop is open. `run` reads what came of the orders."""

    def __init__(self, folder: Path, socket: Path, orders: Orders) -> None:
        self.process = DemoProcess(
            "customers", ("-m", "gossipreg.demo.shop.customers"), folder / "customers.log",
            {"GOSSIPREG_SOCKET": str(socket)}, with_pipes=True,
        )  # fmt: skip
        self.rate = 0.0
        self._orders = orders
        self._numbers = itertools.count(1)
        self._came = trio.Condition()
        self._outcomes: dict[str, OrderOutcome] = {}
        """Those of single orders that are waited for."""
        self._idle = False
        self._ended = False
        """The process has ended."""
        self._input, self._output = (trio.lowlevel.FdStream(fd) for fd in self.process.take_pipes())

    async def run(self) -> None:
        rest = b""
        async for piece in self._output:
            *lines, rest = (rest + piece).split(b"\n")
            async with self._came:
                for line in lines:
                    if b'"idle"' in line:
                        self._idle = True
                    else:
                        outcome = self._orders.take(line)
                        if outcome.order.startswith(SINGLE):
                            self._outcomes[outcome.order] = outcome
                self._came.notify_all()
        async with self._came:
            self._ended = True
            self._came.notify_all()

    async def close(self) -> None:
        """Kill the process, and close its pipes."""
        self.process.kill()
        await self._input.aclose()
        await self._output.aclose()

    async def order_at(self, rate: float) -> None:
        """So many orders a second from now on. Raises Unreachable, as the other methods do: the process has ended."""
        await self._say({"rate": rate})
        self.rate = rate

    async def order_one(self, card: str) -> OrderOutcome:
        """One order; returns what came of it."""
        name = f"{SINGLE}{next(self._numbers)}"
        await self._say({"order": name, "card": card})
        await self._until(lambda: name in self._outcomes)
        return self._outcomes.pop(name)

    async def finish(self) -> None:
        """Stop, and wait until every order has its answer."""
        self.rate = 0.0
        self._idle = False
        await self._say({"finish": True})
        await self._until(lambda: self._idle)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with self._came:
            while not holds():
                if self._ended:
                    raise self._gone()
                await self._came.wait()

    async def _say(self, asked: dict[str, object]) -> None:
        try:
            await self._input.send_all(json.dumps(asked).encode() + b"\n")
        except trio.BrokenResourceError:
            raise self._gone() from None

    def _gone(self) -> Unreachable:
        return Unreachable(f"the process of the customers has ended: {self.process.last_words or 'it said nothing'}")
