"""Steps whose answer comes after the end of their saga."""

import threading

import pytest

import gossipreg
from gossipreg import SagaAborted
from gossipreg.client.registry import Registry
from gossipreg.errors import NotFound, Refused
from tests.client.sagas.saga_sidecar import SagaSidecar, begun


class LateStep:
    """A step, in a thread of its own, of a saga that is aborted while the sidecar answers `at`."""

    def __init__(self, sagas: SagaSidecar, at: str) -> None:
        self._asked, self._aborted = threading.Event(), threading.Event()
        self.raised: list[BaseException] = []
        lost = NotFound("it was lost before its first step")
        sagas.script["saga-step"] = [self._late(lost) if at == "step" else lost]
        if at == "begin":
            sagas.script["saga-begin"] = [begun, self._late(begun)]

    def _late(self, answer: object) -> object:
        def late(_: object) -> object:
            self._asked.set()
            self._aborted.wait(10.0)
            return answer

        return late

    def _take(self, saga: gossipreg.Saga) -> None:
        try:
            saga.step("reserve", "stock", "PUT", "/reservations/{key}", undo=None)
        except gossipreg.GossipregError as error:
            self.raised.append(error)

    def meet_abort(self, saga: gossipreg.Saga) -> None:
        thread = threading.Thread(target=self._take, args=(saga,))
        thread.start()
        assert self._asked.wait(10.0)
        try:
            saga.abort("no tea")
        finally:
            self._aborted.set()
            thread.join(10.0)


@pytest.mark.parametrize(("at", "begins"), [("step", 1), ("begin", 2)])
def test_a_step_that_outlives_its_saga_is_taken_in_no_other(
    at: str, begins: int, sagas: SagaSidecar, registry: Registry
) -> None:
    """Its leader had lost the saga, so the step began it again, and the program had left it: nobody decided it."""
    late = LateStep(sagas, at)
    with pytest.raises(SagaAborted), registry.saga("create-order", id="s1") as saga:
        late.meet_abort(saga)
    assert [type(error) for error in late.raised] == [Refused]
    assert (sagas.methods.count("begin"), sagas.methods.count("step"), saga.is_open) == (begins, 1, False)
