"""Orders at the shop: the load, single ones, the one whose payment fails, and the books."""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

import trio

from gossipreg.demo.books import Books, compare, read_records
from gossipreg.demo.cast import BOUND_S, Cast
from gossipreg.demo.orders import median_ms
from gossipreg.demo.shop.billing import DECLINED
from gossipreg.errors import GossipregError

SETTLE_S = 60.0
"""Sagas whose program died are undone after 10 s, and an event whose handler died comes again."""
PAUSE_S = 0.2

Draw = Callable[[Mapping[str, Any]], list[str]]
"""Draws a saga's story, as `saga-show` gives it."""


class Trade:
    def __init__(self, cast: Cast, draw: Draw) -> None:
        self._cast = cast
        self._draw = draw
        self._looked_at: set[str] = set()
        """The orders that `orders` has told of."""

    async def load(self, rate: float) -> None:
        await self._cast.crowd.order_at(rate)
        text = f"The customers place {rate:g} orders a second now." if rate else "The customers stop ordering."
        self._cast.teller.tell("load", text, rate=rate)

    def orders(self) -> None:
        """Tell how the orders went since the last time that this was asked."""
        orders, before = self._cast.orders, self._looked_at
        created = [one for name, one in orders.created.items() if name not in before]
        refused, unanswered = orders.refused.keys() - before, orders.unanswered.keys() - before
        self._looked_at = {*orders.created, *orders.refused, *orders.unanswered}
        text = (
            f"{'Since then' if before else 'So far'} {len(created)} orders were confirmed, half of them within "
            f"{median_ms(created):.0f} ms; {len(refused)} were refused, {len(unanswered)} had no answer."
        )
        self._cast.teller.tell(
            "orders", text, confirmed=len(created), refused=len(refused), unanswered=len(unanswered),
            median_ms=median_ms(created),
        )  # fmt: skip

    async def order(self) -> None:
        outcome = await self._cast.crowd.order_one("4242")
        said = {201: "is confirmed", 422: "is refused", 0: "was not sent", None: "has no answer"}.get(
            outcome.status, "has an outcome that is not known"
        )
        why = f": {outcome.why}" if outcome.why else ""
        text = f"{outcome.order} {said} after {outcome.took_ms:.0f} ms{why}."
        self._cast.teller.tell("ordered", text, order=outcome.order, status=outcome.status, ms=outcome.took_ms)

    async def fail_payment(self) -> None:
        """An order whose card is declined: the saga undoes the reservation."""
        outcome = await self._cast.crowd.order_one(DECLINED)
        if outcome.status != 422:
            why = f"{outcome.order} was to be refused by billing, and got {outcome.status}: {outcome.why}"
            self._cast.faults.append(why)
            self._cast.teller.tell("payment_failed", f"{why}.", order=outcome.order)
            return
        text = f"{outcome.order} is refused after {outcome.took_ms:.0f} ms: billing declined the card. Its saga:"
        self._cast.teller.tell("payment_failed", text, order=outcome.order, ms=outcome.took_ms)
        story = await self._ended(outcome.order)
        if story is not None:
            states = {step["name"]: step["state"] for step in story["steps"]}
            self._cast.teller.show("saga", self._draw(story), order=outcome.order, steps=states)
        records = await trio.to_thread.run_sync(read_records, self._cast.folder)
        left = {what: count for what, count in records.of(outcome.order).items() if count}
        if left:
            self._cast.faults.append(f"{outcome.order} was refused, and has {left}")
        text = f"Left of it: {left}." if left else "Nothing is left of it: no reservation, no payment, no mail."
        self._cast.teller.tell("undone", text, order=outcome.order, left=left)

    async def _ended(self, order: str) -> dict[str, Any] | None:
        """The story of this order's saga once nothing of it is open; None if no sidecar tells it."""
        with trio.move_on_after(BOUND_S):
            while True:
                try:
                    story: dict[str, Any] = await self._cast.lookout.ask_any("saga-show", saga=order)
                    if story["state"] == "ended":
                        return story
                except GossipregError:
                    pass
                await trio.sleep(PAUSE_S)
        self._cast.teller.tell("saga", f"The saga of {order} has not ended after {BOUND_S:g} s.", order=order)
        self._cast.faults.append(f"the saga of {order} did not end")
        return None

    async def books(self) -> None:
        """Stop ordering, wait until all that was begun has ended, compare, and go on."""
        rate, begun = self._cast.crowd.rate, trio.current_time()
        await self._cast.crowd.finish()
        books = await self._compared()
        orders, waited_s = self._cast.orders, trio.current_time() - begun
        median = median_ms([*orders.created.values()])
        lines = [
            f"{books.confirmed} orders are confirmed, half of them within {median:.0f} ms; {books.refused} refused."
        ]
        if orders.unanswered:
            lines.append(f"Orders without an answer: {books.finished} carried out, {books.undone} undone.")
        if books.faults:
            more = len(books.faults) - 1
            lines.append(f"The books do NOT balance: {books.faults[0]}{f'; and {more} more' if more else ''}.")
            self._cast.faults += books.faults
        else:
            lines.append(
                "The books balance: each order that was carried out has one reservation, one payment, one receipt, "
                "one parcel and one note, and nothing is left of any other."
            )
        self._cast.teller.tell(
            "books", " ".join(lines), confirmed=books.confirmed, refused=books.refused, finished=books.finished,
            undone=books.undone, faults=list(books.faults), waited_s=round(waited_s, 2), median_ms=median,
        )  # fmt: skip
        if rate:
            await self._cast.crowd.order_at(rate)

    async def _compared(self) -> Books:
        """The books once they balance, or as they are when nothing changed for long."""
        bound = trio.current_time() + SETTLE_S
        while True:
            try:
                records = await trio.to_thread.run_sync(read_records, self._cast.folder)
                books = compare(self._cast.orders, records)
            except sqlite3.Error as error:
                books = Books(0, 0, 0, 0, (f"a database cannot be read: {error}",))
            if not books.faults or trio.current_time() > bound:
                return books
            await trio.sleep(PAUSE_S)
