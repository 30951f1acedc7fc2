"""The books: whatever is lost, doubled or half done is found."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.demo.books import ShopRecords, compare
from gossipreg.demo.orders import Orders
from gossipreg.demo.shop.stock import PIECES

KINDS = ("reservations", "payments", "receipts", "parcels", "notes")


def told(**status: int | None) -> Orders:
    """Orders by their names, each with the status that the customer got."""
    orders = Orders()
    for name, one in status.items():
        code = "null" if one is None else one
        orders.take(f'{{"order": "{name}", "status": {code}, "why": "", "ms": 1.0}}'.encode())
    return orders


def records(*whole: str) -> ShopRecords:
    """The databases if exactly these orders were carried out."""
    counts = {kind: Counter(whole) for kind in KINDS}
    return ShopRecords(**counts, pieces=PIECES - len(whole))


def test_books_balance_if_each_order_is_whole_or_nothing() -> None:
    books = compare(told(a=201, b=422, c=None, d=None, e=0), records("a", "c"))
    assert (books.confirmed, books.refused, books.finished, books.undone, books.faults) == (1, 2, 1, 1, ())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["a", "c"])
def test_an_order_that_lacks_one_record_is_a_fault(kind: str, order: str) -> None:
    there = records("a", "c")
    lacking = replace(there, **{kind: getattr(there, kind) - Counter([order])})
    assert any(fault.startswith(f"{order} ") for fault in compare(told(a=201, c=None), lacking).faults)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["a", "b", "stranger"])
def test_a_record_too_many_is_a_fault(kind: str, order: str) -> None:
    there = records("a")
    doubled = replace(there, **{kind: getattr(there, kind) + Counter([order])})
    assert any(fault.startswith(f"{order} ") for fault in compare(told(a=201, b=422), doubled).faults)


def test_goods_that_vanish_are_a_fault() -> None:
    assert compare(told(a=201), replace(records("a"), pieces=PIECES - 2)).faults


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([201, 422, 0, 503, None]), max_size=8))
def test_a_shop_that_did_nothing_balances_unless_it_confirmed(status: dict[str, int | None]) -> None:
    faults = compare(told(**status), records()).faults
    assert len(faults) == sum(code == 201 for code in status.values())
