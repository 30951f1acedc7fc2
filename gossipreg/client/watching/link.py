"""The connection of one registry to its sidecar, made again for as long as the registry lives.

Owns: the socket, the waits between attempts, and what went wrong last. Never knows: threads. Apart from `feed` and the
attributes that say how it is, all of it is for the watcher's thread, or for a moment in which there is none.
"""

import selectors
import socket
from math import inf
from random import Random

from gossipreg.client.log import log_warning
from gossipreg.client.stream import probe, why_not
from gossipreg.client.watching.conversation import ANSWER_S, Conversation
from gossipreg.client.watching.feed import ServiceFeed
from gossipreg.client.watching.state import SidecarTrust, Trust
from gossipreg.errors import ChooseSocket, GossipregError, Unreachable
from gossipreg.model import fold_name
from gossipreg.retry import Retry
from gossipreg.socket_path import find_socket, path_fault

RECEIVE_BYTES = 256 * 1024
READS_A_TURN = 64
"""Read all that is here in one turn, so that a list of ten thousand instances changes a service once."""
RETRY = Retry(0.02, 2.0)
"""The waits between attempts to connect. Each is drawn between its half and the whole, so that the programs of a
host do not all come at the same moment."""
CHOICE = "connect(PATH)"
"""How a program chooses a sidecar, for the texts of errors."""
LAPSE_EARLIER_S = 1.0
"""Programs get the list of a sidecar that knows nobody else before what they have is too old."""


class SidecarLink:
    def __init__(self, named: str | None, max_stale_s: float | None) -> None:
        """`named` is the socket's path; None: it is looked for at each attempt."""
        self.feeds: dict[str, ServiceFeed] = {}
        self.wanted: dict[ServiceFeed, None] = {}
        """The services that programs have used."""
        self.path = named
        """Of the sidecar that was tried last."""
        self.fault = ""
        """Why there is no connection; empty if there is one, or if none was tried."""
        self.unclear: ChooseSocket | None = None
        """Why it is not clear which sidecar is meant: the program has to choose."""
        self.closed = False
        """Whether the registry is closed."""
        self.connects = self.losses = 0
        earlier_s = None if max_stale_s is None else max(max_stale_s / 2, max_stale_s - LAPSE_EARLIER_S)
        self.trust = SidecarTrust(earlier_s)
        self._named = named
        self._socket: socket.socket | None = None
        self._conversation: Conversation | None = None
        self._selector: selectors.BaseSelector | None = None
        self._writes = False
        """Whether the selector looks for room to write, too."""
        self._wait_s = 0.0
        self._try_at = inf
        self._random = Random()
        self._changes_before = 0
        self.check_at = -inf
        """When a program may have the sidecar checked again."""
        self._logged = ""

    # -- for any thread ------------------------------------------------------------------------------------------------

    def feed(self, name: str) -> ServiceFeed:
        """The service of this name: the same object for the same name."""
        folded = fold_name(name)
        return self.feeds.get(folded) or self.feeds.setdefault(folded, ServiceFeed(folded))

    @property
    def connected(self) -> bool:
        return self._socket is not None

    @property
    def is_followed(self) -> bool:
        """Whether a watcher has taken it up."""
        return self._selector is not None

    @property
    def is_confirmed(self) -> bool:
        """Whether a sidecar is followed now that is believed in what it lists."""
        listed = self.trust.level is not Trust.NOTHING
        return self.connected and self.is_followed and listed and not self.is_silent

    @property
    def is_silent(self) -> bool:
        """Whether the sidecar is connected, and has not answered a `check`."""
        conversation = self._conversation
        return conversation is not None and conversation.silent

    @property
    def changes(self) -> int:
        """Changes of instances that came so far."""
        conversation = self._conversation
        return self._changes_before + (0 if conversation is None else conversation.changes)

    @property
    def synced(self) -> bool:
        """Whether a sidecar is connected and believed in all that it says."""
        return self.connected and self.trust.level is Trust.ALL and not self.is_silent

    @property
    def why_not_synced(self) -> str:
        """Why there may be no fresh snapshot, in words."""
        if self.closed:
            return "the registry is closed"
        if self.is_silent:
            return f"it has answered nothing for {ANSWER_S:g} s: it stands still, or has no time"
        return self.fault or self.trust.why_not or "it has not answered yet"

    # -- what the watcher tells ----------------------------------------------------------------------------------------

    def want(self, feed: ServiceFeed, now: float) -> None:
        """A program uses this service for the first time."""
        if feed in self.wanted:
            return
        self.wanted[feed] = None
        if self._conversation is not None:
            self._conversation.watch(feed)
            self._send()
        elif self._try_at == inf:
            self._try_at = now

    def check(self, now: float) -> None:
        """A request to an instance has failed: see whether the sidecar is there that says so."""
        if self._conversation is not None:
            self._conversation.check(now)
            self._send()

    def resume(self, selector: selectors.BaseSelector, now: float) -> None:
        """A watcher runs from now on: go on with the connection, if there is one."""
        self._selector = selector
        if self._socket is not None and self._conversation is not None:
            selector.register(self._socket, selectors.EVENT_READ, self)
            self._writes = False
            self._conversation.touch_all()
            self.ready(now)
        elif self.wanted:
            self._try_at, self._wait_s = now, 0.0

    def suspend(self, now: float) -> None:
        """The watcher ends: nobody reads what the sidecar says until `resume`."""
        self._selector = None
        self.unclear = None
        for feed in self.wanted:
            feed.known.stale(now)
            feed.publish()

    def forget(self, now: float) -> None:
        """In a forked child: leave the connection to the parent. Nothing is sent on it."""
        self._random = Random()
        self._selector = None  # of the parent
        self.unclear = None
        self._close(now)
        for feed in self.wanted:
            feed.forget_waiters()
            feed.renew()

    def forget_lost(self, now: float) -> None:
        """The program closed the socket behind our back: its number may be another file's now, so it is not closed."""
        self._selector = None
        if self._socket is not None:
            self._socket.detach()
            self._lost("the program closed the descriptor of the connection", now)

    def close(self, now: float) -> None:
        """The registry is closed: lookups that wait end now, and later ones fail."""
        self.closed = True
        self._close(now)
        self._try_at = inf
        for feed in list(self.feeds.values()):
            feed.publish()
        self.wanted.clear()

    # -- the connection ------------------------------------------------------------------------------------------------

    @property
    def due(self) -> float:
        """When `pass_time` has something to do; `inf`: never."""
        conversation = self._conversation
        return self._try_at if conversation is None else conversation.due

    def pass_time(self, now: float) -> None:
        if self._conversation is not None:
            self._conversation.pass_time(now)
            self._conversation.flush(now)
            self._send()
        elif self._try_at <= now:
            self._connect(now)

    def ready(self, now: float) -> None:
        """The socket can be read or written, or may be."""
        conversation, sock = self._conversation, self._socket
        if conversation is None or sock is None:
            return
        try:
            for _ in range(READS_A_TURN):
                data = sock.recv(RECEIVE_BYTES)
                if not data:
                    raise Unreachable(f"the sidecar on {self.path} closed the connection")
                conversation.receive_untrusted(data, now)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._lost(f"the sidecar on {self.path} broke the connection: {error.strerror}", now)
            return
        except Unreachable as error:
            self._lost(str(error), now)
            return
        if conversation.said_state:
            self._wait_s = 0.0
            self._log_doubt()
        conversation.flush(now)
        self._send()

    def _connect(self, now: float) -> None:
        self._try_at = inf
        try:
            self.path = path = find_socket(self._named, probe, CHOICE)
            self.unclear = None
            sock = _connected(path)
        except ChooseSocket as error:
            self._later(str(error), now)
            self.unclear = error
            for feed in self.wanted:
                feed.waiters.wake()
            return
        except (OSError, GossipregError) as error:
            self.unclear = None
            fault = why_not(self.path or "a socket", error, CHOICE) if isinstance(error, OSError) else str(error)
            self._later(fault, now)
            return
        self.connects += 1
        self.fault = ""
        self._socket = sock
        self._conversation = Conversation(path, self.trust, self.wanted)
        assert self._selector is not None
        self._selector.register(sock, selectors.EVENT_READ, self)
        self._writes = False
        self._send()

    def broken(self, now: float) -> None:
        """The client itself failed with what the sidecar said: begin anew."""
        self._lost("this client failed at what the sidecar said: its log says how", now)

    def _send(self) -> None:
        conversation, sock = self._conversation, self._socket
        if conversation is None or sock is None:
            return
        outgoing = conversation.outgoing
        try:
            while outgoing:
                del outgoing[: sock.send(outgoing)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            return  # what the sidecar said before it ended is read first, and then the end
        if self._selector is not None and self._writes != bool(outgoing):
            self._writes = bool(outgoing)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if outgoing else 0)
            self._selector.modify(sock, events, self)

    def _lost(self, fault: str, now: float) -> None:
        self.losses += 1
        self._close(now)
        self._later(fault, now)
        for feed in self.wanted:
            feed.publish()

    def _later(self, fault: str, now: float) -> None:
        """Connect again after a wait that grows."""
        self.fault = fault
        self._wait_s = RETRY.after(self._wait_s) if self._wait_s else RETRY.first_s
        self._try_at = now + self._wait_s * self._random.uniform(0.5, 1.0)

    def _close(self, now: float) -> None:
        conversation, self._conversation = self._conversation, None
        sock, self._socket = self._socket, None
        if conversation is not None:
            self._changes_before += conversation.changes
        if sock is not None:
            if self._selector is not None:
                self._selector.unregister(sock)
            sock.close()
            self.trust.gone(now)
        for feed in self.wanted:
            feed.known.disconnected(now)

    def _log_doubt(self) -> None:
        """Log that the sidecar is another one than before, once for each such sidecar."""
        state = self.trust.state
        doubted = self.trust.is_of_another_cluster or self.trust.is_stranger
        if state is not None and doubted and state.run != self._logged:
            self._logged = state.run
            log_warning(f"the sidecar on {self.path} is not believed yet: {self.trust.why_not}")


def _connected(path: str) -> socket.socket:
    """A socket that is connected to this path and does not block. Raises Unreachable and OSError."""
    if fault := path_fault(path):
        raise Unreachable(fault)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock
