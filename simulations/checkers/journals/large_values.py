"""Invariant: the value of each large record is in memory, or will be on the disk once what was asked for is there."""

from gossipreg.journal.effects import JournalEffect, JournalEvent, RemoveJournal, WriteJournal
from gossipreg.journal.model import JournalId
from gossipreg.journal.replica_data import ReplicaData
from simulations.checkers.journals.checker import JournalChecker, data_of
from simulations.journaling.journaling import Journaling
from simulations.journaling.process import JournalProcess


def value_of(process: JournalProcess, data: ReplicaData, key: bytes) -> bytes | None:
    """Return what a read of this large record finds that begins now; None if its value is gone."""
    kept = data.state.records.in_memory(key)
    return process.submitted.record(data.journal, data.replica, key) if kept is None else kept


class LargeValues(JournalChecker):
    """Whenever a write was asked for or is done, a read that begins now finds each large record of that replica, with
    the size that is known in memory.

    Writes that were asked for and are not done count as the disk's content, since a read is done after them. While a
    state waits to be asked for, because another write is under way, nobody reads: its records are looked at with its
    write, and at rest nothing waits."""

    name = "large_values"

    def __init__(self, journaling: Journaling) -> None:
        super().__init__(journaling)
        self._touched: dict[int, dict[JournalId, None]] = {}
        """By host: the journals to look at once the input is handled."""

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        if isinstance(effect, WriteJournal):
            self._touch(process, effect.journal)
        elif isinstance(effect, JournalEvent) and effect.kind == "journal_record_missing":
            key = dict(effect.fields)["record"]
            self.fail(f"{process.host.name} reads the large record {key}, which is not there", process.host)

    def on_durable(self, process: JournalProcess, write: WriteJournal | RemoveJournal) -> None:
        self._touch(process, write.journal)

    def _touch(self, process: JournalProcess, journal: JournalId) -> None:
        self._touched.setdefault(process.host.number, {})[journal] = None

    def after(self, process: JournalProcess) -> None:
        for journal in self._touched.pop(process.host.number, ()):
            data = data_of(process, journal)
            if data is not None and data.out is None and not data.disk.reset_waits:
                self._check(process, data)

    def at_rest(self) -> None:
        for process in self.journaling.running():
            assert process.journals is not None
            for replica in process.journals.replicas.values():
                if replica.data.out is None and not replica.data.disk.reset_waits:
                    self._check(process, replica.data)

    def _check(self, process: JournalProcess, data: ReplicaData) -> None:
        for key, size in data.state.records.large.items():
            value = value_of(process, data, key)
            if value is None or len(value) != size:
                has = "is gone" if value is None else f"has {len(value)} bytes instead of {size}"
                self.fail(f"the large record {key.hex()} of {process.host.name} {has}", process.host)
