"""The right to send the rows of a table of SQLite: one row that says who has it, and until when.

Owns: the row of TABLE_relay. Never knows: the outbox.

SQLite has no lock that ends with its owner, so the right is a lease. It is taken when there is something to send, and
is not renewed while nothing is: an idle relay writes nothing. Its end is counted on the clock since boot, which is one
for all processes of a host and never set; after another boot every lease is void. A lease whose process is gone is void
at once, so a program that was killed and started again need not wait for itself.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from gossipreg.client.outbox.tables import SQLITE, TableName
from gossipreg.client.snapshot import boot_clock

LEASE_S = 30.0
LEFT_S = 15.0
"""A lease is renewed when less than this is left. An attempt to publish takes at most 10 s, and one to begin a saga at
most 13 s, so a relay that runs has its answer before another one may begin."""


class HolderId(NamedTuple):
    """Who holds a lease, so that others can see whether it still runs."""

    boot: str
    namespace: str
    """Of process ids: in another one they mean other processes."""
    pid: str
    start: str
    """When the process began, in ticks since boot: a process id is used again."""
    relay: str
    """Drawn for each relay: a process may have several."""

    @classmethod
    def draw(cls) -> "HolderId":
        pid = str(os.getpid())
        return cls(_boot(), _namespace(), pid, _start(pid) or "", uuid4().hex)

    @classmethod
    def read(cls, text: str) -> "HolderId | None":
        parts = text.split(" ")
        return cls(*parts) if len(parts) == 5 else None

    @property
    def is_gone(self) -> bool:
        """Whether it certainly does not run any more."""
        if self.boot != _boot():
            return True
        return self.namespace == _namespace() and self.pid.isdigit() and _start(self.pid) != self.start


class RelayLease:
    def __init__(self, connection: Any, table: TableName, now: Callable[[], float] = boot_clock) -> None:
        """`connection` is in autocommit mode; `now` is the clock since boot, in seconds."""
        self._connection = connection
        self._table = table.sql("_relay")
        self._now = now
        self._me = " ".join(HolderId.draw())
        self._until = 0.0

    def hold(self) -> bool:
        """Whether this relay may send now; takes or renews the lease where that is needed and possible."""
        if self._until - self._now() >= LEFT_S:
            return True
        found = self._execute(f"SELECT holder, until FROM {self._table}").fetchone()
        now = self._now()  # after the read, which may wait: a lease taken meanwhile is no lease of another clock
        if found is not None and found[0] != self._me and not _is_void(found[0], found[1], now):
            self._until = 0.0
            return False
        self._until = now + LEASE_S if self._take(found and found[0], now + LEASE_S) else 0.0
        return self._until - self._now() >= LEFT_S  # to write may wait too

    def release(self) -> None:
        if not self._until:
            return  # to write nothing would wait for the program's transactions all the same
        self._until = 0.0
        self._execute(f"DELETE FROM {self._table} WHERE holder = ?", self._me)

    def _take(self, seen: str | None, until: float) -> bool:
        """Write the lease if nobody else has since what was seen."""
        if seen is None:
            statement = f"INSERT INTO {self._table} (one, holder, until) VALUES (1, ?, ?) ON CONFLICT DO NOTHING"
            return bool(self._execute(statement, self._me, until).rowcount == 1)
        statement = f"UPDATE {self._table} SET holder = ?, until = ? WHERE holder = ?"
        return bool(self._execute(statement, self._me, until, seen).rowcount == 1)

    def _execute(self, statement: str, *values: object) -> Any:
        return SQLITE.execute(self._connection, statement, *values)


def _is_void(holder: str, until: float, now: float) -> bool:
    """Whether this lease of another relay is over. One that ends later than any lease can is of another clock."""
    who = HolderId.read(holder)
    return not now < until <= now + LEASE_S or who is None or who.is_gone


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _namespace() -> str:
    return os.readlink("/proc/self/ns/pid")


def _start(pid: str) -> str | None:
    """When this process began; None: it does not run."""
    try:
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if words[0] in (b"Z", b"X") else words[19].decode()
