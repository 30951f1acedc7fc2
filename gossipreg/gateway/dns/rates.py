"""The bound on answers per client: a stranger that forges a victim's address must not make us flood the victim, and one
client must not take the sidecar's time from the others.

Clients are told apart by address, those of IPv6 by their /64. Nobody outside can forge a loopback address, and all
programs of the machine share one: loopback has a bound of its own, above what any program needs.

UDP and TCP are counted apart. A client that has used up its share of UDP is sent to TCP, where it has another share. A
resolver that had to wait for the next second would count the sidecar as dead, and answer SERVFAIL to all its clients.
"""

import socket

from gossipreg.model import is_loopback_host

ANSWERS_A_SECOND = 1_000
LOOPBACK_ANSWERS_A_SECOND = 20_000
"""About half of what one core can do: the rest is left to gossip and to the other clients."""
LOOPBACK_TCP_ANSWERS_A_SECOND = 5_000
"""A connection for each question costs several times as much as a datagram."""
CLIENTS_MAX = 4_096
"""Clients that are counted apart within a second; all others share one count."""
WINDOW_S = 1.0
OTHERS = "others"


class Rates:
    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._until = 0.0

    def allow(self, host: str, now: float, *, tcp: bool = False) -> bool:
        """Count one more answer to this client; whether it is within its bound. `now` never goes back."""
        counts = self._counts
        if now >= self._until:
            counts.clear()
            self._until = now + WINDOW_S
        loopback = is_loopback_host(host)
        client = _network(host) if ":" in host and not loopback else host
        if tcp:
            client = f"{client} tcp"
        count = counts.get(client, 0) + 1
        if count == 1 and len(counts) >= CLIENTS_MAX:
            client = f"{OTHERS} tcp" if tcp else OTHERS
            count = counts.get(client, 0) + 1
        counts[client] = count
        return count <= share(host, tcp=tcp)

    def again_in_s(self, now: float) -> float:
        """Until the next window begins."""
        return max(0.0, self._until - now)


def share(host: str, *, tcp: bool = False) -> int:
    """The answers per second that this client may have."""
    if not is_loopback_host(host):
        return ANSWERS_A_SECOND
    return LOOPBACK_TCP_ANSWERS_A_SECOND if tcp else LOOPBACK_ANSWERS_A_SECOND


def _network(host: str) -> str:
    return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])[:8].hex()
