"""The cluster of sealed sidecars. A watch at each is its view."""

import socket
from typing import Any

from gossipreg.wire import rpc
from scripts.benchmarks.cluster import Cluster, Failed, Member
from scripts.benchmarks.stop import Stop
from scripts.tools.sidecars import Sidecar, Sidecars


class SidecarCluster(Cluster):
    """Sealed sidecars, each with one service that has the member's name for its id; a watch at each is its view."""

    kind = "gossipreg"

    def __init__(self, stop: Stop, command: list[str] | None = None) -> None:
        """`command` takes the place of `gossipreg`."""
        super().__init__(stop)
        self._command = command
        self._sidecars = Sidecars()
        self._by_name: dict[str, Sidecar] = {}
        self._last_id = 0

    def sidecar(self, name: str) -> Sidecar:
        return self._by_name[name]

    def launch(self, name: str) -> Member:
        sidecar = self._sidecars.start(name, "--service", "bench", "--port", "1", "--id", name, "--weight", "0",
                                       command=self._command)  # fmt: skip
        self._by_name[name] = sidecar
        return Member(name, sidecar.process, sidecar.started_at)

    def on_output(self, member: Member, data: bytes, at: float) -> None:
        if self._by_name[member.name].read_ready(data):
            member.ready_at = at
            self._watch(member)

    def trouble(self, member: Member) -> str:
        lines = self._by_name[member.name].log.read_text().splitlines()
        return lines[-1] if lines else super().trouble(member)

    def update(self, member: Member, number: int) -> str:
        self.register(member, "bench", member.name, number)
        return str(number)

    def register(self, member: Member, service: str, id: str, weight: int) -> None:
        """Ask for a registration, without waiting."""
        self._request(member, "register", {"name": service, "port": 1, "id": id, "weight": weight})

    def leave(self, member: Member) -> None:
        self._request(member, "leave", {})

    def clean_up(self) -> None:
        self._sidecars.__exit__()

    def _watch(self, member: Member) -> None:
        stream = socket.socket(socket.AF_UNIX)
        member.streams.append(stream)
        stream.connect(str(self._by_name[member.name].socket))
        decoder = rpc.Decoder(rpc.MAX_REPLY_BYTES)
        self.listener.listen(stream, lambda data, at: self._told(member.name, decoder, data, at))
        self._request(member, "watch", {})

    def _request(self, member: Member, method: str, params: dict[str, Any]) -> None:
        stream = member.streams[1]
        assert isinstance(stream, socket.socket)
        self._last_id += 1
        stream.sendall(rpc.encode_request(self._last_id, method, params))

    def _told(self, observer: str, decoder: rpc.Decoder, data: bytes, at: float) -> None:
        for message in decoder.feed_untrusted(data):
            match message:
                case ("notification", "watch", {"change": change}):
                    gone = change["kind"] == "removed"
                    for one in change.get("instances") or [change["instance"]]:
                        self.views.tell(observer, one["id"], None if gone else str(one["weight"]), at)
                case ("reply", _, (code, text), _):
                    raise Failed(f"{self.kind} {observer} answered {code}: {text}")
