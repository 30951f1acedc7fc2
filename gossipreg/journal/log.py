"""The log of one replica: its entries in memory, and what is known of those that are only on the disk.

Owns: the base, the ballot of every entry above it, the last entries, the configurations. Never knows: what is committed
or durable, and who leads.

The newest entries are in memory; older ones are read from the disk when a replica that is behind needs them. The
ballots of all entries are kept as runs: the index of the first entry of each ballot.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from itertools import islice

from gossipreg.journal.effects import LogBase
from gossipreg.journal.model import Ballot, Configuration, EntryKind, LogEntry, Position
from gossipreg.journal.values import decode_configuration

KEPT_BYTES = 1024 * 1024
"""Of entries that are applied and on the disk, this much stays in memory for replicas that are a little behind."""
ENTRY_OVERHEAD_BYTES = 64


def entry_bytes(entry: LogEntry) -> int:
    return len(entry.data) + ENTRY_OVERHEAD_BYTES


class ReplicaLog:
    def __init__(self, base: LogBase, entries: Iterable[LogEntry] = ()) -> None:
        self.base = base
        self._tail: deque[LogEntry] = deque()
        """The last entries, without a gap."""
        self._tail_bytes = 0
        self._runs: list[tuple[int, Ballot]] = []
        """(index of the first entry, ballot) of each ballot above the base, in order."""
        self._configurations: list[tuple[int, Configuration]] = []
        """Of the entries above the base."""
        self.last = base.position
        self.last_led_ms = base.led_ms
        self.size_bytes = 0
        """Of all entries above the base."""
        for entry in entries:
            self.append(entry)

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def first_index(self) -> int:
        return self.base.position.index + 1

    @property
    def first_in_memory(self) -> int:
        return self.last.index - len(self._tail) + 1

    def position_at(self, index: int) -> Position | None:
        """The position of this entry, or of the base. None if the log has no such entry, or not any more."""
        if index == self.base.position.index:
            return self.base.position
        if not self.base.position.index < index <= self.last.index:
            return None
        return Position(self._runs[self._run_of(index)][1], index)

    def matches(self, position: Position) -> bool:
        return self.position_at(position.index) == position

    def first_of_run(self, index: int) -> int:
        """The index of the first entry with the ballot of this one."""
        return self._runs[self._run_of(index)][0] if index >= self.first_index else index

    def _run_of(self, index: int) -> int:
        return bisect_right(self._runs, index, key=lambda run: run[0]) - 1

    def slice(self, first: int, limit_bytes: int) -> tuple[LogEntry, ...] | None:
        """Entries from this index on: at most so many bytes, at least one entry if there is one. None if they are only
        on the disk."""
        if first < self.first_in_memory:
            return None
        found: list[LogEntry] = []
        size = 0
        for entry in islice(self._tail, first - self.first_in_memory, None):
            size += entry_bytes(entry)
            if found and size > limit_bytes:
                break
            found.append(entry)
        return tuple(found)

    @property
    def configuration(self) -> Configuration:
        """The last one: it counts from the moment it is in the log, committed or not."""
        return self._configurations[-1][1] if self._configurations else self.base.configuration

    @property
    def configuration_index(self) -> int:
        """The index of the entry that has the last configuration."""
        return self._configurations[-1][0] if self._configurations else self.base.position.index

    # -- changing ----------------------------------------------------------------------------------------------------

    def append(self, entry: LogEntry) -> None:
        """Add the next entry."""
        assert entry.index == self.last.index + 1, "a log has no gaps"
        if not self._runs or self._runs[-1][1] != entry.ballot:
            self._runs.append((entry.index, entry.ballot))
        if entry.kind == EntryKind.CONFIGURATION:
            self._configurations.append((entry.index, decode_configuration(entry.data)))
        self._tail.append(entry)
        self._tail_bytes += entry_bytes(entry)
        self.size_bytes += entry_bytes(entry)
        self.last, self.last_led_ms = entry.position, entry.led_ms

    def truncate(self, after: int, led_ms: int) -> None:
        """Remove the entries above this index. `led_ms` is that of the entry there."""
        position = self.position_at(after)
        assert position is not None, "only what the log has can be its end"
        while self._tail and self._tail[-1].index > after:
            size = entry_bytes(self._tail.pop())
            self._tail_bytes -= size
            self.size_bytes -= size
        while self._runs and self._runs[-1][0] > after:
            self._runs.pop()
        while self._configurations and self._configurations[-1][0] > after:
            self._configurations.pop()
        self.last, self.last_led_ms = position, led_ms

    def led_ms_at(self, index: int) -> int | None:
        """The led time of this entry; None if it is not in memory."""
        if index == self.base.position.index:
            return self.base.led_ms
        at = index - self.first_in_memory
        return self._tail[at].led_ms if 0 <= at < len(self._tail) else None

    def forget_in_memory(self, up_to: int) -> None:
        """Drop the oldest entries below this index from memory, beyond `KEPT_BYTES`. The disk has them."""
        while self._tail_bytes > KEPT_BYTES and self._tail and self._tail[0].index < up_to:
            self._tail_bytes -= entry_bytes(self._tail.popleft())

    def cut(self, index: int) -> LogBase:
        """Begin the log with this entry as its base from now on. It must be in memory or the base, and committed."""
        position, led_ms = self.position_at(index), self.led_ms_at(index)
        assert position is not None, "a log is cut at an entry that it has"
        assert led_ms is not None, "a log is cut at an entry that is in memory"
        configuration = self.configuration_at(index)
        while self._tail and self._tail[0].index <= index:
            self._tail_bytes -= entry_bytes(self._tail.popleft())
        self._runs = [(max(at, index + 1), ballot) for at, ballot in self._runs[max(0, self._run_of(index + 1)) :]]
        if index == self.last.index:
            self._runs = []
        self._configurations = [(at, later) for at, later in self._configurations if at > index]
        self.base = LogBase(position, led_ms, configuration)
        self.size_bytes = self._tail_bytes
        return self.base

    def configuration_at(self, index: int) -> Configuration:
        """The configuration of the last entry up to this index."""
        found = self.base.configuration
        for at, later in self._configurations:
            if at <= index:
                found = later
        return found
