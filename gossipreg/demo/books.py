"""Whether the shop's databases agree with what the customers were told, and with each other.

Every order that was confirmed has one reservation, one payment, one receipt, one parcel and one note; one that was
refused has nothing; one without an answer has all of that, or nothing. All else in the databases is a fault too.
"""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gossipreg.demo.orders import Orders
from gossipreg.demo.shop.mail import NOTE, RECEIPT
from gossipreg.demo.shop.stock import ITEM, PIECES

_ENTRY = "CASE WHEN cents > 0 THEN 1 ELSE -1 END"
"""A payment, or one that is given back."""
BUSY_S = 10.0
"""How long a database may be busy."""


@dataclass(frozen=True, slots=True)
class ShopRecords:
    """What the databases say of each order: how many of each there are."""

    reservations: Counter[str]
    payments: Counter[str]
    """Those that were not given back."""
    receipts: Counter[str]
    parcels: Counter[str]
    notes: Counter[str]
    pieces: int
    """What is left of the goods."""

    def of(self, order: str) -> dict[str, int]:
        return {
            "reservations": self.reservations[order],
            "payments": self.payments[order],
            "receipts": self.receipts[order],
            "parcels": self.parcels[order],
            "notes": self.notes[order],
        }

    @property
    def orders(self) -> set[str]:
        """Every order that any record names."""
        counters = (self.reservations, self.payments, self.receipts, self.parcels, self.notes)
        return {order for counter in counters for order, count in counter.items() if count}


@dataclass(frozen=True, slots=True)
class Books:
    """The result of a comparison."""

    confirmed: int
    refused: int
    finished: int
    """Orders without an answer that were carried out all the same."""
    undone: int
    """Orders without an answer that left no record."""
    faults: tuple[str, ...]
    """Empty: the books balance."""


def read_records(folder: Path) -> ShopRecords:
    """Read the databases of stock, billing and mail. Raises sqlite3.Error."""
    stock, billing, mail = (folder / f"{name}.db" for name in ("stock", "billing", "mail"))
    return ShopRecords(
        reservations=_count(stock, "SELECT order_id, count(*) FROM reservations GROUP BY order_id"),
        payments=_count(billing, f"SELECT order_id, sum({_ENTRY}) FROM ledger GROUP BY order_id"),
        receipts=_count(mail, f"SELECT order_id, count(*) FROM mails WHERE text = '{RECEIPT}' GROUP BY order_id"),
        parcels=_count(stock, "SELECT order_id, count(*) FROM parcels GROUP BY order_id"),
        notes=_count(mail, f"SELECT order_id, count(*) FROM mails WHERE text = '{NOTE}' GROUP BY order_id"),
        pieces=_count(stock, "SELECT item, pieces FROM items")[ITEM],
    )


def _count(path: Path, query: str) -> Counter[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=BUSY_S)) as connection:
        return Counter(dict(connection.execute(query).fetchall()))


def compare(orders: Orders, records: ShopRecords) -> Books:
    """Compare what the customers were told with what the databases say."""
    whole, nothing = dict.fromkeys(records.of(""), 1), dict.fromkeys(records.of(""), 0)
    faults = [_fault(order, "was confirmed", records) for order in orders.created if records.of(order) != whole]
    faults += [_fault(order, "was refused", records) for order in orders.refused if records.of(order) != nothing]
    finished = [order for order in orders.unanswered if records.of(order) == whole]
    undone = [order for order in orders.unanswered if records.of(order) == nothing]
    halves = orders.unanswered.keys() - {*finished, *undone}
    faults += [_fault(order, "had no answer", records) for order in sorted(halves)]
    strangers = records.orders - orders.created.keys() - orders.refused.keys() - orders.unanswered.keys()
    faults += [_fault(order, "was never ordered", records) for order in sorted(strangers)]
    if records.pieces + records.reservations.total() != PIECES:
        faults.append(f"{records.pieces} pieces left and {records.reservations.total()} reserved are not {PIECES}")
    return Books(len(orders.created), len(orders.refused), len(finished), len(undone), tuple(faults))


def _fault(order: str, told: str, records: ShopRecords) -> str:
    there = ", ".join(f"{count} {what}" for what, count in records.of(order).items())
    return f"{order} {told}, and has {there}"
