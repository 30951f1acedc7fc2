"""The thread that follows the sidecars of all registries of a process; and forks, signals and the end of the program.

There is no thread before the first use of a name. It sleeps in one `poll` until bytes come, a program uses another
name, or something is due; while a sidecar is connected and nothing is kept for some time, nothing is due.

Forks: the thread is stopped before a fork, since a child of a process with threads may inherit a lock that nobody
releases (and Python 3.12 warns of it). It starts again at the next lookup, in the parent and in the child. The parent
goes on with its connection; the child closes its copy of the descriptor and connects anew.

Signals: the thread takes none, so they interrupt the main thread as if there were no other. A signal handler may look
up names, so nothing here waits for a lock: a lock that is taken means that somebody else does the work.

Descriptors that the program closes behind its back (`os.closerange`, as daemons do): the thread waits for a pipe. While
it does, the kernel keeps the end that it reads, and wakes it when the other one is closed. Then all snapshots become
stale, and all begins anew after a second, or when a name is used: a program that closes all may want the lowest numbers
for itself first. What had our numbers may be the program's now, so nothing is closed.

The end of the program: the thread is stopped by `atexit`. A lookup after that answers with what is known.
"""

import atexit
import os
import selectors
import signal
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from math import inf

from gossipreg.client.log import log_exception
from gossipreg.client.snapshot import boot_clock
from gossipreg.client.watching.link import SidecarLink

LOST_S = 0.2
"""How long a new thread waits for one whose descriptors are gone: enough, unless that sleeps where nobody wakes it."""
AGAIN_S = 1.0
"""After its descriptors were closed the thread waits so long before it opens others."""
STOP_S = 5.0
"""How long a fork, or the end of the program, waits for the thread. Only a callback of the program takes time in it."""
LONGEST_SELECT_S = 86_400.0
RINGS_A_TURN = 4096
_KEPT_SIGNALS = frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP))
"""A fault of the thread itself has to end the process."""

Task = Callable[[float], None]
"""Is called on the watcher's thread with `boot_clock()`."""


class WatcherThread(threading.Thread):
    def __init__(self, watcher: "Watcher", previous: "WatcherThread | None") -> None:
        super().__init__(name="gossipreg", daemon=True)
        self.ending = False
        self.lost = False
        """Whether its descriptors were closed behind its back: it has to leave all alone."""
        self._watcher = watcher
        self._previous = previous

    def run(self) -> None:
        if self._previous is not None:
            # it has been told to end, and two would disturb each other
            self._previous.join(LOST_S if self._previous.lost else None)
            self._previous = None
        try:
            self._watcher.work(self)
        except OSError:  # no descriptor is left for a selector
            log_exception("the watcher of gossipreg cannot run: the next lookup starts it again")
        finally:
            self.ending = True
        if self.lost:
            self._watcher.go_on_later()


class Watcher:
    def __init__(self) -> None:
        self.links: dict[SidecarLink, None] = {}
        self.turns = 0
        """How often the thread has been woken."""
        self._tasks: deque[Task] = deque()
        self._thread: WatcherThread | None = None
        self._starting = threading.Lock()
        self._starter = 0
        """The thread that holds `_starting`; 0: none, or it is not known yet."""
        self._forking: dict[int, None] = {}
        """The threads that fork now."""
        self._over = False
        self._pid = os.getpid()
        self._bell: tuple[int, ...] = ()
        """A pipe that wakes the thread: the end that it reads, the end that is written. Empty: there is none."""
        self._bell_file: tuple[int, int] | None = None
        """Which pipe that is."""
        self._gone: deque[None] = deque()
        """Not empty: the descriptors of the connections are gone. Whoever takes it out deals with that."""

    # -- for any thread, and for signal handlers ---------------------------------------------------------------------

    def do(self, task: Task) -> bool:
        """Have this done on the watcher's thread. Returns False if there is no thread and none can be started."""
        self._tasks.append(task)
        return self.wake()

    def wake(self) -> bool:
        """Have the thread look at its tasks; start it if there is none. Returns False if that is not possible."""
        if self._pid != os.getpid():
            self.after_in_child()  # a fork that ran no hook of Python
        if self._is_bell_lost:
            self._begin_anew()
        possible = self.runs or self._start()
        self._ring()
        return possible

    @property
    def runs(self) -> bool:
        thread = self._thread
        return thread is not None and not thread.ending

    @property
    def may_wait(self) -> bool:
        """Whether the calling thread may wait for the watcher. Not so in a callback, which the watcher itself runs, in
        a handler of a signal that interrupted the start of the watcher, and once the program ends."""
        current = threading.current_thread()
        is_watcher = isinstance(current, WatcherThread) and not current.ending
        is_starter = self._starter == threading.get_ident()
        return not (self._over or is_watcher or is_starter)

    @property
    def why_no_wait(self) -> str:
        """Why the calling thread may not wait, in words for a person."""
        if isinstance(threading.current_thread(), WatcherThread):
            return "a callback cannot wait for it, since it runs on the thread that asks the sidecar: look it up before"
        return "nobody can wait for it while the program ends, or in a signal handler that interrupts the first lookup"

    def _start(self) -> bool:
        """Start the thread; return False if that is not possible. While another thread forks or starts it, that is
        still to come. All signals are blocked meanwhile: the thread inherits that, and no handler of this thread finds
        the watcher half started."""
        if self._over:
            return False
        if self._forking:
            return True  # `after_in_parent` wakes those that wait
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _KEPT_SIGNALS)
        try:
            if self._starting.acquire(blocking=False):
                try:
                    self._starter = threading.get_ident()
                    return self.runs or self._start_thread()
                finally:
                    self._starter = 0
                    self._starting.release()
            return True
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)

    def _start_thread(self) -> bool:
        thread = WatcherThread(self, self._thread)
        with suppress(RuntimeError, OSError):  # the interpreter ends, or there is no room for a thread or a descriptor
            if not self._bell:
                self._bell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                self._bell_file = _file(self._bell[0])
            thread.start()
            self._thread = thread
            return True
        return False

    def _ring(self) -> None:
        if (bell := self._bell) and not self._is_bell_lost:
            with suppress(OSError):  # it is full of rings; or closed just now, and the next `wake` sees it
                os.write(bell[1], b"\0")

    @property
    def _is_bell_lost(self) -> bool:
        """Whether the program has closed the bell's descriptors."""
        return any(_file(end) != self._bell_file for end in self._bell)

    def _begin_anew(self) -> None:
        """Leave the thread and the connections whose descriptors are gone. The next thread makes new ones."""
        if not self._starting.acquire(blocking=False):
            return  # another thread does it
        try:
            if self._is_bell_lost:
                if (thread := self._thread) is not None:
                    thread.lost = thread.ending = True
                self._gone.append(None)
                self._bell = ()
        finally:
            self._starting.release()

    def _forget_lost(self) -> None:
        if not self._gone:
            return
        with suppress(IndexError):  # another thread has taken it
            self._gone.pop()
            for link in list(self.links):
                self._guarded(link.forget_lost, boot_clock())

    def drop(self, link: SidecarLink) -> None:
        """Close this connection; without any other there is no need for the thread."""
        self.links.pop(link, None)
        self.let_go(link)
        if not self.links and self.stop():
            link.close(boot_clock())

    def let_go(self, link: SidecarLink) -> None:
        """Close this connection soon. The garbage collector may call this, in the middle of anything."""
        self.links.pop(link, None)
        if self.runs or link.connected or link.wanted:  # else nothing is open, and there may never be a thread
            self._tasks.append(link.close)
            self._ring()

    def stop(self) -> bool:
        """Stop the thread, and wait for its end; it starts again when it is needed. Returns whether there is none."""
        if self._is_bell_lost:
            self._begin_anew()
        thread = self._thread
        if thread is None or isinstance(threading.current_thread(), WatcherThread):
            return thread is None
        thread.ending = True
        self._ring()
        thread.join(LOST_S if thread.lost else STOP_S)
        if thread.lost:
            self._forget_lost()
        return thread.lost or not thread.is_alive()

    # -- forks, and the end --------------------------------------------------------------------------------------------

    def before_fork(self) -> None:
        self._forking[threading.get_ident()] = None
        self.stop()

    def after_in_parent(self) -> None:
        """The thread is not started here: Python counts the threads after this. Those that wait start it."""
        self._forking.pop(threading.get_ident(), None)
        self._wake_waiters()

    def after_in_child(self) -> None:
        self._pid = os.getpid()
        if self._thread is not None:
            self._thread.ending = True  # if this is the child of a callback, which is its only thread now
        self._thread = None
        self._starting = threading.Lock()
        self._starter = 0
        self._forking = {}
        if self._is_bell_lost:
            self._begin_anew()
        self._forget_lost()
        for end in self._bell:
            os.close(end)
        self._bell = ()
        for link in list(self.links):
            link.forget(boot_clock())

    def at_exit(self) -> None:
        self._over = True
        self.stop()
        self._wake_waiters()

    def _wake_waiters(self) -> None:
        for link in list(self.links):
            for feed in list(link.feeds.values()):
                feed.waiters.wake()

    # -- the thread ----------------------------------------------------------------------------------------------------

    def work(self, me: WatcherThread) -> None:
        """Follow the sidecars until `me.ending`."""
        self._forget_lost()
        selector = selectors.PollSelector()  # unlike epoll, it has no descriptor, and keeps what it waits for
        selector.register(self._bell[0], selectors.EVENT_READ)
        while not me.ending:
            self._turn(me, selector)
            if not self.links:
                me.ending = True
        if me.lost:
            return
        self._do_tasks()
        for link in list(self.links):
            self._guarded(link.suspend, boot_clock())
        if self._tasks:  # they came when this thread was ending already
            self._start()

    def _is_lost(self, me: WatcherThread) -> bool:
        """Whether the descriptors were closed: then the snapshots are stale, and this thread ends."""
        if self._is_bell_lost:
            self._begin_anew()
        if me.lost:
            self._forget_lost()
        return me.lost

    def go_on_later(self) -> None:
        """The descriptors were closed: follow the sidecars again after a while."""
        timer = threading.Timer(AGAIN_S, self._go_on)
        timer.daemon = True
        with suppress(RuntimeError):  # the interpreter ends, or there is no room for a thread
            timer.start()

    def _go_on(self) -> None:
        if self.links and not self._over:
            self.wake()

    def _turn(self, me: WatcherThread, selector: selectors.BaseSelector) -> None:
        if self._is_lost(me):
            return
        self._do_tasks()
        now = boot_clock()
        links = list(self.links)
        for link in links:
            if not link.is_followed:
                self._guarded(link.resume, selector, now)
            if link.due <= now and not self._guarded(link.pass_time, now):
                self._guarded(link.broken, now)
        due = min((link.due for link in links), default=inf)
        found = selector.select(min(max(0.0, due - now), LONGEST_SELECT_S))
        self.turns += 1
        if self._is_lost(me):
            return
        now = boot_clock()
        for key, _ in found:
            if not isinstance(key.data, SidecarLink):
                os.read(key.fd, RINGS_A_TURN)
            elif not self._guarded(key.data.ready, now):
                self._guarded(key.data.broken, now)

    def _do_tasks(self) -> None:
        while self._tasks:
            self._guarded(self._tasks.popleft(), boot_clock())

    def _guarded(self, work: Callable[..., object], *arguments: object) -> bool:
        """Do this, and return whether it went well. A fault of this library must not end the thread: the program would
        see old snapshots for ever."""
        try:
            work(*arguments)
        except Exception:
            log_exception("the watcher of gossipreg failed, and goes on: please report it")
            return False
        return True


def _file(descriptor: int) -> tuple[int, int] | None:
    """What file this descriptor is; None: it is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


WATCHER = Watcher()
"""The one of this process."""

atexit.register(WATCHER.at_exit)
os.register_at_fork(
    before=WATCHER.before_fork, after_in_parent=WATCHER.after_in_parent, after_in_child=WATCHER.after_in_child
)
