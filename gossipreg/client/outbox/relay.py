"""The relay of an outbox: a thread of the program that publishes what was committed. Or one pass: `relay_once`.

    with gossipreg.Relay(lambda: sqlite3.connect("shop.db"), registry):
        serve()

Owns: the thread, the time between two passes, the log of what fails. Never knows: how a pass is done (`sending.py`).

Each process of a program may run a relay of the same table: one sends, and the others look every second whether it
still does. The thread opens a connection of its own with `connect`, and another one whenever the database fails.
`relays.py` says what becomes of it in a fork.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Self

from gossipreg.client.checks import check_callable, check_number
from gossipreg.client.log import log_warning
from gossipreg.client.outbox.publisher import Publisher, check_publisher
from gossipreg.client.outbox.relays import RELAYS
from gossipreg.client.outbox.sending import PUBLISH_S, OutboxSender, RelayPass
from gossipreg.client.outbox.tables import OUTBOX_TABLE, POSTGRES, table_name
from gossipreg.errors import BadParams, GossipregError, Refused
from gossipreg.retry import Retry

CONNECT = "a function that opens a connection to the database of the outbox"
POLL_S = 1.0
"""A look is one read of an index that is nearly empty."""
AGAIN = Retry(first_s=0.5, longest_s=30.0)
"""After a failure, so as not to press a sidecar or a database that has trouble."""
CLOSE_S = PUBLISH_S + 2.0
"""How long `close` waits: the event that is being sent is finished first, or what was announced is sent."""
LAST_S = 2.0
"""After this time no event of the last pass begins."""


class Relay:
    """Publishes the events of an outbox, in the order of their rows, each until it is durable."""

    def __init__(
        self, connect: Callable[[], Any], publisher: Publisher, *, table: str = OUTBOX_TABLE, poll: float = POLL_S
    ) -> None:
        """`connect` gives a new connection of sqlite3 or psycopg to the database of the outbox; it is called on the
        relay's thread. `publisher` is the registry. `poll`: how many seconds pass between two looks at the table."""
        _check_connect(connect)
        check_publisher(publisher)
        check_number("poll", poll, "the seconds between two looks at the table")
        if not 0 < poll <= threading.TIMEOUT_MAX:
            raise BadParams(f"poll is {poll!r}: give more than 0 seconds between two looks at the table")
        self.table = table_name(table, POSTGRES)
        self._connect = connect
        self._publisher = publisher
        self._name = table
        self._poll_s = poll
        self._thread: threading.Thread | None = None
        self._bell: SimpleQueue[None] = SimpleQueue()
        """Has a ring for each time that the thread is to look up. Unlike a condition, a signal handler may ring it."""
        self._rung = self._ending = self._closed = self._inherited = False
        self._due = False
        """`wake` was called, and no pass that ran to its end has begun since."""
        self._working = threading.Lock()
        """Held during a pass: a fork waits for it."""
        self._sender: OutboxSender | None = None
        self._of_parent: list[OutboxSender] = []
        """In a child: kept as they are, since to close one would end the parent's session."""
        self._log = _FailureLog(f"the relay of {table}")
        self._sent = self._refused = 0
        self._blocked = False

    def start(self) -> Self:
        """Start the thread, unless it runs. Raises Refused after `close`."""
        if self._closed:
            raise Refused("this relay is closed: make another one")
        if not self._runs:
            RELAYS.add(self)
            self._thread = threading.Thread(target=self._run, name="gossipreg relay", daemon=True)
            self._thread.start()
        return self

    def wake(self) -> None:
        """Have the relay look at the table at once; while it waits after a failure, it goes on waiting. In a forked
        child this starts it."""
        if self._inherited and not self._closed:
            self._inherited = False
            self.start()
        self._due = True
        if not self._rung:
            self._rung = True
            self._bell.put(None)

    def close(self) -> None:
        """End the thread once the event that it is sending is finished. What a `wake` before this announced is sent
        first, as far as 2 s go and the last pass went well; what still waits in the table then stays there."""
        self._closed = True
        RELAYS.remove(self)
        self.end()
        self.join(CLOSE_S)

    def stats(self) -> dict[str, Any]:
        """Figures for people and metrics; new ones come with new releases.

        running; blocked (rows wait, and another relay sends them); sent, refused (events since it was made); failures
        (passes that ended early); fault (why the last one did; empty: it went well).
        """
        return {
            "running": self._runs, "blocked": self._blocked, "sent": self._sent, "refused": self._refused,
            "failures": self._log.failures, "fault": self._log.fault,
        }  # fmt: skip

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "running" if self._runs else "not running"
        return f"<Relay of {self._name}: {state}; {self._sent} sent{self._log.fault and f'; {self._log.fault}'}>"

    @property
    def _runs(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ending:
            with self._working:
                self._pass(lambda: not self._ending and not RELAYS.forking)
            self._sleep(self._log.wait_s or self._poll_s)
        with self._working:
            until = monotonic() + LAST_S
            if self._due and not self._log.wait_s:
                self._pass(lambda: monotonic() < until and not RELAYS.forking)
            self._drop_sender()

    def _sleep(self, wait_s: float) -> None:
        """Until this time is over; a ring ends it sooner, unless the last pass failed."""
        until = monotonic() + wait_s
        while not self._ending and (left_s := until - monotonic()) > 0:
            with suppress(Empty):
                self._bell.get(timeout=left_s)
                self._rung = False
                if not self._log.wait_s:
                    return

    def _pass(self, go_on: Callable[[], bool]) -> None:
        due, self._due = self._due, False
        try:
            if self._sender is None:
                self._sender = OutboxSender(self._connect(), self._publisher, self._name)
            self._note(self._sender.send_waiting(go_on, self._count))
        except Exception as error:
            self._drop_sender()
            self._log.failed(error)
        self._due = self._due or (due and self._ending)

    def _count(self, is_refused: bool) -> None:
        """A row was taken out, or set aside. A pass may be long, so this is not left for its end."""
        self._blocked = False
        if is_refused:
            self._refused += 1
        else:
            self._sent += 1
            self._log.went_well()

    def _note(self, done: RelayPass) -> None:
        self._blocked = not done.held
        if done.fault is None:
            self._log.went_well()
        else:
            self._log.failed(done.fault)

    def _drop_sender(self) -> None:
        self._blocked = False
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    # -- for the relays of the process -------------------------------------------------------------------------------

    def rest(self, until: float) -> bool:
        """As `ForkableRelay.rest`. A fork on the relay's own thread, in `connect`, waits for nothing."""
        if threading.current_thread() is self._thread:
            return False
        return self._working.acquire(timeout=max(0.0, until - monotonic()))

    def go_on(self) -> None:
        self._working.release()
        self.wake()

    def forget(self) -> None:
        if self._sender is not None:
            self._of_parent.append(self._sender)
        self._inherited = self._inherited or self._thread is not None
        self._thread = self._sender = None
        self._bell = SimpleQueue()
        self._working = threading.Lock()
        self._rung = self._due = self._blocked = False

    def end(self) -> None:
        self._ending = True
        self._bell.put(None)

    def join(self, timeout_s: float) -> None:
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)


class _FailureLog:
    """What fails, and how long to wait. Only the first failure of a kind is logged, and that it is over."""

    def __init__(self, who: str) -> None:
        self.fault = ""
        self.failures = 0
        self.wait_s = 0.0
        """0: the last pass went well."""
        self._who = who
        self._kind = ""
        self._since = 0.0

    def failed(self, error: Exception) -> None:
        kind = error.code if isinstance(error, GossipregError) else type(error).__name__
        self.fault = f"{kind}: {' '.join(str(error).split())}"  # those of a database may have several lines
        if not self._kind:
            self._since = monotonic()
        if self._kind != kind:
            log_warning(f"{self._who} cannot go on, and tries again until it can: {self.fault}")
        self._kind = kind
        self.failures += 1
        self.wait_s = AGAIN.after(self.wait_s) if self.wait_s else AGAIN.first_s

    def went_well(self) -> None:
        if self._kind:
            log_warning(f"{self._who} works again, after {monotonic() - self._since:.0f} s")
        self.fault = self._kind = ""
        self.wait_s = 0.0


def relay_once(connect: Callable[[], Any], publisher: Publisher, *, table: str = OUTBOX_TABLE) -> RelayPass:
    """Send all that waits, and return what was done: for scripts and timers that run no `Relay`.

    Raises the errors of the database, and what the registry raised for the event that it could not publish; the events
    before it are sent.
    """
    _check_connect(connect)
    check_publisher(publisher)
    sender = OutboxSender(connect(), publisher, table)
    try:
        done = sender.send_waiting(lambda: True)
    finally:
        sender.close()
    if done.fault is not None:
        raise done.fault
    return done


def _check_connect(connect: object) -> None:
    """Raises BadParams."""
    from inspect import iscoroutinefunction

    check_callable("connect", connect, CONNECT)
    if hasattr(connect, "cursor"):  # a connection of sqlite3 can be called
        raise BadParams(f"connect is the connection {connect!r}: give {CONNECT}")
    if iscoroutinefunction(connect):
        raise BadParams(f"connect is {connect!r}, which is async: the relay is a thread, so give {CONNECT}")
