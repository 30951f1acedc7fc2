"""The connections of one saga. While it runs they are its program, for the sidecar: if they end, it is undone.

Owns: which of them are free. Never knows: what goes over them. A saga has one, and others while several of its steps
are taken at once; it keeps them all until its end, since the sidecar goes by the one that it heard last. A step that
finds none free, and no place for another one, waits for those of its own saga: so it never waits for other sagas.
"""

from queue import Empty, SimpleQueue
from time import monotonic

from gossipreg.client.pool import Loan, StreamPool
from gossipreg.errors import Unreachable


class SagaLines:
    def __init__(self, pool: StreamPool, further: StreamPool) -> None:
        """The first comes from `pool`, others from `further`: so those of one saga take no place of other sagas."""
        self._pool = pool
        self._further = further
        self._free: SimpleQueue[Loan | None] = SimpleQueue()
        """None: one has broken, so there may be room for another."""
        self._lent: dict[Loan, None] = {}
        self._first: Loan | None = None
        """That of `pool`, also while the keeper's thread has a look at it."""
        self._is_opening = False
        """It is being opened."""
        self._ended = False

    def take(self, deadline: float) -> Loan:
        """A connection for one call, by `deadline` (of `monotonic`). Raises Unreachable, Busy, ChooseSocket."""
        while (loan := self.take_now(deadline)) is None:
            try:
                self._free.put(self._free.get(timeout=max(0.0, deadline - monotonic())))
            except Empty:
                raise none_free() from None
        return loan

    def take_now(self, deadline: float) -> Loan | None:
        """As `take`; None where one of those in use has to come free first."""
        while True:
            loan = self._free_one() or self._new(deadline)
            if loan is None or loan.stream.usable:
                if loan is not None:
                    self._lent[loan] = None
                return loan
            self._drop(loan)

    def is_cut(self) -> bool:
        """Whether none of them is left: those that are free have ended, and none is in use."""
        for _ in range(self._free.qsize()):
            loan = self._free_one()
            if loan is None:
                break
            if loan.stream.usable:
                self._free.put(loan)
                return False
            self._drop(loan)
        self._free.put(None)  # whoever has waited for one of them meanwhile opens another
        return not self._lent and not self._ended

    @property
    def has_free(self) -> bool:
        """Whether one may be free, or have broken."""
        return not self._free.empty()

    def give(self, loan: Loan) -> None:
        """After a call."""
        self._lent.pop(loan, None)
        if loan.stream.at_rest and not self._ended:
            self._free.put(loan)
        else:
            self._drop(loan)
            self._free.put(None)

    def end(self, *, decided: bool) -> None:
        """The saga needs them no more. `decided`: others may use them; else they are closed, so that the sidecar sees
        that its program is gone."""
        self._ended = True
        while (loan := self._free_one()) is not None:
            if not decided:
                loan.stream.close()
            self._drop(loan)
        if not decided:
            for loan in list(self._lent):
                loan.stream.end()

    def _free_one(self) -> Loan | None:
        try:
            while True:
                if (loan := self._free.get_nowait()) is not None:
                    return loan
        except Empty:
            return None

    def _new(self, deadline: float) -> Loan | None:
        """Another one; None where there is no room, and one of the saga's own will come free."""
        if self._first is None and not self._is_opening:
            return self._open_first(deadline)
        try:
            return self._further.lend(monotonic())
        except Unreachable:
            return None

    def _open_first(self, deadline: float) -> Loan:
        self._is_opening = True
        try:
            self._first = self._pool.lend(deadline)
        except BaseException:
            self._free.put(None)
            raise
        finally:
            self._is_opening = False
        return self._first

    def _drop(self, loan: Loan) -> None:
        """It is no connection of this saga any more."""
        if loan is self._first:
            self._first = None
        loan.end()


def none_free() -> Unreachable:
    return Unreachable("the connections of this saga are in use, and none came free in time")
