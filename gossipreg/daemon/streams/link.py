"""One connection with a stream on it: two tasks that read and write, and the deadlines.

Owns: the socket. Never knows: other streams, or what happens because of an event; its owner does, see `LinkOwner`.

It never stops reading. A writer that makes no progress for STALLED_S ends the stream: the other end does not read.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import trio

from gossipreg.daemon.streams.stream_sockets import has_bytes_in_flight
from gossipreg.net.listening import error_name
from gossipreg.streams.choice import StreamEnds
from gossipreg.streams.connection import StreamConnection, StreamEnded, StreamEvent, StreamIsOpen, StreamState
from gossipreg.streams.values import STOPPED, StreamClass, StreamFault
from gossipreg.wire.seal import Keyring

READ_BYTES = 128 * 1024
STALLED_S = 10.0
"""Without progress in writing. As the kernel's own bound for data that is not acked."""
TURN_FRAMES = 4
"""Written before other tasks have their turn."""


class LinkOwner(Protocol):
    def on_event(self, link: "Link", event: StreamEvent) -> None:
        """An event of the stream, in order; StreamEnded is the last one and comes exactly once."""

    def on_held(self, link: "Link", change_bytes: int) -> None:
        """What has come in part takes more memory, or less. StreamFault if it is too much for all streams."""


class Link:
    def __init__(self, sock: socket.socket, connection: StreamConnection, owner: LinkOwner) -> None:
        self.connection = connection
        self.used_at = trio.current_time()
        """When a message was sent or came last."""
        self.settled = trio.Event()
        """The stream is open, or has ended."""
        self.why = ""
        """Why it has ended, for its owner to note."""
        self.lost_bytes = False
        """It has ended with bytes in flight, which may be lost."""
        self._sock = sock
        self._owner = owner
        self._wake = trio.Event()
        self._scope = trio.CancelScope()
        self._in_part = False
        """Whether the kernel has taken a part of a frame, and not all of it yet."""
        self._held_bytes = 0
        self._told_end = False

    @property
    def ends(self) -> StreamEnds:
        """For `streams.choice`; the stream is open."""
        assert self.connection.member is not None
        return StreamEnds(self.connection.member, self.connection.opened_here, self.connection.confirmed)

    @property
    def over(self) -> bool:
        return self.connection.state is StreamState.ENDED

    async def run(self) -> None:
        """Until the stream has ended. Closes the socket."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read()
                    nursery.cancel_scope.cancel()
        finally:
            self.end(STOPPED)
            self._sock.close()

    # -- what its owner does -----------------------------------------------------------------------------------------

    def send(self, klass: StreamClass, message: bytes) -> None:
        """Queue a message. If too many wait, the stream ends."""
        self.used_at = trio.current_time()
        self._take(self.connection.send(klass, message))
        self._wake.set()

    def end(self, reason: str) -> None:
        """End the stream, and tell the other end why if that can be done at once."""
        self._take(self.connection.end(reason))

    def rekey(self, keyring: Keyring | None) -> None:
        """The cluster has these keys now."""
        self._take(self.connection.rekey(keyring))

    def refuse(self, reason: str) -> None:
        """Refuse the stream that was asked for."""
        self.connection.refuse(reason)
        self._take([StreamEnded(reason)])

    def accept(self) -> None:
        """Accept the stream that was asked for."""
        self._take(self.connection.accept(trio.current_time()))
        self._wake.set()

    # -- reading -----------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while not self.over:
            with trio.CancelScope(deadline=self.connection.next_deadline()):
                await trio.lowlevel.wait_readable(self._sock)
            now = trio.current_time()
            if now >= self.connection.next_deadline():
                self._take(self.connection.handle_timer(now))
                continue
            try:
                data = self._sock.recv(READ_BYTES)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError as error:
                self._take(self.connection.receive_error(error_name(error)))
                return
            self._take(self.connection.receive_bytes(data, now) if data else self.connection.receive_eof())
            self._note_held()
            self._wake.set()

    def _note_held(self) -> None:
        change = self.connection.held_bytes - self._held_bytes
        self._held_bytes += change
        if change:
            try:
                self._owner.on_held(self, change)
            except StreamFault as fault:
                self._fail(fault)

    # -- writing -----------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            frames = 0
            while data := self.connection.data_to_send():
                await self._write_all(data)
                frames += 1
                if frames % TURN_FRAMES == 0:
                    await trio.lowlevel.checkpoint()
            if trio.current_time() >= self.connection.next_deadline():
                self._take(self.connection.handle_timer(trio.current_time()))
            self._wake = trio.Event()
            await self._wake.wait()

    async def _write_all(self, data: bytes) -> None:
        rest = memoryview(data)
        self._in_part = True
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except (BlockingIOError, InterruptedError):
                with trio.move_on_after(STALLED_S) as patience:
                    await trio.lowlevel.wait_writable(self._sock)
                if patience.cancelled_caught:
                    self._fail(StreamFault("stream_stalled", f"nothing was taken for {STALLED_S:g} s"))
                    await trio.sleep_forever()
            except OSError as error:
                self._take(self.connection.receive_error(error_name(error)))
                await trio.sleep_forever()
        self._in_part = False

    # -- the end -----------------------------------------------------------------------------------------------------

    def _take(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            if isinstance(event, StreamEnded):
                self._ended(event)
                return
            if isinstance(event, StreamIsOpen):
                self.settled.set()
            try:
                self._owner.on_event(self, event)
            except StreamFault as fault:
                self._fail(fault)
            if self._told_end:
                return

    def _fail(self, fault: StreamFault) -> None:
        self.connection.end(fault.reason)
        self._ended(StreamEnded(fault.reason, fault.detail))

    def _ended(self, event: StreamEnded) -> None:
        """Say a last word if it can be said at once, and let everything go."""
        if self._told_end:
            return
        self._told_end = True
        self.lost_bytes = has_bytes_in_flight(self._sock)
        if not self._in_part:
            with suppress(OSError):
                while data := self.connection.data_to_send():
                    self._sock.send(data)
        if self._held_bytes:
            self._owner.on_held(self, -self._held_bytes)
            self._held_bytes = 0
        self.settled.set()
        self._scope.cancel()
        self._owner.on_event(self, event)
