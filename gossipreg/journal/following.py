"""A follower: takes the leader's entries, or its whole state, and acknowledges them once they are on the disk.

Owns: what has arrived of a state. Never knows: who stands, or what the entries mean.
"""

from dataclasses import dataclass, field

from gossipreg.journal.effects import LogBase
from gossipreg.journal.log import ReplicaLog
from gossipreg.journal.messages import Append, AppendAnswer, InstallState, StateInstalled
from gossipreg.journal.model import Ballot, LogEntry
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.journal.state import Records, is_large
from gossipreg.model import NodeId


@dataclass(slots=True)
class _Arriving:
    """A state, as far as it has arrived."""

    ballot: Ballot
    base: LogBase
    stage: int
    """Where the disk has the large records."""
    expected: int = 0
    """The number of the next piece."""
    records: dict[bytes, bytes] = field(default_factory=dict)
    """The small ones."""
    large: dict[bytes, int] = field(default_factory=dict)
    """The sizes of the large ones."""


class Following:
    def __init__(self, data: ReplicaData) -> None:
        self._data = data
        self._arriving: _Arriving | None = None

    # -- entries -----------------------------------------------------------------------------------------------------

    def on_append(self, node: NodeId, append: Append) -> None:
        """The sender leads with this ballot, which is not below our promise."""
        data = self._data
        data.promise(append.ballot)
        data.hear(append.ballot, node)
        self.give_up_arriving()
        before = append.before
        if before.index < data.log.base.position.index:
            self._skip_what_is_cut(node, append)
        elif not data.log.matches(before):
            self._answer(node, append, matches=False, index=self._may_match(before.index))
        else:
            self._take(append.entries)
            self._taken(node, append, before.index + len(append.entries))

    def _skip_what_is_cut(self, node: NodeId, append: Append) -> None:
        """The append begins with entries that we have cut: they were committed, so they match."""
        data = self._data
        base = data.log.base.position.index
        rest = tuple(entry for entry in append.entries if entry.index > base)
        if rest:
            self._take(rest)
        self._taken(node, append, max(base, append.before.index + len(append.entries)))

    def _take(self, entries: tuple[LogEntry, ...]) -> None:
        """Append what is new. What differs from it, and all behind that, was never committed and is removed."""
        data, log = self._data, self._data.log
        for at, entry in enumerate(entries):
            if entry.index <= log.last.index:
                if log.matches(entry.position):
                    continue
                self._remove_after(entry.index - 1, entry, entries[at - 1] if at else None)
            data.append(entry)

    def _remove_after(self, index: int, entry: LogEntry, before: LogEntry | None) -> None:
        data, log = self._data, self._data.log
        assert index >= data.committed, "a committed entry is never removed"
        led_ms = log.led_ms_at(index)
        if led_ms is None:
            led_ms = entry.led_ms if before is None else before.led_ms
        log.truncate(index, led_ms)
        data.disk.truncate(index)

    def _taken(self, node: NodeId, append: Append, last: int) -> None:
        data = self._data
        data.commit(min(append.commit, last))
        self._answer(node, append, matches=True, index=last)

    def _may_match(self, index: int) -> int:
        """An index at which our log may match the leader's, below one at which it does not."""
        log = self._data.log
        if index > log.last.index:
            return log.last.index
        return max(log.first_of_run(index) - 1, self._data.committed, log.base.position.index)

    def _answer(self, node: NodeId, append: Append, *, matches: bool, index: int) -> None:
        data = self._data
        answer = AppendAnswer(
            journal=data.journal, sender=data.replica, receiver=append.sender, ballot=append.ballot, matches=matches,
            index=index, promised=data.promised,
        )  # fmt: skip
        data.send_when_written(node, answer)

    def refuse(self, node: NodeId, append: Append) -> None:
        """Something higher was promised."""
        data = self._data
        data.send_when_written(
            node,
            AppendAnswer(
                journal=data.journal, sender=data.replica, receiver=append.sender, ballot=append.ballot,
                matches=False, index=0, promised=data.promised,
            ),
        )  # fmt: skip

    # -- the whole state ---------------------------------------------------------------------------------------------

    def on_install(self, node: NodeId, install: InstallState) -> None:
        """The sender leads with this ballot, which is not below our promise."""
        data = self._data
        data.promise(install.ballot)
        data.hear(install.ballot, node)
        if install.base.index <= data.committed or data.log.matches(install.base):
            data.commit(install.base.index)
            self._installed(node, install)  # we have all of that, and may have acknowledged what is behind it
            return
        base = LogBase(install.base, install.led_ms, install.configuration)
        if install.number == 0:
            self._arriving = _Arriving(install.ballot, base, data.disk.begin_stage())
        arriving = self._arriving
        if arriving is None or (arriving.ballot, arriving.base, arriving.expected) != (
            install.ballot, base, install.number,
        ):  # fmt: skip
            return
        arriving.expected += 1
        self._keep(arriving, dict(install.records))
        if install.last:
            self._arriving = None
            self._begin_with(arriving)
        self._installed(node, install)

    def _keep(self, arriving: _Arriving, records: dict[bytes, bytes]) -> None:
        """Small records stay in memory until the last piece, as they do afterwards; large ones go to the disk."""
        large = {key: value for key, value in records.items() if is_large(key)}
        if large:
            self._data.disk.stage(arriving.stage, large)
        arriving.large.update((key, len(value)) for key, value in large.items())
        arriving.records.update((key, value) for key, value in records.items() if key not in large)

    def give_up_arriving(self) -> None:
        """The state that was arriving does not come."""
        arriving, self._arriving = self._arriving, None
        if arriving is not None and arriving.large:
            self._data.disk.drop_stages()

    def _begin_with(self, arriving: _Arriving) -> None:
        data, base = self._data, arriving.base
        data.log = ReplicaLog(base)
        data.committed = base.position.index
        data.disk.reset(base, arriving.records, arriving.stage if arriving.large else None)
        data.state.install(Records(arriving.records, arriving.large), base.position.index)
        data.context.count("journal.states_installed")

    def _installed(self, node: NodeId, install: InstallState) -> None:
        data = self._data
        data.send_when_written(
            node,
            StateInstalled(
                journal=data.journal, sender=data.replica, receiver=install.sender, ballot=install.ballot,
                base=install.base, number=install.number, promised=data.promised,
            ),
        )  # fmt: skip
