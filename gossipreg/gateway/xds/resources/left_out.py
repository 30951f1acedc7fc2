"""What clients do not get although the registry or the policy has it: said in the log, each once.

An instance without a port is left out, and one whose address is a host name, since no xDS client accepts one. A service
whose name means something else to Envoy is no cluster there. A setting of the policy that a kind of client ignores is
not sent to it.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

from gossipreg.gateway.xds.model import TAKEN_NAMES, ClientKind
from gossipreg.gateway.xds.resources.policy import XdsPolicy, ignored_by
from gossipreg.model import CatalogInstance, fold_name

SAID_MAX = 4096
"""Instances and settings that are not said again. If there are more, they may be."""
CLIENTS = {
    ClientKind.ENVOY: "Envoy",
    ClientKind.GRPC_CORE: "gRPC clients on C-core (Python, C++, Ruby, PHP)",
    ClientKind.GRPC_JS: "clients of grpc-js",
    ClientKind.GRPC: "other gRPC clients (Go, Java)",
}


T = TypeVar("T")


class LeftOut:
    def __init__(self, counts: Counter[str], note: Callable[[str], None]) -> None:
        self._counts = counts
        self._note = note
        self._services: dict[str, None] = {}
        self._instances: dict[tuple[bytes, str, str, int], None] = {}
        self._taken: dict[str, None] = {}
        self._ignored: dict[tuple[str, ClientKind], None] = {}
        self._tls_required: dict[str, None] = {}

    def say(self, instances: Iterable[CatalogInstance]) -> None:
        """Say that these are left out for their address or port, once for each service, and count each once."""
        for one in instances:
            if _first(self._instances, (one.node, one.service.id, one.service.address, one.service.port)):
                self._counts["xds.left_out"] += 1
                if _first(self._services, fold_name(one.service.name)):
                    self._note(f"xds: {one.service.name} on {one.node_name} is left out, since {_unusable(one)}")

    def say_taken(self, name: str) -> None:
        """Say that Envoy does not get the service of this name, once."""
        if _first(self._taken, name):
            self._note(
                f"xds: Envoy does not get the service {name!r}, since to it this name means {TAKEN_NAMES[name]}: "
                "register the service under another name"
            )

    def say_ignored(self, policy: XdsPolicy, service: str, kind: ClientKind) -> None:
        """Say which settings of this service are not for this kind of client, once for each table and kind."""
        section = policy.section(service)
        if _first(self._ignored, (section, kind)) and (ignored := ignored_by(policy.of(service), kind)):
            self._note(f"xds: {CLIENTS[kind]} do not use {', '.join(ignored)} of {section} in the policy")

    def say_tls_required(self, section: str) -> None:
        """Say that clients without mutual TLS get no endpoints by this table of the policy, once for each."""
        if _first(self._tls_required, section):
            self._note(f'xds: clients without mutual TLS get no endpoints by {section} in the policy: tls = "require"')

    def policy_changed(self) -> None:
        self._ignored.clear()
        self._tls_required.clear()


def _unusable(instance: CatalogInstance) -> str:
    if instance.service.port:
        return f"its address {instance.service.address!r} is not an IP address: register the service with one"
    return "it has no port: register the service with one"


def _first(said: dict[T, None], what: T) -> bool:
    """Whether this is said for the first time."""
    if what in said:
        return False
    if len(said) >= SAID_MAX:
        said.clear()
    said[what] = None
    return True
