"""The queue of durable writes: a thread writes them in the order asked for, and many of them share one commit.

Owns the queue, and the rule that nothing is done or answered before it is on the disk: `commit` calls `then` once the
write is committed, in the order of the calls, and returns the result; `begin` does the same for a caller that has more
to ask for before it waits. The exception is `apply_first`, for changes that take something out of the answers: it is
done at once. So the writes of what was done already come first in each commit, as things are when it begins, and what
waits for the commit comes behind them: the disk has all changes in the order in which they take effect. Never knows
what is written. Without a data directory there is nothing to wait for, and `then` is called at once.

What must not be is asked just before it is written (`prepare`), when all writes of its name that were asked for earlier
have taken effect: so two writes of one name never share a commit. Where `then` refuses all the same, or a commit fails
so that nobody knows whether it is on the disk, `undo` has the disk show again how things are; a refusal by `then` is
answered once it does.

A disk that hangs neither takes a write nor refuses it. After HANGS_S `look` tells of it (`failed`); whoever waits for
the write under way is told that its outcome is not known, and further writes are refused at once until the disk goes
on. Only time in which this process ran counts: while it was stopped, or its machine was, the thread could not go on
either, and its result may come just after `look`. What was done at once meanwhile under the name of a write that hangs
stays: the write is not followed up, though it may be on the disk until the next one.

Bounds: a client waits for one write, or for the changes that it sent at one time (`rpc_speaker.py`), so the queue is no
longer than what all clients have in hand. A write of what was done already has a name, and only its last state is
written.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import inf
from typing import Any, Generic, Protocol, TypeVar

import trio

from gossipreg.daemon.kept import Statement
from gossipreg.errors import CannotKeep, OutcomeUnknown, Refused, RequestError

AGAIN_S = 5.0
"""The pause before a failed write that nobody waits for is repeated."""
HANGS_S = 5.0
"""A write that takes longer is one on a disk that hangs: a sound disk takes milliseconds, a busy one a second."""
LOOK_S = 1.0
"""The interval at which a write under way is looked at."""
LOOK_COUNTS_S = 2 * LOOK_S
"""The most that counts of the time between two looks: where more has passed, this process did not run meanwhile."""
HANGS = f"the disk of the data directory hangs: a write takes more than {HANGS_S:g} s"
TRIAL = "trial"
"""The name of a write that changes nothing."""
FOLLOWED_IN_A_TURN = 32
"""Committed writes that are followed up before other tasks have their turn: about the work of as many requests."""

Result = TypeVar("Result")


class Database(Protocol):
    def write(self, statements: Iterable[Statement]) -> None: ...


class Write(Generic[Result]):
    """A write that was asked for, with what follows it."""

    __slots__ = (
        *("_done", "_error", "_otherwise", "_prepare", "_result", "_then", "_undo"),
        *("held", "name", "overtaken", "statements"),
    )

    def __init__(
        self,
        statements: list[Statement],
        then: Callable[[], Result],
        otherwise: Callable[[], Result] | None = None,
        *,
        name: str = "",
        prepare: Callable[[], list[Statement]] | None = None,
        undo: Callable[[], None] | None = None,
    ) -> None:
        """`otherwise` gives the result if the write is refused or the disk hangs; None: that is an error. `name` says
        what is written, as in `Store.apply_first`. `prepare` and `undo` as in `Store.begin`."""
        self.name = name
        self.held = False
        """`then` has refused it, and the answer waits until the disk shows that."""
        self.overtaken = False
        """Nobody waits for it any more, and what it changes was changed meanwhile: nothing follows from it."""
        self.statements = statements
        self._then = then
        self._otherwise = otherwise
        self._prepare = prepare
        self._undo = undo
        self._done = trio.Event()
        self._result: Result
        self._error: Exception | None = None

    @property
    def writes(self) -> bool:
        """Whether it is to write anything."""
        return bool(self.statements or (self._prepare is not None and not self.held))

    def prepare(self) -> bool:
        """It is about to be written. Returns False if it must not be: then it is answered."""
        if self._prepare is not None and not self.held:
            try:
                self.statements = self._prepare()
            except Exception as error:
                self._error = error
                self._done.set()
                return False
        return True

    def finish(self, refused: RequestError | None) -> None:
        """It is on the disk, or was refused, or nobody knows (OutcomeUnknown): do what follows."""
        if self.overtaken:
            return
        if self.held:
            self._end_hold(refused)
            return
        if not self._follow_up(refused) and self._undo is not None and not isinstance(refused, Refused):
            self._undo()
            if refused is None and not self._done.is_set():
                self.held, self.name, self.statements = True, "", []
                return
        self._done.set()

    def _end_hold(self, refused: RequestError | None) -> None:
        if refused is not None:
            self._error = OutcomeUnknown(
                f"{self._error}; but it is on the disk, which does not take it back: {refused}"
            )
        self.held = False
        self._done.set()

    def _follow_up(self, refused: RequestError | None) -> bool:
        """Returns whether anything follows from it."""
        try:
            if refused is None:
                self._result = self._then()
            elif self._otherwise is not None:
                self._result = self._otherwise()
            else:
                raise refused
        except Exception as error:
            self._error = error
            return False
        return True

    def give_up(self) -> None:
        """The disk hangs, and nobody waits for this any more. What follows is still done if the disk goes on, unless it
        is overtaken."""
        if self._otherwise is not None:
            self._result = self._otherwise()
        else:
            self._error = OutcomeUnknown(f"{HANGS}; it may be done later, once the disk goes on: see `gossipreg info`")
        self._done.set()

    async def result(self) -> Result:
        """Wait until it is on the disk, and return what `then` returned. Raises Refused, what `then` raised, and
        OutcomeUnknown where the disk hangs: it may be done later."""
        if not self._done.is_set():
            await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result


class Store:
    def __init__(
        self,
        database: Database | None,
        failed: Callable[[str], None],
        recovered: Callable[[], None] = lambda: None,
        trial: list[Statement] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`failed(why)`: it could not be written, and is tried again until it can (for its own sake with `trial`, which
        changes nothing); `recovered()`: it can again. `clock` times the disk, in seconds: not trio's, which a test
        may let jump while a thread writes."""
        self._clock = clock
        self._database = database
        self._failed = failed
        self._recovered = recovered
        self._trial = trial
        self._fails = False
        self._hangs = False
        self._looked_at: float | None = None
        """When the write under way was looked at last; None: there is none."""
        self._busy_s = 0.0
        """How long it has taken so far, of the time that counts."""
        self._begun = trio.Event()
        """Set by a write while nobody looks."""
        self._under_way: list[Write[Any]] = []
        self._given_up: list[Write[Any]] = []
        """Those under way that nobody waits for, since the disk hangs."""
        self._under_way_later: Iterable[str] = ()
        """The names of what is written along with it."""
        self._queue: list[Write[Any]] = []
        self._later: dict[str, Callable[[], list[Statement]]] = {}
        self._wake = trio.Event()
        self._thread = trio.CapacityLimiter(1)
        """A limiter of its own, so that other work in threads never delays the disk."""

    async def commit(self, statements: list[Statement], then: Callable[[], Result], *, name: str = "") -> Result:
        """Write the statements, call `then`, and return its result. Raises Refused if they cannot be written: then
        nothing was, and `then` is not called. Raises what `then` raises, and OutcomeUnknown as `Write.result`. The
        write goes on if the caller is cancelled. `name` as in `apply_first`; empty: nothing else writes the same."""
        return await self.begin(statements, then, name=name).result()

    def begin(
        self, statements: list[Statement], then: Callable[[], Result], *, name: str = "",
        prepare: Callable[[], list[Statement]] | None = None, undo: Callable[[], None] | None = None,
    ) -> Write[Result]:  # fmt: skip
        """Ask for the write, which has its place in the order from now on. See `commit`. `prepare`, called just before
        it is written, gives the statements as they are then, or raises RequestError: then nothing is written, and that
        is the answer. `undo` asks by `commit_later` for a write of how things are: it is called where the statements
        may be on the disk, and nothing has followed from them."""
        undo = None if self._database is None else undo
        return self._ask_for(Write(statements, then, name=name, prepare=prepare, undo=undo))

    def apply_first(
        self, name: str, statements: Callable[[], list[Statement]], then: Callable[[], None]
    ) -> Write[bool]:
        """Call `then` at once, and ask for the write of what `statements` gives by then: for changes that take
        something out of the answers, which a full disk must not prevent. The result is whether the write is on the
        disk; if not, it is repeated under this name until it is, whether or not somebody waits. Raises what `then`
        raises; then nothing is written.

        It is written like `commit_later`: a write that was asked for before takes effect after this change, so it must
        come after it on the disk as well."""
        then()
        self.commit_later(name, statements)
        return self._ask_for(Write([], lambda: True, lambda: False))

    def _ask_for(self, write: Write[Result]) -> Write[Result]:
        self.look()
        if self._database is None:
            write.finish(None)
        elif self._hangs:
            write.finish(CannotKeep(f"{HANGS}; nothing was changed"))
        else:
            self._queue.append(write)
            self._wake.set()
        return write

    def commit_later(self, name: str, statements: Callable[[], list[Statement]]) -> None:
        """Write soon what the function gives by then; asked again under this name before that, it is written once."""
        self.look()
        for each in self._given_up:
            each.overtaken |= each.name == name
        if self._database is not None:
            self._later[name] = statements
            self._wake.set()

    async def flushed(self) -> None:
        """Return when all that was asked for is written, or was tried."""
        again = True
        while again:
            with suppress(Refused, OutcomeUnknown):
                await self.commit([], lambda: None)
            again = any(one.held for one in self._queue)

    def unwritten(self) -> list[str]:
        """What was asked for, and is not on the disk: the names of what nobody waits for, and how much else. For the
        end, after `flushed`."""
        asked = [one for one in (*self._under_way, *self._queue) if one.writes]
        names = (*self._under_way_later, *self._later, *(one.name for one in asked))
        others = sum(not one.name for one in asked)
        found = [*dict.fromkeys(name for name in names if name not in ("", TRIAL))]
        return [*found, f"changes that clients asked for: {others}"] if others else found

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_looking)
            await self._keep_writing()

    async def _keep_looking(self) -> None:
        """Look at each write that takes long. One timer a second is enough, one for each write would cost more."""
        while True:
            await self._begun.wait()
            self._begun = trio.Event()
            await trio.sleep(LOOK_S)
            while self._looked_at is not None:
                self.look()
                await trio.sleep(LOOK_S)

    async def _keep_writing(self) -> None:
        while True:
            with trio.move_on_after(AGAIN_S if self._later else inf):
                await self._wake.wait()
            self._wake = trio.Event()
            await self._write()

    async def _write(self) -> None:
        waiting = self._next_writes()
        later, self._later = self._later, {}
        # Writes of what was done already show how things are now, so they come before those that will change that.
        statements = [one for each in later.values() for one in each()]
        statements += [one for each in waiting for one in each.statements]
        assert self._database is not None, "without one nothing is asked for"
        refused: RequestError | None = None
        self._looked_at, self._busy_s, self._under_way, self._under_way_later = self._clock(), 0.0, waiting, later
        self._begun.set()
        try:  # cancelled only where the process ends, see `finishing.py`
            await trio.to_thread.run_sync(
                self._database.write, statements, abandon_on_cancel=True, limiter=self._thread
            )
        except (Refused, OutcomeUnknown) as error:
            refused = error
        self._looked_at, self._under_way, self._under_way_later, self._hangs = None, [], (), False
        if refused is not None:
            self._later = later | self._later
            if self._trial is not None:
                self._later.setdefault(TRIAL, lambda: self._trial or [])
            self._failed(str(refused))
        if self._fails and refused is None:
            self._recovered()
        self._fails = refused is not None
        for number, each in enumerate(waiting, 1):
            each.finish(refused)
            if each.held:
                self._queue.insert(0, each)
                self._wake.set()
            if number % FOLLOWED_IN_A_TURN == 0:
                await trio.lowlevel.cancel_shielded_checkpoint()
        self._given_up = []

    def _next_writes(self) -> list[Write[Any]]:
        """Take the writes of the next commit from the queue: those of different names, in order."""
        names: set[str] = set()
        count = 0
        for each in self._queue:
            if each.name in names:
                self._wake.set()
                break
            count += 1
            if each.name:
                names.add(each.name)
        waiting, self._queue = self._queue[:count], self._queue[count:]
        return [each for each in waiting if each.prepare()]

    def look(self) -> None:
        """Find out whether the disk hangs."""
        if self._looked_at is None:
            return
        now = self._clock()
        self._busy_s += min(now - self._looked_at, LOOK_COUNTS_S)
        self._looked_at = now
        if self._busy_s < HANGS_S or self._hangs:
            return
        self._hangs = self._fails = True
        self._failed(HANGS)
        self._given_up = self._under_way
        for each in self._given_up:
            each.give_up()
        behind, self._queue = self._queue, []
        for each in behind:
            each.finish(CannotKeep(f"{HANGS}; nothing was changed"))
