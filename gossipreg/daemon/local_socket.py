"""The local socket: a unix stream socket on which clients call the methods, in MessagePack-RPC.

Owns the socket's file, the connections and their bounds. Never knows what a method does. A connection is one task that
waits for bytes, answers the requests in them one after the other, and waits again, so that others get their turn;
replies and notifications are written at once where the kernel takes them, and else wait in a queue.

The bounds, and what happens at each:
- a request of 1 MiB: told, and the connection ends, since what follows cannot be found any more
- 1,024 unanswered requests: more are not read before others are answered; they wait in the client's own buffer. The
  same holds while replies wait to be read by the client.
- 64 watches a connection: the next is refused as busy
- a queue of 4 MiB behind the message being written, or of 64 KiB where all queues together have 16 MiB: told, and the
  connection ends. One message may be larger.
- 512 connections: the next is told, and closed.
"""

import errno
import fcntl
import os
import socket
import stat
import struct
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio
from msgpack import packb

from gossipreg.daemon import params as check
from gossipreg.daemon.methods import Caller, Handler, Methods
from gossipreg.daemon.params import take_untrusted
from gossipreg.daemon.watches import Watch, Watches, notification
from gossipreg.errors import Busy, CannotStart, GossipregError, NotFound, Refused, TooLarge, UnknownMethod
from gossipreg.model import Instance
from gossipreg.wire.rpc import MAX_QUEUE_BYTES, MAX_WATCHES, Decoder, encode_error
from gossipreg.wire.shapes import current_shape

MAX_CLIENTS = 512
"""Each takes a descriptor, of which a process commonly has 1,024, and some 10 KiB."""
MAX_CLIENTS_A_PROCESS = 128
"""One process that never closes a connection must not lock the others out."""
READ_BYTES = 8 * 1024
"""Read at one time. The shortest request takes 9 bytes, so no more than 910 are ever in hand and unanswered."""
TURN_BYTES = 16 * 1024
"""So much is replied on one connection, and then the others have their turn."""
REQUEST_COST_BYTES = 512
"""What a request counts beside its reply: 32 of the smallest make a turn, about half a millisecond."""
LET_READ_BYTES = 64 * 1024
"""Requests are read on while no more than this waits to be written."""
LAST_WORDS_S = 5.0
"""So long a client that is being cut off, or that has closed its side, may take to read what it is told."""
MAX_QUEUES_BYTES = 16 << 20
"""What may wait for all clients together: many that do not read must not take the memory of the machine."""
SPARED_BYTES = 64 * 1024
"""Who has no more than this waiting is not to blame for that."""
CHUNK_BYTES = 16 * 1024
"""Small messages wait together in chunks of this size, since each alone would take several times its bytes."""
FLUSH_CHUNKS = 4
"""So many are written before the others have their turn."""
BACKLOG = 128


_LIVE = "a sidecar already answers at {path}: stop that one, or choose another --name or --socket"


class LocalSocket:
    """The listening socket and its file. Made by `bind_local_socket`."""

    def __init__(self, listener: socket.socket, path: Path, lock_fd: int) -> None:
        self.path = path
        self._listener = listener
        self._lock_fd = lock_fd
        self._file = _identity_of(path)
        self._connections: dict[Connection, None] = {}
        self._queues = Queues()

    async def serve(self, methods: Methods, watches: Watches, instances: Callable[[str | None], tuple[Instance, ...]],
                    bug: Callable[[str, Exception], None]) -> None:  # fmt: skip
        """Answer clients until cancelled. `instances` are those of a service, or all, of whatever health; `bug` is
        told of failures that should not be."""
        async with trio.open_nursery() as nursery:
            while True:
                await trio.lowlevel.wait_readable(self._listener)
                sock = await self._accept()
                if sock is None:
                    continue
                connection = Connection(sock, methods, watches, self._queues, instances, bug)
                if fault := self._too_many(connection.caller.pid, methods.dropped):
                    connection.push(encode_error(None, "busy", fault))
                    sock.close()
                    continue
                self._connections[connection] = None
                nursery.start_soon(self._serve_one, connection, bug)

    def _too_many(self, process: int, dropped: Counter[str]) -> str:
        """Why one more connection of this process is not taken, and counted; empty where it is."""
        if len(self._connections) >= MAX_CLIENTS:
            dropped["client_too_many"] += 1
            return f"there are {MAX_CLIENTS} clients: close some"
        same = sum(connection.caller.pid == process for connection in self._connections)
        if same >= MAX_CLIENTS_A_PROCESS:
            dropped["client_process_too_many"] += 1
            return f"process {process} has {same} connections: close some"
        return ""

    async def _accept(self) -> socket.socket | None:
        try:
            sock, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                await trio.sleep(0.1)  # it stays readable: do not spin until somebody closes a descriptor
            return None
        sock.setblocking(False)
        return sock

    async def _serve_one(self, connection: "Connection", bug: Callable[[str, Exception], None]) -> None:
        try:
            await connection.run()
        except Exception as error:
            bug("connection", error)
        finally:
            del self._connections[connection]

    async def answered(self) -> None:
        """Return when no client waits for the answer to what it asked before."""
        for connection in list(self._connections):
            await connection.wait_answered()

    def close(self) -> None:
        """Stop listening; remove the file, if it is still ours."""
        self._listener.close()
        with suppress(OSError):
            if _identity_of(self.path) == self._file:
                self.path.unlink()
        _unlock(self._lock_fd, self.path)


class Queues:
    """What waits for all clients together."""

    def __init__(self) -> None:
        self.bytes = 0


class Connection:
    def __init__(self, sock: socket.socket, methods: Methods, watches: Watches, queues: Queues,
                 instances: Callable[[str | None], tuple[Instance, ...]],
                 bug: Callable[[str, Exception], None]) -> None:  # fmt: skip
        self._sock = sock
        self.caller = _caller_of(sock)
        self._methods = methods
        self._handlers: dict[str, Handler] = {
            **methods.handlers,
            "register": lambda params: methods.register(params, self.caller),
            "watch": self._watch,
            "unwatch": self._unwatch,
        }
        self._watches = watches
        self._queues = queues
        self._instances = instances
        self._bug = bug
        self._watching: dict[int, Watch] = {}
        self._next_watch = 1
        self._after_reply = b""
        self._queue: deque[bytearray | memoryview] = deque()
        """Chunks of whole messages, but for the first, which is being written."""
        self._waiting_bytes = 0  # in the queue, behind its first message
        self._ending = False
        self._turn_bytes = 0
        self._answered = _set_event()
        self._flushed = _set_event()
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        try:
            async with trio.open_nursery() as self._nursery:
                await self._read_untrusted()
                self._drop_watches()
                self._end()
                await self._flushed.wait()
                self._nursery.cancel_scope.cancel()
        finally:
            self._drop_watches()
            self._methods.gone(self.caller)
            self._queue.clear()
            self._note_waiting(-self._waiting_bytes)
            self._flushed.set()
            self._sock.close()

    async def wait_answered(self) -> None:
        """Return when no request is being worked on and all that was replied is written."""
        await self._answered.wait()
        await self._flushed.wait()

    # -- reading -------------------------------------------------------------------------------------------------------

    async def _read_untrusted(self) -> None:
        """Until the client closes its side, breaks the protocol, or is cut off."""
        decoder = Decoder()
        while not self._ending:
            await trio.lowlevel.wait_readable(self._sock)
            try:
                data = self._sock.recv(READ_BYTES)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                return
            if not data:
                return
            try:
                for message in decoder.feed_untrusted(data):
                    await self._answer(message)
                    if self._ending:
                        return
            except GossipregError as error:
                self._methods.dropped["client_broke_protocol"] += 1
                self.push(encode_error(None, error.code, str(error)))
                return

    async def _answer(self, message: tuple[Any, ...]) -> None:
        if message[0] != "request":
            raise Refused(f"a {message[0]} is not for the sidecar: send requests")
        _, id, method, params = message
        reply = self._call(id, method, params)
        if not isinstance(reply, bytes):
            self._answered = trio.Event()
            reply = await reply
        self.push(reply)
        self._answered.set()
        if self._after_reply:
            self.push(self._after_reply)
            self._after_reply = b""
        self._turn_bytes += REQUEST_COST_BYTES + len(reply)
        if self._queue and self._waiting_bytes + len(self._queue[0]) > LET_READ_BYTES:
            await self._flushed.wait()
        elif self._turn_bytes >= TURN_BYTES:
            self._turn_bytes = 0
            await trio.lowlevel.checkpoint()

    def _call(self, id: int, method: str, params: dict[str, Any]) -> bytes | Awaitable[bytes]:
        """The reply to a request, or what will give it. Never raises."""
        try:
            handler = self._handlers.get(method)
            if handler is None:
                raise UnknownMethod(f"no method {method[:80]!r}: there are {', '.join(sorted(self._handlers))}")
            result = handler(params)
            return _reply(id, result) if isinstance(result, bytes) else self._reply_later(id, method, result)
        except Exception as error:
            return self._error_reply(id, method, error)

    async def _reply_later(self, id: int, method: str, result: Awaitable[bytes]) -> bytes:
        try:
            return _reply(id, await result)
        except Exception as error:
            return self._error_reply(id, method, error)

    def _error_reply(self, id: int, method: str, error: Exception) -> bytes:
        if isinstance(error, GossipregError):
            return encode_error(id, error.code, str(error))
        self._bug(f"method {method}", error)
        return encode_error(id, Refused.code, "this failed inside the sidecar, and its log says how: please report it")

    # -- watches -------------------------------------------------------------------------------------------------------

    def _watch(self, params: dict[str, Any]) -> bytes:
        given = take_untrusted("watch", params, {"name": check.service_name})
        if len(self._watching) >= MAX_WATCHES:
            raise Busy(f"this connection has {MAX_WATCHES} watches: end one with unwatch, or open another connection")
        number, self._next_watch = self._next_watch, self._next_watch + 1
        watch = self._watching[number] = Watch(number, given.get("name"), self.push)
        current = packb(current_shape(self._instances(watch.name)))
        # Nothing can change before both are pushed: changes come between two requests only.
        self._after_reply = notification(number, current)
        self._watches.add(watch)
        return _pack({"watch": number})

    def _unwatch(self, params: dict[str, Any]) -> bytes:
        number = take_untrusted("unwatch", params, {"watch": check.Whole(1, 1 << 62)}, "watch")["watch"]
        watch = self._watching.pop(number, None)
        if watch is None:
            raise NotFound(f"this connection has no watch {number}")
        self._watches.remove(watch)
        return _pack({})

    def _drop_watches(self) -> None:
        for watch in self._watching.values():
            self._watches.remove(watch)
        self._watching.clear()

    # -- writing -------------------------------------------------------------------------------------------------------

    def push(self, data: bytes) -> None:
        """Write now what the kernel takes and queue the rest. Never blocks, never raises."""
        if self._ending:
            return
        rest = memoryview(data)
        if not self._queue:
            rest = rest[self._write(rest) :]
            if not rest:
                return
            self._flushed = trio.Event()
            if self._nursery is not None:
                self._nursery.start_soon(self._flush)
        elif self._too_slow(len(rest)):
            self._cut_off()
            return
        else:
            self._note_waiting(len(rest))
        last = self._queue[-1] if len(self._queue) > 1 else None
        if isinstance(last, bytearray) and len(last) < CHUNK_BYTES:
            last += rest
        else:
            self._queue.append(bytearray(rest))

    def _too_slow(self, more_bytes: int) -> bool:
        waiting = self._waiting_bytes + more_bytes
        crowded = self._queues.bytes + more_bytes > MAX_QUEUES_BYTES
        return waiting > MAX_QUEUE_BYTES or (crowded and waiting > SPARED_BYTES)

    def _note_waiting(self, change_bytes: int) -> None:
        self._waiting_bytes += change_bytes
        self._queues.bytes += change_bytes

    def _cut_off(self) -> None:
        """Keep the message being written, so that the client can still make out the last one, which says why."""
        self._methods.dropped["client_too_slow"] += 1
        while len(self._queue) > 1:
            self._queue.pop()
        message = f"this connection read too slowly, {self._waiting_bytes} bytes were waiting: open another"
        self._note_waiting(-self._waiting_bytes)
        self._queue.append(bytearray(encode_error(None, TooLarge.code, message)))
        self._end()

    def _end(self) -> None:
        """Take nothing more to write; allow a bounded time for what is queued."""
        self._ending = True
        if self._nursery is not None:
            self._nursery.cancel_scope.deadline = trio.current_time() + LAST_WORDS_S

    async def _flush(self) -> None:
        while self._queue:
            await trio.lowlevel.wait_writable(self._sock)
            for _ in range(FLUSH_CHUNKS):
                first = memoryview(self._queue[0])
                self._queue[0] = first[self._write(first) :]
                if self._queue[0]:
                    break
                self._queue.popleft()
                if not self._queue:
                    break
                self._note_waiting(-len(self._queue[0]))
        self._flushed.set()
        if self._ending and self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def _write(self, data: memoryview) -> int:
        """How much of it needs no more writing: all of it where the client is gone."""
        try:
            return self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._ending = True
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()
            return len(data)


def bind_local_socket(path: Path, *, group: int | None) -> LocalSocket:
    """Listen at `path`, mode 0600, or 0660 with that group. A dead sidecar's socket is taken over; raises CannotStart
    where a live one answers there, or the file is none of ours.

    A lock beside the socket is held for life: two that start at once would else both find that nobody answers, and the
    second would take away the first one's socket between its bind and its listen.
    """
    lock_fd = _lock(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        _bind(listener, path)
        if group is not None:
            os.chown(path, -1, group)
            path.chmod(0o660)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        return LocalSocket(listener, path, lock_fd)
    except BaseException as error:
        listener.close()
        _unlock(lock_fd, path)
        if isinstance(error, OSError):
            raise _cannot_listen(path, error) from None
        raise


def _cannot_listen(path: Path, error: OSError) -> CannotStart:
    return CannotStart(f"cannot listen on {path}: {error.strerror or error}; choose --socket PATH")


def _lock_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _lock(path: Path) -> int:
    lock_path = _lock_path(path)
    while True:
        try:
            fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _cannot_listen(path, error) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise CannotStart(_LIVE.format(path=path)) from None
        with suppress(OSError):
            if os.fstat(fd).st_ino == lock_path.stat().st_ino:
                return fd
        os.close(fd)  # its last holder took the file away while we waited for it


def _unlock(fd: int, path: Path) -> None:
    with suppress(OSError):
        _lock_path(path).unlink()
    os.close(fd)


def _bind(listener: socket.socket, path: Path) -> None:
    before = os.umask(0o177)  # from the first moment nobody else can connect
    try:
        try:
            listener.bind(os.fspath(path))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            _remove_dead(path)
            listener.bind(os.fspath(path))
    finally:
        os.umask(before)


def _remove_dead(path: Path) -> None:
    """Unlink a socket at which nobody listens."""
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise CannotStart(f"{path} is there and is no socket: take it away, or choose --socket PATH")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its backlog is full: somebody is there
    raise CannotStart(_LIVE.format(path=path))


def _caller_of(sock: socket.socket) -> Caller:
    """The process at the other end and its user, as the kernel knows them; nobody's where it does not say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return Caller(0, -1)
    pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Caller(pid, uid)


def _identity_of(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


def _set_event() -> trio.Event:
    event = trio.Event()
    event.set()
    return event


def _reply(id: int, packed_result: bytes) -> bytes:
    """The same bytes as `rpc.encode_reply`, from a result that is packed already."""
    return b"".join((b"\x94\x01", packb(id), b"\xc0", packed_result))


def _pack(result: Any) -> bytes:
    data: bytes = packb(result)
    return data
