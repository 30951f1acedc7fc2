"""Serf as Debian ships it, with its LAN profile, not sealed.

The log of an agent is its view: a line is written a second before Serf, which gathers events, sends them to clients. An
update is a change of a tag; a leave is asked over its RPC.
"""

import re
import socket
import time
from typing import Any

from msgpack import Unpacker, packb

from scripts.benchmarks.cluster import Failed, Member
from scripts.benchmarks.peers import PeerCluster

RPC_PORTS = 1000
"""The RPC of an agent listens on a port that is this much higher."""
ANSWER_S = 10.0


class SerfCluster(PeerCluster):
    kind = "serf"
    look_s = 0.001
    NEWS = re.compile(rb"serf: EventMember(Join|Update|Leave|Failed|Reap)(?: \(forced\))?: (\S+)")

    def arguments(self, name: str, port: int, seed: int | None) -> list[str]:
        rpc = f"-rpc-addr=127.0.0.1:{port + RPC_PORTS}"
        join = [] if seed is None else [f"-join=127.0.0.1:{seed}"]
        return ["agent", f"-node={name}", f"-bind=127.0.0.1:{port}", rpc, "-profile=lan", "-log-level=info", *join]

    def line(self, member: Member, line: bytes, at: float) -> None:
        if (found := self.NEWS.search(line)) is not None:
            kind, subject = found[1], found[2].decode()
            mark = "changed" if kind == b"Update" else "" if kind == b"Join" else None
            self.views.tell(member.name, subject, mark, at)

    def look_for_ready(self, member: Member) -> bool:
        """Its log does not say when the RPC answers."""
        if member.ready_at is None:
            try:
                SerfRpc(self._rpc_port(member)).close()
            except OSError:
                return False
            member.ready_at = time.perf_counter()
        return True

    def update(self, member: Member, number: int) -> str:
        for view in self.views.of.values():  # the line of an update has no mark: so the mark is reset before
            view[member.name] = ""
        self._ask(member, "tags", {"Tags": {"mark": str(number)}})
        return "changed"

    def leave(self, member: Member) -> None:
        self._ask(member, "leave", None)

    def _ask(self, member: Member, command: str, body: dict[str, Any] | None) -> None:
        """Send a command without waiting: the views of the others show what came of it."""
        connection = SerfRpc(self._rpc_port(member))
        connection.send(command, body)
        member.streams.append(connection.socket)
        self.listener.listen(connection.socket, lambda _data, _at: None)

    def _rpc_port(self, member: Member) -> int:
        return self._ports[member.name] + RPC_PORTS


class SerfRpc:
    """Serf's RPC: a header and a body in MessagePack, over TCP. See its documentation, "RPC Protocol"."""

    def __init__(self, port: int) -> None:
        """Raises OSError where nobody answers."""
        self.socket = socket.create_connection(("127.0.0.1", port), ANSWER_S)
        self._last = 0
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.send("handshake", {"Version": 1})
            self._expect_no_error()
        except BaseException:
            self.close()
            raise

    def send(self, command: str, body: dict[str, Any] | None) -> None:
        head = packb({"Command": command, "Seq": self._last}, use_bin_type=False)
        self._last += 1
        self.socket.sendall(head + (b"" if body is None else packb(body, use_bin_type=False)))

    def close(self) -> None:
        self.socket.close()

    def _expect_no_error(self) -> None:
        unpacker = Unpacker()
        while data := self.socket.recv(1 << 16):
            unpacker.feed(data)
            for answer in unpacker:
                if answer["Error"]:
                    raise Failed(f"serf answered: {answer['Error']}")
                return
        raise ConnectionError("serf closed the connection")
