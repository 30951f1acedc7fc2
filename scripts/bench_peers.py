"""The peers on the same rows: Serf as Debian ships it, and whatever program speaks for memberlist.

Serf runs with its LAN profile and is not sealed. An agent's own log line is its news: it precedes the second for which
Serf gathers events before it tells clients. An update is a change of a tag; a leave is asked over its RPC.

A program for memberlist holds one member and is started as

    PROGRAM --name NAME --bind HOST:PORT [--join HOST:PORT]

with memberlist's DefaultLANConfig. It reads commands from stdin and at once writes what happens to stdout, a line each:

    stdin   update TEXT      make TEXT this member's metadata (UpdateNode)
            leave            leave gracefully (Leave, Shutdown), then end
            end of file      end
    stdout  ready            once it can be joined and reads commands; before its own --join is done
            here NAME TEXT   NotifyJoin or NotifyUpdate: a member, itself too, with its metadata (may be empty)
            gone NAME        NotifyLeave

`scripts/memberlist_member.go` is such a program; its head says how it is built.
"""

import re
import socket
import subprocess
import time
from typing import Any

from msgpack import Unpacker, packb

from scripts.bench_cluster import Cluster, Failed, Member
from scripts.bench_stop import Stop

FIRST_PORT = 17000
RPC_PORTS = 1000
"""An agent's RPC listens on a port so much higher."""
ANSWER_S = 10.0


class PeerCluster(Cluster):
    """Members on fixed ports of 127.0.0.1: one that comes back has the name and the port of the one that went."""

    def __init__(self, stop: Stop, program: str) -> None:
        super().__init__(stop)
        self.program = program
        self._ports: dict[str, int] = {}
        self._unfinished: dict[str, bytes] = {}

    def launch(self, name: str) -> Member:
        port = self._ports.setdefault(name, FIRST_PORT + len(self._ports))
        up = next((self._ports[one.name] for one in self.members.values() if one.ready_at is not None), None)
        self._unfinished[name] = b""
        started_at = time.perf_counter()
        process = subprocess.Popen(
            [self.program, *self.arguments(name, port, up)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        return Member(name, process, started_at)

    def arguments(self, name: str, port: int, seed: int | None) -> list[str]:
        raise NotImplementedError

    def line(self, member: Member, line: bytes, at: float) -> None:
        raise NotImplementedError

    def heard(self, member: Member, data: bytes, at: float) -> None:
        *lines, self._unfinished[member.name] = (self._unfinished[member.name] + data).split(b"\n")
        for line in lines:
            self.line(member, line, at)

    def end(self, member: Member) -> None:
        super().end(member)
        if member.process.stdin is not None:
            member.process.stdin.close()


class SerfCluster(PeerCluster):
    who = "serf"
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
        """Its log does not tell when the RPC answers."""
        if member.ready_at is None:
            try:
                SerfRpc(self._rpc_port(member)).close()
            except OSError:
                return False
            member.ready_at = time.perf_counter()
        return True

    def update(self, member: Member, number: int) -> str:
        for view in self.views.of.values():  # an update's line says who, not what: so the mark is set back before
            view[member.name] = ""
        self._ask(member, "tags", {"Tags": {"mark": str(number)}})
        return "changed"

    def leave(self, member: Member) -> None:
        self._ask(member, "leave", None)

    def _ask(self, member: Member, command: str, body: dict[str, Any] | None) -> None:
        """The agent answers when all is done; whether it did is seen at the others."""
        connection = SerfRpc(self._rpc_port(member))
        connection.send(command, body)
        member.streams.append(connection.socket)
        self.ears.listen(connection.socket, lambda _data, _at: None)

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


class MemberlistCluster(PeerCluster):
    who = "memberlist"

    def arguments(self, name: str, port: int, seed: int | None) -> list[str]:
        join = [] if seed is None else ["--join", f"127.0.0.1:{seed}"]
        return ["--name", name, "--bind", f"127.0.0.1:{port}", *join]

    def line(self, member: Member, line: bytes, at: float) -> None:
        match line.decode(errors="replace").split(" ", 2):
            case ["ready"]:
                member.ready_at = at
            case ["here", subject, *text]:
                self.views.tell(member.name, subject, "".join(text), at)
            case ["gone", subject]:
                self.views.tell(member.name, subject, None, at)
            case _:
                raise Failed(f"{self.program} wrote {line[:80]!r}: see the head of scripts/bench_peers.py")

    def update(self, member: Member, number: int) -> str:
        self._tell(member, f"update {number}")
        return str(number)

    def leave(self, member: Member) -> None:
        self._tell(member, "leave")

    def _tell(self, member: Member, line: str) -> None:
        assert member.process.stdin is not None
        member.process.stdin.write(line.encode() + b"\n")
