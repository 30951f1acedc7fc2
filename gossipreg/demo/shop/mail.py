"""Send a receipt after each saga, and a note for each order that was created.

    python -m gossipreg.demo.shop.mail PORT DATABASE

"To send" is a row here: what a mail server does is in no transaction, so a real service would send from that table.
"""

import sqlite3
import sys
from contextlib import closing

import gossipreg
from gossipreg.demo.shop.web import JsonRequest, serve

TABLE = "CREATE TABLE IF NOT EXISTS mails (order_id TEXT NOT NULL, text TEXT NOT NULL)"
RECEIPT, NOTE = "receipt", "note"


def connect() -> sqlite3.Connection:
    return sqlite3.connect(sys.argv[2], timeout=30)


def prepare() -> None:
    with closing(connect()) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(TABLE)
        gossipreg.Participant(connection).create_table()
        gossipreg.Inbox(connection).create_table()
        connection.commit()


def send(connection: sqlite3.Connection, order: str, text: str) -> None:
    connection.execute("INSERT INTO mails VALUES (?, ?)", (order, text))


def note(event: gossipreg.Event) -> None:
    with closing(connect()) as connection, gossipreg.Inbox(connection).once(event, "note") as first:
        if first:
            send(connection, event.data["order"], NOTE)


class MailRequest(JsonRequest):
    def do_POST(self) -> None:
        order, key = self.json_body()["order"], self.headers["Idempotency-Key"]
        with closing(connect()) as connection:
            gossipreg.Participant(connection).do(key, lambda: send(connection, order, RECEIPT)).send(self)


if __name__ == "__main__":
    prepare()
    registry = gossipreg.connect(service="mail")
    registry.subscribe("order.created", "mail", note)
    serve(int(sys.argv[1]), MailRequest)
