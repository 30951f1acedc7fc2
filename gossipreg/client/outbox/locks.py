"""A lock that another transaction holds on the outbox: how long the relay waits for it, and how it shows.

Owns: the bound, the error. Never knows: what the relay wanted.

Without a bound a relay would wait in PostgreSQL for as long as somebody leaves a transaction open, and say nothing. In
SQLite the connection has a bound of its own, which the program chooses (`timeout`).
"""

from typing import Any

from gossipreg.client.outbox.tables import SQLITE, Dialect
from gossipreg.errors import Unavailable

LOCK_S = 5.0
"""Longer than any transaction of a program should last."""
_LOCK_NOT_AVAILABLE = "55P03"
_SQLITE_BUSY, _SQLITE_LOCKED = 5, 6


class OutboxLocked(Unavailable):
    """Another transaction holds a lock for too long. Whoever has opened it is at fault; what was sent stays sent, and
    is taken out once the lock is gone."""

    code = "locked"


def bound_locks(connection: Any, dialect: Dialect) -> None:
    """Let a statement on this connection fail after `LOCK_S`, unless the program has set a bound itself."""
    if dialect is not SQLITE:
        statement = "SELECT set_config('lock_timeout', ?, false) WHERE current_setting('lock_timeout') = '0'"
        dialect.execute(connection, statement, f"{LOCK_S * 1000:.0f}ms")


def is_locked(error: Exception) -> bool:
    """Whether the database says that it has waited for a lock for too long."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return getattr(error, "sqlstate", None) == _LOCK_NOT_AVAILABLE or code in (_SQLITE_BUSY, _SQLITE_LOCKED)


def locked(table: str, dialect: Dialect) -> OutboxLocked:
    if dialect is SQLITE:
        return OutboxLocked(f"another transaction has written to the database of {table} and does not end: end it")
    return OutboxLocked(
        f"another transaction holds a lock in {table} for more than {LOCK_S:.0f} s: end it (pg_stat_activity shows it)"
    )
