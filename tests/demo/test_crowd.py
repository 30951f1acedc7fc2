"""The customers' process: what it says without a sidecar, and what follows when it is gone."""

from pathlib import Path

import pytest
import trio

from gossipreg.demo.crowd import Crowd
from gossipreg.demo.orders import Orders
from gossipreg.errors import Unreachable

BOUND_S = 60.0


async def test_commands_about_customers_that_are_gone_say_so(tmp_path: Path) -> None:
    crowd = Crowd(tmp_path, tmp_path / "sock", Orders())
    try:
        with trio.fail_after(BOUND_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(crowd.run)
                crowd.process.kill()
                for command in (lambda: crowd.order_one("4242"), lambda: crowd.order_at(1.0), crowd.finish):
                    with pytest.raises(Unreachable, match="customers has ended"):
                        await command()
                assert crowd.rate == 0.0
    finally:
        await crowd.close()


async def test_customers_that_find_no_shop_say_that_nobody_was_asked(tmp_path: Path) -> None:
    orders = Orders()
    crowd = Crowd(tmp_path, tmp_path / "sock", orders)
    try:
        with trio.fail_after(BOUND_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(crowd.run)
                outcome = await crowd.order_one("4242")
                assert outcome.status == 0
                assert "sock" in outcome.why
                await crowd.finish()
                nursery.cancel_scope.cancel()
    finally:
        await crowd.close()
    assert [*orders.refused] == [outcome.order]
