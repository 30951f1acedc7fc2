"""The open sagas of a journal and their records.

Owns: which sagas are open, what their records take, and that records and memory say the same. Never knows: which change
makes sense when (`machine.py`).
"""

from collections.abc import Iterable

from gossipreg.journal.state import Records
from gossipreg.sagas import open_saga
from gossipreg.sagas.open_saga import OpenSaga, OpenStep
from gossipreg.sagas.saga_model import SagaState


class OpenSagas:
    def __init__(self) -> None:
        self.by_id: dict[str, OpenSaga] = {}
        """In the order in which they began."""
        self.size_bytes = 0
        """Of all their records: keys and values."""

    def load(self, found: Iterable[tuple[bytes, bytes]]) -> None:
        """The records of these, in the order of their keys."""
        sagas: dict[str, OpenSaga] = {}
        for key, value in found:
            open_saga.read_open(key, value, sagas)
            self.size_bytes += len(key) + len(value)
        self.by_id = {saga.id: saga for saga in sorted(sagas.values(), key=lambda saga: saga.number)}
        for saga in self.by_id.values():
            if saga.state is SagaState.ABORTED:
                saga.begin_undo()

    def add(self, saga: OpenSaga, records: Records) -> None:
        self.by_id[saga.id] = saga
        self._put(open_saga.saga_key(saga.id), open_saga.encode_saga(saga), records)

    def add_step(self, saga: OpenSaga, step: OpenStep, records: Records) -> None:
        saga.steps[step.name] = step
        self._put(open_saga.intent_key(saga.id, step.place), open_saga.encode_intent(step), records)

    def write_progress(self, saga: OpenSaga, step: OpenStep, records: Records) -> None:
        """The step has changed."""
        self._put(open_saga.progress_key(saga.id, step.place), open_saga.encode_progress(step), records)

    def write_decision(self, saga: OpenSaga, records: Records) -> None:
        """It was decided."""
        self._put(open_saga.decision_key(saga.id), open_saga.encode_decision(saga), records)

    def remove(self, saga: OpenSaga, records: Records) -> None:
        del self.by_id[saga.id]
        keys = [open_saga.saga_key(saga.id), open_saga.decision_key(saga.id)]
        for step in saga.steps.values():
            keys += open_saga.intent_key(saga.id, step.place), open_saga.progress_key(saga.id, step.place)
        for key in keys:
            self.size_bytes -= _size(key, records.get(key))
            records.remove(key)

    def _put(self, key: bytes, value: bytes, records: Records) -> None:
        self.size_bytes += _size(key, value) - _size(key, records.get(key))
        records.put(key, value)


def _size(key: bytes, value: bytes | None) -> int:
    return 0 if value is None else len(key) + len(value)
