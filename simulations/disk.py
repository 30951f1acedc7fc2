"""A disk in virtual time: the ordered transactions of one database file of a host, and the faults of disks.

Owns: which transactions survive what, and how long an fsync takes. Never knows: what a transaction is, or which process
writes it. It models SQLite with WAL and synchronous=FULL, with one fsync for each group of transactions: what is
written while an fsync is under way goes with the next one.

Each transaction that the file holds is in one of two states:

    written   in the page cache: a process that starts now reads it, a power loss may cut it off. Any later fsync of the
              file makes it durable
    synced    on the platter: it survives everything except a disk that is lost, unlinked or restored

A process that dies leaves a random first part of what it had submitted written but not synced. So a process that has
just opened the file must complete an fsync before it promises anything to others that rests on what it read.

The faults are methods and flags, by name. A failed write or fsync leaves a random first part of its group written. A
product must rewrite that part on reopening, because the kernel forgets pages that could not be written ("fsyncgate",
PostgreSQL 2018); the model assumes that it does.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

LATENCY_S = (0.0002, 0.005)
"""Seconds that one fsync takes, from an NVMe disk to a busy cloud volume: log-uniform between these."""
FAILED_FSYNC, NO_SPACE = "EIO: the fsync failed", "ENOSPC: the disk is full"
"""What `failed` is called with."""

Call = Callable[[], None]
Deliver = Callable[[Call], None]
Failed = Callable[[str], None]


class Clock(Protocol):
    def after(self, seconds: float, call: Call) -> None: ...


@dataclass(frozen=True, slots=True)
class _Write:
    transaction: object
    done: Call
    failed: Failed


@dataclass(frozen=True, slots=True)
class Backup:
    """The durable contents at one moment."""

    transactions: tuple[object, ...]


class Disk:
    def __init__(self, clock: Clock, rng: random.Random, deliver: Deliver = lambda call: call()) -> None:
        """`deliver` calls a function of the process that has the file open, later if the process is slow."""
        self._clock = clock
        self._rng = rng
        self._deliver = deliver
        self.latency_s = LATENCY_S
        """Raise both for a slow disk."""
        self.full = False
        """While set, every group of transactions fails whole with `NO_SPACE`. The next one may succeed."""
        self.links = 1
        """Link count of the open file. A real disk acknowledges writes to a file with 0 links, and loses them."""
        self.fsyncs = 0
        """Completed so far."""
        self._synced: list[object] = []
        self._written: list[object] = []
        self._at_next_open: tuple[object, ...] | None = None
        """What the file holds from the next opening on, in place of what it holds now."""
        self._group: list[_Write] = []
        """What the fsync under way will make durable."""
        self._next_group: list[_Write] = []
        self._busy = False
        """Whether an fsync is under way, or its result waits for the process."""
        self._openings = 0
        self._error = ""
        """Set by a failed fsync until the file is opened again."""
        self._fsync_fails = False
        self._hung = False
        self._overdue: Call | None = None
        """The end of the fsync that hangs."""

    # -- for processes -----------------------------------------------------------------------------------------------

    def open(self) -> list[object]:
        """Open the file, or reopen it after an error, and return the transactions that it holds, in order. They are
        not all synced: see above. What was submitted through an earlier opening is never reported as done."""
        self.end_process()
        self._error, self._fsync_fails = "", False
        if self._at_next_open is not None:
            self._synced, self._written = list(self._at_next_open), []
            self._at_next_open, self.links = None, 1
        return [*self._synced, *self._written]

    def write(self, transaction: object, done: Call, failed: Failed) -> None:
        """Submit a transaction. `done` is called when it is durable, `failed` with the reason if it is not and will not
        be made so; neither is called before this returns, and neither if the process ends first. After a failed fsync
        every write fails until the file is reopened."""
        self._next_group.append(_Write(transaction, done, failed))
        if not self._busy:
            self._begin()

    # -- faults ------------------------------------------------------------------------------------------------------

    def end_process(self) -> None:
        """The process crashed: of what it had submitted, a random first part is written."""
        self._write_some([*self._group, *self._next_group])
        self._openings += 1
        self._group, self._next_group, self._busy, self._overdue = [], [], False, None

    def lose_power(self) -> None:
        """The machine lost power, and so the process ended: of what was not synced a random first part is left."""
        self.end_process()
        self._synced += self._first_part(self._written)
        self._written = []

    def fail_fsync(self) -> None:
        """Let the fsync under way fail, or the next one: its group and all later writes fail until `open`."""
        self._fsync_fails = True

    def hang(self) -> None:
        """No fsync ends until `resume`."""
        self._hung = True

    def resume(self) -> None:
        """End a hang."""
        self._hung = False
        overdue, self._overdue = self._overdue, None
        if overdue is not None:
            self._clock.after(self._fsync_s(), overdue)

    def unlink(self) -> None:
        """Remove the file under the running process: writes still succeed, and the next opening finds none of them."""
        self.links = 0
        self._at_next_open = ()

    def lose(self) -> None:
        """Lose the disk: it is empty when it is next opened, and until then every fsync fails."""
        self._at_next_open = ()
        self._error = FAILED_FSYNC

    def backup(self) -> Backup:
        """Return what is synced now."""
        return Backup(tuple(self._synced))

    def restore(self, backup: Backup) -> None:
        """Put the disk back in time: the next opening finds this backup, which may be another disk's (a clone)."""
        self._at_next_open = backup.transactions

    # -- for checkers ------------------------------------------------------------------------------------------------

    @property
    def synced(self) -> Sequence[object]:
        """What the next opening finds whatever happens to processes and power, in order."""
        return self._synced if self._at_next_open is None else self._at_next_open

    # -- fsyncs ------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._group, self._next_group, self._busy = self._next_group, [], True
        opening = self._openings
        self._clock.after(self._fsync_s(), lambda: self._end(opening))

    def _fsync_s(self) -> float:
        low, high = self.latency_s
        seconds: float = low * (high / low) ** self._rng.random()
        return seconds

    def _end(self, opening: int) -> None:
        """The fsync under way ends; the process hears of it when it runs."""
        if opening != self._openings:
            return
        if self._hung:
            self._overdue = lambda: self._end(opening)
            return
        group, why = self._group, self._failure()
        if not why:
            self.fsyncs += 1
            self._synced += [*self._written, *(write.transaction for write in group)]
            self._written = []
        elif why is not NO_SPACE and not self._error:
            self._write_some(group)
            self._error = why
        self._group = []
        self._deliver(lambda: self._report(group, why, opening))

    def _failure(self) -> str:
        """Return why this fsync fails; empty if it does not."""
        if self._error or self._fsync_fails:
            return FAILED_FSYNC
        return NO_SPACE if self.full else ""

    def _report(self, group: list[_Write], why: str, opening: int) -> None:
        """Call `done` or `failed` of each transaction in order, unless the process ends or reopens the file meanwhile;
        then begin the next fsync."""
        for write in group:
            if opening != self._openings:
                return
            if why:
                write.failed(why)
            else:
                write.done()
        if opening == self._openings:
            self._busy = False
            if self._next_group:
                self._begin()

    def _write_some(self, group: list[_Write]) -> None:
        if group and not (self._error or self.full):
            self._written += self._first_part([write.transaction for write in group])

    def _first_part(self, transactions: list[object]) -> list[object]:
        return transactions[: self._rng.randint(0, len(transactions))]
