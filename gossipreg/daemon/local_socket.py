"""The local socket: a unix stream socket on which clients call the methods, in MessagePack-RPC or over HTTP.

Owns the listening socket and the connections. `places.py` has the bounds on them and decides which client gets a place,
`net/socket_file.py` has the file, `connection.py` one client's connection, `outgoing.py` the messages to it.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import trio

from gossipreg.callers import caller_at
from gossipreg.daemon.all_clients import AllClients
from gossipreg.daemon.client_calls import LocalApi
from gossipreg.daemon.connection import LocalConnection
from gossipreg.daemon.places import MOST, PlaceLimits, Places
from gossipreg.errors import Busy
from gossipreg.net.accepting import NoRoom, accept_connections, ignore
from gossipreg.net.socket_file import SocketFile
from gossipreg.wire.rpc import encode_error


class LocalSocket:
    def __init__(self, file: SocketFile, limits: PlaceLimits = MOST) -> None:
        """`file` is closed with it."""
        self.path = file.path
        self.places: Places[LocalConnection] = Places(limits)
        self._file = file
        self._all = AllClients()

    async def serve(
        self, api: LocalApi, crowded: Callable[[str], None] = lambda _: None, full: NoRoom = ignore
    ) -> None:  # fmt: skip
        """Answer clients until cancelled. `crowded` receives a message about each client that got no free place, `full`
        hears of those that the system has no room for."""
        async with trio.open_nursery() as nursery:
            take = partial(self._admit, nursery, api, crowded)
            # A new connection counts as idle only once it has run, so each is served before the next is taken.
            await accept_connections(self._file.listener, take, turn=1, full=full)

    def _admit(
        self, nursery: trio.Nursery, api: LocalApi, crowded: Callable[[str], None], sock: socket.socket, _host: str
    ) -> None:
        caller = caller_at(sock, "socket")
        if fault := self.places.fault(caller, api.methods.dropped, crowded):
            with sock, suppress(OSError):
                sock.send(_refusal(sock, fault))
            return
        connection = LocalConnection(sock, caller, api, self.places, self._all)
        self.places.take(connection)
        nursery.start_soon(self._serve_one, connection)

    async def _serve_one(self, connection: LocalConnection) -> None:
        try:
            await connection.run()
        except Exception as error:
            connection.api.bug("connection", error)
        finally:
            self.places.leave(connection)

    async def answered(self) -> None:
        """Return when no client waits for the answer to what it asked before."""
        for connection in self.places:
            await connection.wait_answered()

    def close(self) -> None:
        """Stop listening."""
        self._file.close()


def _refusal(sock: socket.socket, fault: str) -> bytes:
    """The error for a client that gets no place, in the language of its first byte if that has come."""
    with suppress(OSError):
        if sock.recv(1, socket.MSG_PEEK).isalpha():
            import json

            body = json.dumps({"error": {"code": Busy.code, "message": fault}}) + "\n"
            head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
            return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    return encode_error(None, Busy.code, fault)
