"""The streams between the processes of a world: who is connected to whom, and the faults that strike only streams.

Owns: at most one stream a pair of processes, opened by the first message of either side. Never knows: what a message
is, or how one stream behaves (`tcp.py`).

A stream suffers from the network's loss and rules as datagrams do; a large message is not lost in a hole, since TCP
finds a size that passes. Both sides may connect at once: that makes one stream. A process that starts again has new
streams; if the other side still holds one of the process before, it is told that this one is closed first.
Where a stream broke at one end, that end opens another one, as the daemon's streams do (`gossipreg/streams/broken.py`).

The faults, by name, so that the end of a fault removes its own:

    rules      lose segments and acks from a sender to a receiver; datagrams pass. One direction: `network.out_of`. Both
               (`network.between`): a stall, or "UDP passes and TCP does not" in silence
    rejecting  answer segments with a reset, as a firewall does: "UDP passes and TCP is refused"
    break_     end one stream now
    reset_next the next message of one end meets a reset: that end is over, its message lost, the other end is not told
"""

from collections.abc import Callable

from gossipreg.model import NodeId
from gossipreg.streams.broken import BrokenStreams
from simulations.engine import Engine
from simulations.host import Host
from simulations.network import FRAME_BYTES, Rule, lost_by
from simulations.randomness import Randomness
from simulations.tcp import Process, Socket, State


def _key(peer: Host) -> NodeId:
    """The same for all processes of the peer, whatever their identity."""
    return NodeId(peer.number.to_bytes(16, "big"))


class Connections:
    def __init__(self, world: Engine, randomness: Randomness) -> None:
        self._world = world
        self._rng = randomness.of("connections")
        self.rules: dict[str, Rule] = {}
        self.rejecting: dict[str, Rule] = {}
        self.segments = 0
        self.bytes = 0
        """Sent so far, with headers; acks are not counted, nor is the size of a message that is not bytes."""
        self._processes: dict[int, Process] = {}
        """By the number of the host: the process that takes streams now."""
        self._sockets: dict[tuple[int, int], Socket] = {}
        """By the numbers of its host and of the peer: the socket of a stream that is open, or being opened."""
        self._resetting: set[tuple[int, int]] = set()
        """By the numbers of sender and receiver: whose next message meets a reset."""
        self._broken: dict[int, BrokenStreams] = {}
        """By the number of the host: the streams of its process that broke at this end."""
        world.on_end.append(self._on_end)

    # -- for processes -----------------------------------------------------------------------------------------------

    def listen(self, host: Host, process: Process) -> None:
        """Take streams for the process that runs on this host now, until it ends."""
        self._processes[host.number] = process
        self._broken[host.number] = BrokenStreams()

    def send(self, host: Host, peer: Host, message: object) -> None:
        """Send a message to the process at the peer, on the stream to it; open one if there is none."""
        if host is peer or host.number not in self._processes:
            raise ValueError(f"{host.name} cannot open a stream to {peer.name}: it is the same, or does not listen")
        if host.blocked:
            self.tell(host, lambda: self.send(host, peer, message))
            return
        socket = self._sockets.get((host.number, peer.number))
        if socket is None:
            socket = self._new(host, peer)
            socket.connect()
        socket.send(message)

    def close(self, host: Host, peer: Host) -> None:
        """End the host's stream to this peer, if there is one: its process does not run any more. The peer is told, the
        host is not."""
        if host.number in self._broken:
            self._broken[host.number].forget(_key(peer))
        socket = self._sockets.get((host.number, peer.number))
        if socket is not None:
            socket.abandon()

    def has(self, host: Host, peer: Host) -> bool:
        """Return whether the host has a stream to this peer, or is opening one."""
        return (host.number, peer.number) in self._sockets

    # -- faults ------------------------------------------------------------------------------------------------------

    def break_(self, one: Host, other: Host) -> None:
        """Break the stream between these two, as a middlebox does that resets it: each is told after a latency."""
        for host, peer in (one, other), (other, one):
            socket = self._sockets.get((host.number, peer.number))
            if socket is not None:
                self.after(self._world.network.latency_s(peer, host, self._rng), socket.reset)

    def reset_next(self, sender: Host, receiver: Host) -> None:
        """Answer the next message that goes this way over an open stream with a reset, as a firewall does that has
        forgotten the stream. The receiver holds its end for open until it sends something itself."""
        self._resetting.add((sender.number, receiver.number))

    def _on_end(self, host: Host) -> None:
        self._processes.pop(host.number, None)
        self._broken.pop(host.number, None)
        for socket in [socket for socket in self._sockets.values() if socket.host is host]:
            socket.close()
            socket.finish()

    # -- for observers -----------------------------------------------------------------------------------------------

    def open_between(self, one: Host, other: Host) -> bool:
        """Return whether a stream between these two is open at both ends."""
        socket = self._sockets.get((one.number, other.number))
        end = None if socket is None else socket.other
        return socket is not None and end is not None and {socket.state, end.state} == {State.OPEN}

    def broken(self) -> int:
        """Return how many streams broke at one end, and are to be opened again."""
        return sum(map(len, self._broken.values()))

    # -- the wire under the sockets ----------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self._world.now

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        self._world.after(seconds, call)

    def segment_s(self, sender: Host, receiver: Host, messages: tuple[object, ...] = ()) -> float | None:
        """Draw the seconds that a segment takes; None if it is lost."""
        network, rng = self._world.network, self._rng
        size = FRAME_BYTES + sum(len(message) for message in messages if isinstance(message, bytes))
        if messages:
            self.segments += 1
            self.bytes += size
        if not network.passes(sender, receiver, rng) or lost_by(self.rules, sender, receiver, rng):
            return None
        queued = 0.0 if network.link is None else network.link.delay(sender.number, size, self.now)
        return None if queued is None else queued + network.latency_s(sender, receiver, rng)

    def rejects(self, sender: Host, receiver: Host) -> bool:
        way = sender.number, receiver.number
        if way in self._resetting and self.open_between(sender, receiver):
            self._resetting.remove(way)
            return True
        return bool(self.rejecting) and lost_by(self.rejecting, sender, receiver, self._rng)

    def accept(self, caller: Socket) -> None:
        """A SYN arrives. The process has to answer it, since the handshake of the stream is its own: a stalled one
        answers later, or too late."""
        self.tell(caller.peer, lambda: self._accept(caller)) if caller.peer.up else caller.refuse()

    def tell(self, host: Host, call: Callable[[], None]) -> None:
        if host.up:
            self._world.to_process(host, call, network=True)

    def forget(self, socket: Socket) -> None:
        key = socket.host.number, socket.peer.number
        if self._sockets.get(key) is socket:
            del self._sockets[key]

    def opened(self, socket: Socket) -> None:
        if socket.host.number in self._broken:
            self._broken[socket.host.number].opened(_key(socket.peer))

    def broke(self, socket: Socket, *, was_open: bool) -> None:
        broken, peer = self._broken.get(socket.host.number), _key(socket.peer)
        if broken is not None:
            due = broken.broke(peer, self.now) if was_open else broken.not_opened(peer, self.now)
            if due is not None:
                self.after(due - self.now, lambda: self.tell(socket.host, lambda: self._open_again(socket, due)))

    def _open_again(self, before: Socket, due: float) -> None:
        host, peer = before.host, before.peer
        broken = self._broken.get(host.number)
        if broken is not None and broken.is_due(_key(peer), due) and not self.has(host, peer):
            self._new(host, peer).connect()

    def _accept(self, caller: Socket) -> None:
        if caller.state is State.CLOSED:
            return
        host, peer = caller.peer, caller.host
        if host.number not in self._processes:
            caller.refuse()
            return
        mine = self._sockets.get((host.number, peer.number))
        if mine is not None and mine.state is State.OPEN and mine.other is not caller:
            mine.reset(by_peer=True)  # of the peer's process before this one, or its peer has given it up
            mine = None
        (mine or self._new(host, peer)).accepted(caller)

    def _new(self, host: Host, peer: Host) -> Socket:
        socket = Socket(self, host, peer, self._processes[host.number])
        self._sockets[host.number, peer.number] = socket
        return socket
