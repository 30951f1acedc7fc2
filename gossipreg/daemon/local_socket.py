"""The local socket: a unix stream socket on which clients call the methods, in MessagePack-RPC.

Owns the bounds on connections: 512 in all, 384 of one user, 128 of one process; the last places are kept for root and
the sidecar's own user. If a new client finds no place, the user with the most connections loses the one that has been
idle for longest. So no user can lock out another, and no number of idle processes a client that has just come. A
connection is not idle while it watches, holds a service, or waits for an answer. If none is idle, the new client gets
an error and is closed.

`net/socket_file.py` has the file, `connection.py` one client's connection, `outgoing.py` the messages to it.
"""

import os
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import trio

from gossipreg.callers import caller_at
from gossipreg.daemon.connection import LocalConnection
from gossipreg.daemon.methods import Methods
from gossipreg.daemon.outgoing import Outgoing, Queues
from gossipreg.daemon.socket_client import SocketClient
from gossipreg.daemon.watches import Watches
from gossipreg.net.accepting import accept_connections
from gossipreg.net.socket_file import SocketFile
from gossipreg.wire.rpc import encode_error

MAX_CLIENTS = 512
"""Each takes some 10 KiB and a descriptor; a process commonly has 1,024 of them."""
MAX_CLIENTS_A_USER = 384
KEPT_CLIENTS = 64
"""Places that only root and the sidecar's own user may take."""
MAX_CLIENTS_A_PROCESS = 128
"""One process that never closes a connection must not lock the others out."""


class LocalSocket:
    def __init__(self, file: SocketFile) -> None:
        """`file` is closed with it."""
        self.path = file.path
        self._file = file
        self._connections: dict[LocalConnection, None] = {}
        self._queues = Queues()

    async def serve(self, methods: Methods, watches: Watches, bug: Callable[[str, Exception], None],
                    crowded: Callable[[str], None] = lambda _: None) -> None:  # fmt: skip
        """Answer clients until cancelled. `bug` receives unexpected exceptions, `crowded` a message about each client
        that got no free place."""
        async with trio.open_nursery() as nursery:
            take = partial(self._admit, nursery, methods, watches, bug, crowded)
            await accept_connections(
                self._file.listener, take, turn=1
            )  # a new connection counts as idle only once it has run

    def _admit(
        self, nursery: trio.Nursery, methods: Methods, watches: Watches, bug: Callable[[str, Exception], None],
        crowded: Callable[[str], None], sock: socket.socket, _host: str,
    ) -> None:  # fmt: skip
        outgoing = Outgoing(sock, self._queues, methods.dropped)
        client = SocketClient(caller_at(sock, "socket"), tell=outgoing.push)
        if fault := self._no_place(client, methods.dropped, crowded):
            with sock, suppress(OSError):
                sock.send(encode_error(None, "busy", fault))
            return
        connection = LocalConnection(sock, client, outgoing, methods, watches, bug)
        self._connections[connection] = None
        nursery.start_soon(self._serve_one, connection, bug)

    def _no_place(self, client: SocketClient, dropped: Counter[str], crowded: Callable[[str], None]) -> str:
        """Return why one more connection of this client is refused, and count it; empty if it is taken."""
        same = sum(connection.client.pid == client.pid for connection in self._connections)
        if same >= MAX_CLIENTS_A_PROCESS:
            dropped["client_process_too_many"] += 1
            return f"process {client.pid} has {same} connections: close some of them"
        users = Counter(connection.client.uid for connection in self._connections)
        kept_for_us = client.uid in (0, os.geteuid())
        if not kept_for_us and users[client.uid] >= MAX_CLIENTS_A_USER:
            to_blame = [client.uid]
        elif users.total() >= MAX_CLIENTS - (0 if kept_for_us else KEPT_CLIENTS):
            to_blame = [
                uid for uid, number in users.most_common() if uid == client.uid or number > users[client.uid] + 1
            ]
        else:
            return ""
        most = ", ".join(f"{number} of user {uid}" for uid, number in users.most_common(3))
        for uid in to_blame:
            if self._make_room(uid):
                dropped["client_idle"] += 1
                crowded(f"{users.total()} clients at the local socket, {most}: those idle for longest are closed")
                return ""
        dropped["client_too_many"] += 1
        crowded(f"{users.total()} clients at the local socket, {most}, and none of them idle: more are refused")
        return f"the sidecar has {users.total()} clients, and none is idle: close some connections"

    @property
    def has_room(self) -> bool:
        """Whether any user's next client gets a place without another losing it."""
        users = Counter(connection.client.uid for connection in self._connections)
        most = max(users.values(), default=0)
        return users.total() < MAX_CLIENTS - KEPT_CLIENTS and most < MAX_CLIENTS_A_USER

    def _make_room(self, uid: int) -> bool:
        """End the connection of this user that has been idle for longest. Returns False if there is none."""
        idle = [one for one in self._connections if one.client.uid == uid and one.idle]
        if not idle:
            return False
        longest = min(idle, key=lambda one: one.asked_at)
        del self._connections[longest]
        longest.make_room()
        return True

    async def _serve_one(self, connection: LocalConnection, bug: Callable[[str, Exception], None]) -> None:
        try:
            await connection.run()
        except Exception as error:
            bug("connection", error)
        finally:
            self._connections.pop(connection, None)

    async def answered(self) -> None:
        """Return when no client waits for the answer to what it asked before."""
        for connection in list(self._connections):
            await connection.wait_answered()

    def close(self) -> None:
        """Stop listening."""
        self._file.close()
