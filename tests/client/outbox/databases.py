"""The databases under the tests of outbox and inbox, and a registry that only notes what it is asked to publish."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from gossipreg import Outbox
from gossipreg.errors import GossipregError

Event = dict[str, Any]


@dataclass(frozen=True)
class Database:
    name: str
    connect: Callable[[], Any]
    address: str
    """What another process needs to connect: the path of SQLite's file, which ends in .db, or psycopg's conninfo."""

    @property
    def mark(self) -> str:
        """The placeholder of a value in a statement."""
        return "?" if self.name == "sqlite" else "%s"

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of this statement, on a connection of its own."""
        with closing(self.connect()) as connection:
            rows = connection.execute(statement).fetchall()
            connection.commit()
            return list(rows)

    def execute(self, statement: str) -> None:
        with closing(self.connect()) as connection:
            connection.execute(statement)
            connection.commit()

    @property
    def waiting(self) -> int:
        """The rows that wait to be sent."""
        return int(self.query("SELECT count(*) FROM gossipreg_outbox WHERE refused IS NULL")[0][0])


def write(database: Database, *types: str, wake: bool = False) -> None:
    """Publish events of these types in one transaction."""
    with closing(database.connect()) as connection:
        for type in types:
            Outbox(connection).publish(type)
        connection.commit()
        if wake:
            Outbox(connection).wake()


def sqlite_database(path: str) -> Database:
    return Database("sqlite", lambda: sqlite3.connect(path, timeout=60), path)


def failure(code: str, text: str = "as asked") -> GossipregError:
    error = GossipregError(text)
    error.code = code
    return error


class NotingPublisher:
    """Notes each event in the order of the calls. `answer` may raise, or do something between call and answer."""

    def __init__(self, answer: Callable[[Event], None] = lambda _event: None) -> None:
        self.events: list[Event] = []
        self.at_once = 0
        """The most calls at a time."""
        self._answer = answer
        self._running = 0
        self._lock = threading.Lock()

    def publish(self, type: str, data: object = None, **named: Any) -> object:
        with self._lock:
            self._running += 1
            self.at_once = max(self.at_once, self._running)
        try:
            event = {"type": type, "data": data, **named}
            self._answer(event)
            self.events.append(event)
        finally:
            with self._lock:
                self._running -= 1
        return None

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]
