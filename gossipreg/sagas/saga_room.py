"""The room for open sagas in a journal: how many there may be, and of how many bytes.

Owns: what the sagas take that the journal does not have yet. Never knows: what a saga does. The machine ignores what is
over the bounds; so that nothing of a program is ignored, a leader refuses it before: what is on its way counts too.
"""

from gossipreg.errors import Busy
from gossipreg.sagas.live_sagas import LiveSaga
from gossipreg.sagas.saga_context import SagaContext
from gossipreg.sagas.saga_model import MAX_OPEN_BYTES, MAX_OPEN_SAGAS

KEPT_BYTES = 1024 * 1024
"""Of what the open sagas may take, for what is on its way: the machine ignores what is over it."""


class SagaRoom:
    def __init__(self, context: SagaContext) -> None:
        self._context = context
        self._unrecorded: dict[str, int] = {}
        """Sagas that the journal does not have yet, and the bytes of those that are not on their way into it."""
        self._unrecorded_bytes = 0

    def check_saga(self, size_bytes: int) -> None:
        """For another saga. Raises Busy."""
        if len(self._context.machine.open) + len(self._unrecorded) >= MAX_OPEN_SAGAS:
            raise Busy(f"{MAX_OPEN_SAGAS} sagas of this journal are open: begin it again when some have ended")
        self._check(size_bytes, self._unrecorded_bytes)

    def check_step(self, saga: str, size_bytes: int) -> None:
        """For another step of this saga, which goes into the journal with it. Raises Busy."""
        self._check(size_bytes, self._unrecorded.get(saga, 0))

    def _check(self, size_bytes: int, unrecorded_bytes: int) -> None:
        context = self._context
        taken = context.machine.open_bytes + context.batch.size_bytes + unrecorded_bytes
        if taken + size_bytes > MAX_OPEN_BYTES - KEPT_BYTES:
            raise Busy(f"the open sagas of this journal take {taken} bytes: try again later")

    def keep(self, live: LiveSaga) -> None:
        """The journal does not have this saga, and nothing of it is on its way."""
        self._set(live.ref.id, len(live.begun.input) + len(live.begun.definition))

    def put(self, live: LiveSaga) -> None:
        """It is on its way into the journal, whose batch counts its bytes."""
        self._set(live.ref.id, 0)

    def _set(self, saga: str, size_bytes: int) -> None:
        self._unrecorded_bytes += size_bytes - self._unrecorded.get(saga, 0)
        self._unrecorded[saga] = size_bytes

    def drop(self, saga: str) -> None:
        """The journal has it, or it is gone."""
        self._unrecorded_bytes -= self._unrecorded.pop(saga, 0)
