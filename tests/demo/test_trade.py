"""What is told of an order, and of a question that no sidecar can answer."""

from pathlib import Path
from typing import cast

import pytest

from gossipreg.demo.cast import Cast
from gossipreg.demo.crowd import Crowd
from gossipreg.demo.links import Links
from gossipreg.demo.lookout import Lookout
from gossipreg.demo.orders import OrderOutcome, Orders
from gossipreg.demo.teller import Teller
from gossipreg.demo.trade import Trade
from gossipreg.errors import Unreachable


class OneOutcome:
    """Customers whose next order ends so."""

    def __init__(self, status: int | None) -> None:
        self._status = status

    async def order_one(self, card: str) -> OrderOutcome:
        assert card
        return OrderOutcome("single-1", self._status, "", 5.0)


@pytest.mark.parametrize(
    ("status", "said"),
    [(201, "is confirmed"), (422, "is refused"), (0, "was not sent"), (None, "has no answer"), (503, "not known")],
)
async def test_an_order_without_an_answer_is_not_told_as_unsent(status: int | None, said: str) -> None:
    lines: list[str] = []
    cast_of_demo = Cast(
        (), Links(), Lookout(()), Orders(), cast(Crowd, OneOutcome(status)), Teller(lines.append, as_json=False),
        Path(), Path(),
    )  # fmt: skip
    await Trade(cast_of_demo, lambda _story: []).order()
    assert said in " ".join(lines)


async def test_a_question_that_no_sidecar_hears_says_so() -> None:
    with pytest.raises(Unreachable, match="no sidecar runs"):
        await Lookout(()).ask_any("saga-show", saga="a")
