"""Reserve goods for sagas, and pack a parcel for each order that was created.

    python -m gossipreg.demo.shop.stock PORT DATABASE

A step of a saga may come twice, its undo too, and the undo may overtake it. `Participant` keeps the rules for that in
the transaction of the reservation. An event may come twice: `Inbox` keeps a note in the transaction of the parcel.
"""

import sqlite3
import sys
from contextlib import closing

import gossipreg
from gossipreg.demo.shop.web import JsonRequest, serve

TABLES = """
CREATE TABLE IF NOT EXISTS items (item TEXT PRIMARY KEY, pieces INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reservations (key TEXT PRIMARY KEY, order_id TEXT NOT NULL, item TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS parcels (order_id TEXT NOT NULL);
"""
ITEM, PIECES = "tea", 100_000
"""What the shop sells, and how much of it there is at first."""


def connect() -> sqlite3.Connection:
    return sqlite3.connect(sys.argv[2], timeout=30)


def prepare() -> None:
    with closing(connect()) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(TABLES)
        connection.execute("INSERT OR IGNORE INTO items VALUES (?, ?)", (ITEM, PIECES))
        gossipreg.Participant(connection).create_table()
        gossipreg.Inbox(connection).create_table()
        connection.commit()


def reserve(connection: sqlite3.Connection, key: str, order: dict[str, str]) -> object:
    item = order["item"]
    taken = connection.execute("UPDATE items SET pieces = pieces - 1 WHERE item = ? AND pieces > 0", (item,))
    if taken.rowcount == 0:
        return gossipreg.ParticipantAnswer(422, {"why": f"no {item} in stock"})  # refused: the saga is undone
    connection.execute("INSERT INTO reservations VALUES (?, ?, ?)", (key, order["order"], item))
    return {"reserved": item}


def release(connection: sqlite3.Connection, key: str) -> None:
    connection.execute(
        "UPDATE items SET pieces = pieces + 1 WHERE item IN (SELECT item FROM reservations WHERE key = ?)", (key,)
    )
    connection.execute("DELETE FROM reservations WHERE key = ?", (key,))


def pack(event: gossipreg.Event) -> None:
    with closing(connect()) as connection, gossipreg.Inbox(connection).once(event, "pack") as first:
        if first:
            connection.execute("INSERT INTO parcels VALUES (?)", (event.data["order"],))


class StockRequest(JsonRequest):
    def do_PUT(self) -> None:
        order, key = self.json_body(), self.headers["Idempotency-Key"]
        with closing(connect()) as connection:
            gossipreg.Participant(connection).do(key, lambda: reserve(connection, key, order)).send(self)

    def do_DELETE(self) -> None:
        key = self.headers["Gossipreg-Undoes"]
        with closing(connect()) as connection:
            gossipreg.Participant(connection).undo(key, lambda: release(connection, key)).send(self)


if __name__ == "__main__":
    prepare()
    registry = gossipreg.connect(service="stock")
    registry.subscribe("order.created", "stock", pack)
    serve(int(sys.argv[1]), StockRequest)
