"""Take payments for sagas, and give them back if the saga is undone.

    python -m gossipreg.demo.shop.billing PORT DATABASE

The ledger is only ever added to: a payment that is given back is a second entry, with the opposite sign.
"""

import sqlite3
import sys
from contextlib import closing

import gossipreg
from gossipreg.demo.shop.web import JsonRequest, serve

TABLE = "CREATE TABLE IF NOT EXISTS ledger (key TEXT NOT NULL, order_id TEXT NOT NULL, cents INTEGER NOT NULL)"
DECLINED = "declined"
"""The number of the card that is refused."""


def connect() -> sqlite3.Connection:
    return sqlite3.connect(sys.argv[2], timeout=30)


def prepare() -> None:
    with closing(connect()) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(TABLE)
        gossipreg.Participant(connection).create_table()
        connection.commit()


def pay(connection: sqlite3.Connection, key: str, payment: dict[str, object]) -> object:
    if payment["card"] == DECLINED:
        return gossipreg.ParticipantAnswer(402, {"why": "the card is declined"})  # refused: the saga is undone
    connection.execute("INSERT INTO ledger VALUES (?, ?, ?)", (key, payment["order"], payment["cents"]))
    return {"paid": payment["cents"]}


def give_back(connection: sqlite3.Connection, key: str) -> None:
    connection.execute("INSERT INTO ledger SELECT key, order_id, -cents FROM ledger WHERE key = ?", (key,))


class BillingRequest(JsonRequest):
    def do_PUT(self) -> None:
        payment, key = self.json_body(), self.headers["Idempotency-Key"]
        with closing(connect()) as connection:
            gossipreg.Participant(connection).do(key, lambda: pay(connection, key, payment)).send(self)

    def do_DELETE(self) -> None:
        key = self.headers["Gossipreg-Undoes"]
        with closing(connect()) as connection:
            gossipreg.Participant(connection).undo(key, lambda: give_back(connection, key)).send(self)


if __name__ == "__main__":
    prepare()
    serve(int(sys.argv[1]), BillingRequest)
