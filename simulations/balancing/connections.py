"""The connections of one client to the servers: one for each request in flight, kept open for a while afterwards.

A request that finds none has to open one, and waits for it (`connect_ms` of the label). So what a client learns first
of a server is slower than the server is, and so is what it learns after a pause. A policy that believes such a figure
starves the server (that happened with real servers, while the laboratory had no connections).
"""

KEPT_S = 5.0
"""Servers close a connection that is idle for so long (uvicorn and Node do)."""


class Connections:
    __slots__ = ("_idle_since",)

    def __init__(self) -> None:
        self._idle_since: dict[int, list[float]] = {}
        """By server, since when each open connection is idle; the latest is last, and is used first."""

    def take(self, server: int, now: float) -> bool:
        """Take an idle connection. False: there is none, and the request has to open one."""
        idle_since = self._idle_since.get(server)
        if not idle_since:
            return False
        if now - idle_since.pop() < KEPT_S:
            return True
        idle_since.clear()
        return False

    def give_back(self, server: int, now: float) -> None:
        """Keep the connection of a request that has ended well. Any other end closes it."""
        self._idle_since.setdefault(server, []).append(now)
