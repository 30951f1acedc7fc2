"""The connections of one saga, while the thread that looks after them has one in its hands."""

import threading
from time import monotonic

import pytest

from gossipreg.client.pool import Loan, StreamPool
from gossipreg.client.sagas.saga_lines import SagaLines
from gossipreg.errors import Unreachable

BOUND_S = 60.0


class Stream:
    at_rest = True

    def __init__(self) -> None:
        self.is_closed = False
        self.looks: list[threading.Event] = []
        """The next looks: each is over when its event is set."""
        self.looked_at = threading.Event()

    @property
    def usable(self) -> bool:
        if self.looks:
            self.looked_at.set()
            assert self.looks.pop(0).wait(BOUND_S)
        return not self.is_closed

    def close(self) -> None:
        self.is_closed = True

    end = close


class Lines(SagaLines):
    def __init__(self, further: int) -> None:
        self.opened: list[Stream] = []
        self.asked = threading.Event()
        """A connection is wanted, and none was free."""
        others = self._of_one()
        super().__init__(self._of_one(), others)
        if not further:
            others.lend(None)
            self.opened.clear()

    def _of_one(self) -> StreamPool:
        return StreamPool(self._open, open_max=1)  # type: ignore[arg-type]

    def _open(self, _: float | None) -> Stream:
        self.opened.append(Stream())
        return self.opened[-1]

    def _new(self, deadline: float) -> Loan | None:
        if self.opened:
            self.asked.set()
        return super()._new(deadline)


def begun(further: int) -> Lines:
    """A saga with one connection, which is free."""
    lines = Lines(further)
    lines.give(lines.take(monotonic() + BOUND_S))
    return lines


@pytest.mark.parametrize("further", [0, 1])
def test_a_step_does_not_wait_for_other_sagas_while_its_line_is_looked_at(further: int) -> None:
    """With 48 sagas at once it waited until one of them had ended, or for the whole time of its step."""
    lines = begun(further)
    (first,) = lines.opened
    over = threading.Event()
    first.looks.append(over)
    keeper = threading.Thread(target=lines.is_cut)
    keeper.start()
    assert first.looked_at.wait(BOUND_S)
    taken: list[Loan] = []
    program = threading.Thread(target=lambda: taken.append(lines.take(monotonic() + 10 * BOUND_S)), daemon=True)
    program.start()
    assert lines.asked.wait(BOUND_S)
    over.set()
    keeper.join(BOUND_S)
    program.join(BOUND_S)
    assert len(taken) == 1
    assert len(lines.opened) == 1 + further


def test_a_step_that_waits_gets_a_new_line_where_the_old_one_has_ended() -> None:
    lines = begun(0)
    (first,) = lines.opened
    over = threading.Event()
    first.looks.append(over)
    keeper = threading.Thread(target=lines.is_cut)
    keeper.start()
    assert first.looked_at.wait(BOUND_S)
    taken: list[Loan] = []
    program = threading.Thread(target=lambda: taken.append(lines.take(monotonic() + 10 * BOUND_S)), daemon=True)
    program.start()
    assert lines.asked.wait(BOUND_S)
    first.close()
    over.set()
    keeper.join(BOUND_S)
    program.join(BOUND_S)
    assert [id(loan.stream) for loan in taken] == [*map(id, lines.opened[1:])]


def test_a_line_that_could_not_be_opened_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: float | None) -> Stream:
        raise Unreachable("nobody listens")

    lines = Lines(0)
    with monkeypatch.context() as patched:
        patched.setattr(lines._pool, "_open", refused)
        with pytest.raises(Unreachable, match="nobody listens"):
            lines.take(monotonic() + BOUND_S)
    assert lines.take(monotonic() + BOUND_S) is not None
    assert len(lines.opened) == 1
