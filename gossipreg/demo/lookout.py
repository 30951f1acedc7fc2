"""What the sidecars know, asked at their local sockets as a program beside each of them would.

Owns: a client for each sidecar. It measures when something is known where, to within PAUSE_S and the time of an answer.
"""

from collections.abc import Callable, Iterable
from typing import Any

import trio

from gossipreg.client import Client
from gossipreg.demo.hosts import DemoHost
from gossipreg.errors import GossipregError, Unreachable

PAUSE_S = 0.04
ANSWER_S = 2.0
"""A sidecar answers within milliseconds; one that is just being killed does not."""

Holds = Callable[[Client], bool]
"""A question to one sidecar. If it raises a GossipregError, the sidecar does not know yet."""


def answers(client: Client) -> bool:
    """The sidecar answers at all."""
    return bool(client.call("info"))


def sees_alive(names: Iterable[str]) -> Holds:
    """The sidecar sees these members alive, and is synced."""
    wanted = {*names}

    def holds(client: Client) -> bool:
        alive = {member["name"] for member in client.call("members") if member["state"] == "alive"}
        return wanted <= alive and bool(client.call("info")["synced"])

    return holds


def sees_gone(name: str) -> Holds:
    """No member of this name is alive or suspected."""
    return lambda client: (
        not any(member["name"] == name and member["state"] in ("alive", "suspect") for member in client.call("members"))
    )


def answers_with(service: str, instances: Iterable[str]) -> Holds:
    """A lookup of the service answers with these instances, by their ids, among others."""
    wanted = {*instances}
    return lambda client: wanted <= {one["id"] for one in client.call("lookup", name=service)}


def answers_without(service: str, instance: str) -> Holds:
    """A lookup of the service does not answer with this instance."""
    return lambda client: instance not in {one["id"] for one in client.call("lookup", name=service)}


def knows_itself_alone(client: Client) -> bool:
    """The sidecar knows that it hears nobody."""
    return bool(client.call("info")["alone"])


class Lookout:
    def __init__(self, hosts: Iterable[DemoHost]) -> None:
        self._hosts = tuple(hosts)
        self._clients = {host.name: Client(str(host.socket), timeout_s=ANSWER_S) for host in self._hosts}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def observers(self, besides: str = "") -> list[str]:
        """The hosts whose sidecars answer now, `besides` left out."""
        return [host.name for host in self._hosts if host.answers and host.name != besides]

    async def ask(self, host: str, method: str, **params: object) -> Any:
        """Ask the sidecar of this host. Raises GossipregError."""
        client = self._clients[host]
        return await trio.to_thread.run_sync(lambda: client.call(method, **params), abandon_on_cancel=True)

    async def ask_any(self, method: str, **params: object) -> Any:
        """Ask the first sidecar that answers. Raises GossipregError."""
        failure: GossipregError = Unreachable("no sidecar runs, or all stand still: `status` shows them")
        for host in self.observers():
            try:
                return await self.ask(host, method, **params)
            except GossipregError as error:
                failure = error
        raise failure

    async def holds(self, host: str, question: Holds) -> bool:
        def asked() -> bool:
            try:
                return question(self._clients[host])
            except GossipregError:
                return False

        return await trio.to_thread.run_sync(asked, abandon_on_cancel=True)

    async def wait(self, observers: Iterable[str], question: Holds, bound_s: float, since: float) -> dict[str, float]:
        """Wait until this holds at all these sidecars, at most `bound_s` seconds. Returns when it held first at each,
        in seconds after `since` (trio's clock); those at which it did not hold are missing."""
        found: dict[str, float] = {}

        async def watch(host: str) -> None:
            while not await self.holds(host, question):
                await trio.sleep(PAUSE_S)
            found[host] = trio.current_time() - since

        with trio.move_on_after(bound_s):
            async with trio.open_nursery() as nursery:
                for host in observers:
                    nursery.start_soon(watch, host)
        return found
