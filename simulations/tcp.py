"""TCP: one end of a stream between two hosts, with its retransmissions.

Owns: the order of messages on one stream, what happens if segments are lost, and when each side learns that the stream
is over. Never knows: which stream a process uses (`connections.py`), or which segments are lost (`Wire`).

A message is one segment, or shares one with others that waited. Segments arrive in order, each after a latency. A lost
one holds up those behind it until it is retransmitted: 0.2 s later, then after twice the wait before, as in Linux. A
lost ack holds up nothing. An end with bytes unacked for `GIVE_UP_S` is over, and the other one is not told, as in
Linux. If one side's process is over, the other side learns it as in TCP:

    the machine still runs   its kernel sends a FIN behind what is in flight, and resets what comes later
    the machine is silent    only when this side sends: `GIVE_UP_S` later, or by a reset if the machine is back

A stalled process reads later; meanwhile its kernel acks. What was not transmitted when a stream breaks is lost; what
was arrives, unless the receiving end is closed.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from simulations.host import Host

CONNECT_S = 5.0
"""A connect without an answer fails after this time: gossipreg's bound for everything before its handshake is over."""
SYN_WAITS_S = (1.0, 2.0)
"""From one transmission of the SYN to the next (Linux: 1 s, doubling)."""
RTO_S = 0.2
"""Linux's least retransmission timeout; each retransmission doubles it."""
GIVE_UP_S = 15.0
"""A stream whose bytes are unacked for so long breaks (TCP_USER_TIMEOUT)."""


class State(Enum):
    CONNECTING = "connecting"
    OPEN = "open"
    CLOSED = "closed"


class Process(Protocol):
    """What a process does about its streams."""

    def opened(self, peer: Host) -> None:
        """A stream with this peer opened, by either side."""

    def closed(self, peer: Host, *, refused: bool) -> None:
        """The stream with this peer ended, or could not be opened: what was sent on it may be lost from some message
        on. `refused`: a reset answered our SYN."""

    def received(self, peer: Host, message: object) -> None: ...


class Wire(Protocol):
    """Carries segments, and calls processes."""

    @property
    def now(self) -> float: ...
    def after(self, seconds: float, call: Callable[[], None]) -> None: ...
    def segment_s(self, sender: Host, receiver: Host, messages: tuple[object, ...] = ()) -> float | None:
        """Draw the seconds that a segment takes; None if it is lost."""

    def rejects(self, sender: Host, receiver: Host) -> bool:
        """Return whether a firewall answers this segment with a reset."""

    def accept(self, caller: "Socket") -> None:
        """A SYN of this socket arrives at its peer."""

    def tell(self, host: Host, call: Callable[[], None]) -> None:
        """Call a function of the host's process, later if it is slow."""

    def forget(self, socket: "Socket") -> None:
        """This socket is closed."""

    def opened(self, socket: "Socket") -> None:
        """This socket is open."""

    def broke(self, socket: "Socket", *, was_open: bool) -> None:
        """This socket was closed without a word of its peer's process: it broke, or could not be opened."""


class Socket:
    """One end of a stream."""

    def __init__(self, wire: Wire, host: Host, peer: Host, process: Process) -> None:
        self._wire = wire
        self.host = host
        self.peer = peer
        self.process = process
        self.state = State.CONNECTING
        self.other: Socket | None = None
        """The other end. It may be closed, and this end may not know."""
        self._queue: deque[object] = deque()
        """Messages not transmitted yet: the stream is not open, or a segment before them was lost."""
        self._arrives_at = 0.0
        """When the last segment in flight arrives; a later one does not arrive earlier."""
        self._unacked_since: float | None = None
        self._retransmissions = 0
        self._abandoned = False
        self._timer = 0
        """The number of the timer that counts; those before it are void."""

    # -- opening -----------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        self._wire.after(CONNECT_S, self._not_connected)
        self._send_syn(0)

    def _send_syn(self, sent: int) -> None:
        if self.state is not State.CONNECTING:
            return
        if self._wire.rejects(self.host, self.peer):
            self._reset_soon()
            return
        delay = self._wire.segment_s(self.host, self.peer)
        if delay is not None:
            self._wire.after(delay, lambda: self._wire.accept(self))
        if sent < len(SYN_WAITS_S):
            self._wire.after(SYN_WAITS_S[sent], lambda: self._send_syn(sent + 1))

    def _not_connected(self) -> None:
        if self.state is State.CONNECTING:
            self.reset()

    def refuse(self) -> None:
        """The peer's machine answers a segment of this socket with a reset, because no process has the other end."""
        if self.peer.up or self.peer.refuses:
            delay = self._wire.segment_s(self.peer, self.host)
            if delay is not None:
                self._wire.after(delay, self._rejected)

    def accepted(self, caller: "Socket") -> None:
        """This socket is the other end of the caller's from now on; answer the caller's SYN."""
        self.other, caller.other = caller, self
        self.established()
        delay = self._wire.segment_s(self.host, self.peer)
        if delay is not None:
            self._arrives_at = max(self._arrives_at, self._wire.now + delay)
            self._wire.after(self._arrives_at - self._wire.now, caller.established)

    def established(self) -> None:
        """The handshake is over at this end; nothing if it was before."""
        if self.state is not State.CONNECTING:
            return
        self.state = State.OPEN
        self._wire.opened(self)
        self._wire.tell(self.host, lambda: self.process.opened(self.peer))
        if self._queue:
            self._transmit()

    # -- sending -----------------------------------------------------------------------------------------------------

    def send(self, message: object) -> None:
        self._queue.append(message)
        if self.state is State.OPEN and len(self._queue) == 1:
            self._transmit()

    def _transmit(self) -> None:
        """Send everything that waits, or a probe if nothing does, as one segment."""
        if self._wire.rejects(self.host, self.peer):
            self._reset_soon()
            return
        now, messages = self._wire.now, tuple(self._queue)
        delay = self._wire.segment_s(self.host, self.peer, messages)
        if delay is None:
            self._is_unacked(now)
            return
        self._queue.clear()
        self._arrives_at = max(self._arrives_at, now + delay)
        self._wire.after(self._arrives_at - now, lambda: self._arrive(messages, now))

    def _arrive(self, messages: tuple[object, ...], sent_at: float) -> None:
        """A segment of this socket arrives at the other end, which acks it."""
        other = self.other
        if other is None or other.state is State.CLOSED:
            self._is_unacked(sent_at)
            self.refuse()
            return
        other.established()  # the answer to its SYN was lost, and came again before this
        for message in messages:
            if other.state is State.OPEN:
                other.receive(message)
        if self._wire.segment_s(self.peer, self.host) is None:
            self._is_unacked(sent_at)
        elif not self._queue:
            self._unacked_since = None

    def receive(self, message: object) -> None:
        self._wire.tell(self.host, lambda: None if self._abandoned else self.process.received(self.peer, message))

    def _is_unacked(self, since: float) -> None:
        if self._unacked_since is None and self.state is State.OPEN:
            self._unacked_since, self._retransmissions = since, 0
            self._set_timer()

    def _set_timer(self) -> None:
        assert self._unacked_since is not None
        self._timer += 1
        timer, now = self._timer, self._wire.now
        due = min(now + RTO_S * 2.0**self._retransmissions, self._unacked_since + GIVE_UP_S)
        self._wire.after(max(0.0, due - now), lambda: self._on_timer(timer))

    def _on_timer(self, timer: int) -> None:
        if timer != self._timer or self._unacked_since is None or self.state is not State.OPEN:
            return
        if self._wire.now >= self._unacked_since + GIVE_UP_S:
            self.reset()
            return
        self._retransmissions += 1
        self._set_timer()
        self._transmit()

    # -- ending ------------------------------------------------------------------------------------------------------

    def _rejected(self) -> None:
        """A reset arrives."""
        self.reset(refused=self.state is State.CONNECTING)

    def reset(self, *, refused: bool = False, by_peer: bool = False) -> None:
        """This end is over, and its process is told, unless it had asked for nothing. `by_peer`: the process at the
        other end knows."""
        if self.state is State.CLOSED:
            return
        was_open, asked = self.state is State.OPEN, bool(self._queue)
        self.close()
        if not (was_open and by_peer):
            self._wire.broke(self, was_open=was_open)
        if was_open or asked:
            self._wire.tell(self.host, lambda: self.process.closed(self.peer, refused=refused))

    def abandon(self) -> None:
        """The process closes its end: it hears no more of this stream."""
        self._abandoned = True
        self.close()
        self.finish()

    def close(self) -> None:
        """This end is over; its process knows, or has ended."""
        self.state = State.CLOSED
        self._wire.forget(self)

    def finish(self, tried: int = 0) -> None:
        """Tell the other end that this one is over: a FIN behind what is in flight, again if it is lost, as long as
        this machine runs."""
        other = self.other
        if other is None or other.state is State.CLOSED or not (self.host.up or self.host.refuses):
            return
        delay = self._wire.segment_s(self.host, self.peer)
        if delay is not None:
            arrives_at = max(self._arrives_at, self._wire.now + delay)
            self._wire.after(
                arrives_at - self._wire.now, lambda: other.reset(by_peer=True) if other.other is self else None
            )
        elif (wait_s := RTO_S * 2.0**tried) < GIVE_UP_S:
            self._wire.after(wait_s, lambda: self.finish(tried + 1))

    def _reset_soon(self) -> None:
        """A firewall answers with a reset."""
        self._wire.after(0.0, self._rejected)
