"""All streams of this sidecar, by member: opened when there is something to send, at most one for each member.

Owns: which connection is the stream of a member, the limits, the counts. Never knows: what the messages say, or who
lives: whoever does calls `close`. What happens is told by way of `inbox`.
"""

import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from gossipreg.daemon.streams.accepting import ACCEPT_TURN, HalfOpen, on_loopback
from gossipreg.daemon.streams.inbox import StreamClosed, StreamInbox, StreamOpened, StreamReceived
from gossipreg.daemon.streams.link import Link
from gossipreg.daemon.streams.opening import FORGET_S, FailedOpening, Opening, first_failure
from gossipreg.daemon.streams.stream_messages import SentMessage, bytes_of, class_of, message_untrusted
from gossipreg.daemon.streams.stream_sockets import connect, prepare
from gossipreg.drops import DROPS
from gossipreg.model import Address, NodeId
from gossipreg.net.accepting import NoRoom, accept_connections, ignore
from gossipreg.net.addresses import is_loopback
from gossipreg.net.listening import error_name
from gossipreg.streams.broken import BrokenStreams
from gossipreg.streams.choice import newer_stays
from gossipreg.streams.connection import (
    StreamAsked,
    StreamConnection,
    StreamEnded,
    StreamEvent,
    StreamIsOpen,
    StreamMessage,
)
from gossipreg.streams.stream_seal import key_for
from gossipreg.streams.values import BY_PEER, ONE_SIDED, STOPPED, TOLD, StreamClass, StreamFault, StreamSelf
from gossipreg.wire.seal import Keyring

STREAMS_MAX = 256
"""Open ones, and those being opened by us. A sidecar speaks with the voters of its own journal, and with the owners of
those that it holds copies of."""
IDLE_S = 1.0
"""A stream that was not used for so long, and has nothing to send, gives way if another one needs its place."""
MAX_HELD_BYTES = 64 * 1024 * 1024
"""Of messages that have come in part, over all streams."""
FAILED_MAX = 1024


class NodeStreams:
    def __init__(
        self,
        own: Callable[[], StreamSelf],
        keyring: Keyring | None,
        *,
        addresses: Callable[[NodeId], Sequence[Address]],
        keys: Callable[[NodeId], tuple[bytes, ...] | None],
        entropy: Callable[[int], bytes],
        bug: Callable[[str, Exception], None],
        full: NoRoom = ignore,
    ) -> None:
        """`own()` is this process as it is now. `addresses(node)` are the present addresses of a member, and
        `keys(node)` the ids of the keys that it opens, as its row says; None: it does not say. `entropy(n)` are
        unpredictable bytes. `bug` gets what was raised by mistake; the stream ends then. `full` hears of connections
        that the system has no room for."""
        self.inbox = StreamInbox()
        self.counts: Counter[str] = Counter()
        self._own = own
        self._keyring = keyring
        self._addresses = addresses
        self._keys = keys
        self._entropy = entropy
        self._bug = bug
        self._full = full
        self._open: dict[NodeId, Link] = {}
        self._opening: dict[NodeId, Opening] = {}
        self._failed: dict[NodeId, FailedOpening] = {}
        self._broken = BrokenStreams()
        self._half_open = HalfOpen(self._drop)
        self._held_bytes = 0
        self._nursery: trio.Nursery | None = None

    async def run(
        self, listeners: Sequence[socket.socket], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Accept and open streams until cancelled; `nursery.start` returns once streams can be opened. The listeners
        stay open."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for listener in listeners:
                    accept = partial(accept_connections, listener, self._accept, turn=ACCEPT_TURN, full=self._full)
                    nursery.start_soon(accept)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None

    # -- what its user does ------------------------------------------------------------------------------------------

    def send(self, node: NodeId, message: SentMessage) -> None:
        """Send this to a member, over its stream; one is opened if there is none. If it cannot be delivered, or if it
        may not have been, StreamClosed says so. ValueError where the message is larger than any may be."""
        self._send(node, class_of(message), bytes_of(message))

    def _send(self, node: NodeId, klass: StreamClass, message: bytes) -> None:
        if link := self._open.get(node):
            link.send(klass, message)
            return
        opening = self._opening.get(node)
        if self._nursery is None:
            self.inbox.put(StreamClosed(node, "not_running"))
            return
        try:
            if opening is None:
                opening = self._begin(node)
            opening.put(klass, message)
        except StreamFault as fault:
            self._drop(fault)
            self._give_up(node, fault.reason)

    def close(self, node: NodeId, reason: str) -> None:
        """End the stream to a member: it is dead, or has left."""
        if link := self._open.get(node):
            link.end(reason)
        if node in self._opening:
            self._give_up(node, reason)
        self._failed.pop(node, None)
        self._broken.forget(node)

    def forget(self, node: NodeId) -> None:
        """No process of this member runs: none has to learn that a stream broke."""
        self._broken.forget(node)

    def rekey(self, keyring: Keyring | None) -> None:
        """The cluster has these keys from now on. Streams with another one end."""
        self._keyring = keyring
        attempts = [opening.link for opening in self._opening.values() if opening.link is not None]
        for link in (*self._open.values(), *self._half_open, *attempts):
            link.rekey(keyring)

    def __len__(self) -> int:
        """Streams that are open."""
        return len(self._open)

    def open_to(self) -> list[NodeId]:
        """The members to which a stream is open."""
        return sorted(self._open)

    def failed(self) -> dict[NodeId, FailedOpening]:
        """The members to which the last attempt failed: gossip yes, streams no."""
        return dict(self._failed)

    def statistics(self) -> dict[str, int]:
        """Figures for the operator. Names with a dot are counters."""
        return {
            "streams": len(self._open),
            "streams_opening": len(self._opening),
            "streams_half_open": len(self._half_open),
            "streams_failed": len(self._failed),
            "streams_broken": len(self._broken),
            "streams_held_bytes": self._held_bytes,
            **self.counts,
        }

    # -- opening -----------------------------------------------------------------------------------------------------

    def _begin(self, node: NodeId) -> Opening:
        """Begin to open a stream. StreamFault if there are too many."""
        assert self._nursery is not None
        self._make_room()
        opening = self._opening[node] = Opening(node)
        self._nursery.start_soon(self._guard, partial(self._open_stream, opening))
        return opening

    async def _open_stream(self, opening: Opening) -> None:
        """Try all addresses, once; then the opening is over."""
        node, reason = opening.node, STOPPED
        try:
            with opening.scope:
                if failed := self._failed.get(node):
                    await trio.sleep_until(failed.at + failed.wait_s)
                reason = await self._try_all(opening)
        finally:
            if self._opening.get(node) is opening:
                self._note_failure(node, reason)
                self._give_up(node, reason)

    async def _try_all(self, opening: Opening) -> str:
        """Why no address leads to a stream; empty if one is open."""
        reason = "no_address"
        await trio.lowlevel.checkpoint()
        for address in self._addresses(opening.node):
            if self._keyring is None and not is_loopback(address.host):
                reason = "off_loopback"
                continue
            try:
                sock = await connect(address)
            except TimeoutError:
                reason = "connect_timeout"
            except OSError as error:
                reason = error_name(error)
            else:
                reason = await self._try(opening, sock)
                if self._opening.get(opening.node) is not opening:
                    return ""
        return reason

    async def _try(self, opening: Opening, sock: socket.socket) -> str:
        """Open a stream over this connection. Returns why not; once it is open, the opening is over."""
        assert self._nursery is not None
        own, now = self._own(), trio.current_time()
        key = key_for(self._keyring, self._keys(opening.node))
        link = opening.link = Link(sock, StreamConnection.opening(own, opening.node, key, self._entropy, now), self)
        self._nursery.start_soon(self._guard, link.run)
        await link.settled.wait()
        return link.why

    def _give_up(self, node: NodeId, reason: str) -> None:
        """No stream opens. What waits for it is not sent."""
        opening = self._opening.pop(node, None)
        if opening is not None:
            opening.abandon(reason)
        if opening is None or opening.asked:
            self.inbox.put(StreamClosed(node, reason))
        self._open_later(node, self._broken.not_opened(node, trio.current_time()))

    def _open_later(self, node: NodeId, due: float | None) -> None:
        """Open a stream at this time, so that the other end learns that the last one is over."""
        if self._nursery is not None and due is not None:
            self._nursery.start_soon(self._guard, partial(self._open_again, node, due))

    async def _open_again(self, node: NodeId, due: float) -> None:
        await trio.sleep_until(due)
        if self._broken.is_due(node, due) and node not in self._opening:
            try:
                self._begin(node)
            except StreamFault:  # there are too many
                self._open_later(node, self._broken.not_opened(node, trio.current_time()))

    def _note_failure(self, node: NodeId, reason: str) -> None:
        now = trio.current_time()
        before = self._failed.pop(node, None)
        recent = before is not None and now - before.at < FORGET_S
        self._failed[node] = before.again(reason, now) if before and recent else first_failure(reason, now)
        if len(self._failed) > FAILED_MAX:
            del self._failed[next(iter(self._failed))]
        self.counts["streams.not_opened"] += 1

    # -- accepting ---------------------------------------------------------------------------------------------------

    def _accept(self, sock: socket.socket, host: str) -> None:
        assert self._nursery is not None
        if self._keyring is None and not on_loopback(sock):
            self._drop(StreamFault("stream_off_loopback", host))
            sock.close()
            return
        prepare(sock)
        connection = StreamConnection.accepting(self._own(), self._keyring, self._entropy, trio.current_time())
        link = Link(sock, connection, self)
        self._half_open.add(link)
        self._nursery.start_soon(self._guard, link.run)

    def _asked(self, link: Link, event: StreamAsked) -> None:
        """Somebody who has the key, or repeats an old hello: nothing gives way for that."""
        present = self._open.get(event.member.id)
        if present is not None and self._is_older(event, present):
            fault = StreamFault("stream_old_process")
        elif present is None and event.member.id not in self._opening and not self._may_make_room():
            fault = StreamFault("stream_busy")
        else:
            link.accept()
            return
        link.refuse(fault.reason)

    def _is_older(self, event: StreamAsked, present: Link) -> bool:
        other = present.ends.other
        return other.boot_id != event.member.boot_id and event.member.generation < other.generation

    # -- room --------------------------------------------------------------------------------------------------------

    def _make_room(self) -> None:
        """Let the stream that was idle for longest give way, if there are too many. StreamFault if none is idle."""
        if self._in_use < STREAMS_MAX:
            return
        idle = self._idle()
        if not idle:
            raise StreamFault("stream_busy", f"{STREAMS_MAX} streams are in use")
        min(idle, key=lambda one: one.used_at).end("idle")

    def _may_make_room(self) -> bool:
        return self._in_use < STREAMS_MAX or bool(self._idle())

    @property
    def _in_use(self) -> int:
        return len(self._open) + len(self._opening)

    def _idle(self) -> list[Link]:
        idle_since = trio.current_time() - IDLE_S
        return [one for one in self._open.values() if one.used_at <= idle_since and not one.connection.busy]

    # -- what happens on a stream (see LinkOwner) --------------------------------------------------------------------

    def on_event(self, link: Link, event: StreamEvent) -> None:
        match event:
            case StreamAsked():
                self._asked(link, event)
            case StreamIsOpen():
                self._opened(link)
            case StreamMessage():
                self._arrived(link, event)
            case StreamEnded():
                self._ended(link, event)

    def _arrived(self, link: Link, event: StreamMessage) -> None:
        link.used_at = trio.current_time()
        message = message_untrusted(event.data)
        if message is None:
            self.counts["streams.unknown_kind"] += 1
            return
        member = link.ends.other
        self.inbox.put_message(StreamReceived(member.id, member.boot_id, message, len(event.data)))

    def on_held(self, link: Link, change_bytes: int) -> None:
        del link
        self._held_bytes += change_bytes
        if change_bytes > 0 and self._held_bytes > MAX_HELD_BYTES:
            raise StreamFault("stream_inbox_full", f"{self._held_bytes} bytes have come in part")

    def _opened(self, link: Link) -> None:
        self._half_open.remove(link)
        ends = link.ends
        node = ends.other.id
        present = self._open.get(node)
        if present is not None:
            if not newer_stays(self._own().member.id, present.ends, ends):
                link.end("crossed")
                return
            present.end("replaced")
        elif node not in self._opening:
            self._make_room()
        self._open[node] = link
        self._failed.pop(node, None)
        self._broken.opened(node)
        self.counts["streams.opened"] += 1
        self.inbox.put(StreamOpened(node, ends.other.boot_id, ends.other.generation))
        opening = self._opening.pop(node, None)
        if opening is not None:
            for klass, message in opening.take():
                link.send(klass, message)
            if opening.link is not link:
                opening.abandon("crossed")

    def _ended(self, link: Link, event: StreamEnded) -> None:
        self._half_open.remove(link)
        link.why = event.detail if event.reason in ("stream_refused", BY_PEER) and event.detail else event.reason
        self.counts[f"streams.ended.{event.reason}"] += 1
        if event.reason in DROPS:
            self.counts[f"drop.{event.reason}"] += 1
        member = link.connection.member
        if member is not None and self._open.get(member.id) is link:
            del self._open[member.id]
            self.inbox.put(StreamClosed(member.id, link.why))
            now = trio.current_time()
            if event.reason in ONE_SIDED or (link.lost_bytes and event.reason not in TOLD):
                self._open_later(member.id, self._broken.broke(member.id, now))
            elif event.reason not in TOLD:
                self._broken.closed(member.id, now)

    async def _guard(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except Exception as error:
            self._bug("stream", error)

    def _drop(self, fault: StreamFault) -> None:
        self.counts[f"drop.{fault.reason}"] += 1
