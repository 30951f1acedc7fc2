"""A service that takes part in sagas, with a ledger in SQLite that its instances share.

    python -m scripts.soaking.saga_service SOCKET NAME HOST PORT DATABASE SEED NOTES

It keeps a participant's three rules by `gossipreg.Participant`, and is a bad neighbour otherwise: it is slow, refuses,
fails before its work and after it, and loses answers that it has committed. It registers again and again, since the
data directory of its sidecar may be deleted.
"""

import json
import random
import sqlite3
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote

import gossipreg
from gossipreg.client.connection import Client
from gossipreg.errors import GossipregError

AGAIN_S = 2.0
MOST = 100
"""What costs more is refused by the payment."""
SLOW, FAILED, LOST = 0.03, 0.02, 0.02
"""The shares of requests that take SLOW_S, that fail before the work, and whose answer is lost after it."""
SLOW_S = (1.0, 7.0)
"""An attempt has 5 s."""
TABLE = "CREATE TABLE IF NOT EXISTS ledger (id INTEGER PRIMARY KEY, key TEXT NOT NULL, amount INTEGER NOT NULL)"


class LedgerService(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    name: ClassVar[str]
    database: ClassVar[str]
    rng: ClassVar[random.Random]

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]

        def work(connection: sqlite3.Connection) -> object:
            if self.name == "payment" and body["amount"] > MOST:
                return gossipreg.ParticipantAnswer(422, {"why": "too expensive"})
            connection.execute("INSERT INTO ledger (key, amount) VALUES (?, 1)", (key,))
            return {"booked": key}

        self._take(lambda participant, connection: participant.do(key, lambda: work(connection)))

    def do_DELETE(self) -> None:
        key = self.headers["Gossipreg-Undoes"]
        if unquote(self.path) != f"/book/{key}":
            self._answer(gossipreg.ParticipantAnswer(400, "the path names another key"))
            return

        def work(connection: sqlite3.Connection) -> object:
            connection.execute("INSERT INTO ledger (key, amount) VALUES (?, -1)", (key,))
            return None

        self._take(lambda participant, connection: participant.undo(key, lambda: work(connection)))

    def _take(self, act: Any) -> None:
        drawn = self.rng.random()
        if drawn < SLOW:
            time.sleep(self.rng.uniform(*SLOW_S))
        elif drawn < SLOW + FAILED:
            self._answer(gossipreg.ParticipantAnswer(500, "no"))
            return
        with closing(sqlite3.connect(self.database, timeout=30)) as connection:
            answer = act(gossipreg.Participant(connection), connection)
        if self.rng.random() < LOST:
            self.close_connection = True
            self.connection.close()
            return
        self._answer(answer)

    def _answer(self, answer: gossipreg.ParticipantAnswer) -> None:
        try:
            answer.send(self)
        except OSError:
            self.close_connection = True  # its time was over

    def log_message(self, *_: object) -> None:
        pass


def keep_registered(socket: str, name: str, host: str, port: int) -> None:
    while True:
        try:
            with Client(socket, timeout_s=AGAIN_S) as client:
                while True:
                    client.call("register", name=name, port=port, address=host, id=f"{name}-{port}")
                    time.sleep(AGAIN_S)
        except GossipregError:
            time.sleep(AGAIN_S)


def main() -> None:
    socket, name, host, port, database, seed, _notes = sys.argv[1:]
    LedgerService.name, LedgerService.database, LedgerService.rng = name, database, random.Random(int(seed))
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(TABLE)
        gossipreg.Participant(connection).create_table()
        connection.commit()
    server = ThreadingHTTPServer((host, int(port)), LedgerService)
    threading.Thread(target=keep_registered, args=(socket, name, host, int(port)), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
