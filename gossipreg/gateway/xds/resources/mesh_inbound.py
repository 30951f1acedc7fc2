"""What an instance says of mutual TLS in its meta, and what its Envoy listens on. Pure.

xds-tls-port = PORT     the Envoy of the instance takes mutual TLS here, at the address of the instance
xds-tls-app = PORT      the service itself is at 127.0.0.1 and this port (its registered address and port)
xds-tls-listen = PORT   the Envoy takes the calls of the service itself at this port ([listen] of the policy)
"""

from typing import NamedTuple

from gossipreg.gateway.xds.model import INBOUND
from gossipreg.gateway.xds.resources.endpoints import Endpoint, packed_literal
from gossipreg.model import RegisteredService

TLS_PORT, APP_PORT, LISTEN_PORT = "xds-tls-port", "xds-tls-app", "xds-tls-listen"
APP_HOST = "127.0.0.1"


class Inbound(NamedTuple):
    """A port at which an Envoy takes mutual TLS, and the instance behind it."""

    host: str
    port: int
    app_host: str
    app_port: int

    @property
    def name(self) -> str:
        """Of its listener and its cluster. By the address, which only one listener can have."""
        return f"{INBOUND}{self.host} {self.port}"


def meta_port(service: RegisteredService, key: str) -> int | None:
    """The port under this key of the meta; None: there is no such key. Raises ValueError if it is no port."""
    text = next((value for name, value in service.meta if name == key), None)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) < 65_536):
        raise ValueError(f"{key} = {text[:40]!r} is no port: write a number from 1 to 65535")
    return int(text)


def inbound_of(service: RegisteredService) -> Inbound | None:
    """None: it takes no mutual TLS. Raises ValueError with what is wrong with its meta."""
    port, app_port = meta_port(service, TLS_PORT), meta_port(service, APP_PORT)
    if port is None:
        return None
    packed = packed_literal(service.address)
    if packed is None:
        raise ValueError(f"its address {service.address!r:.80} is not an IP address: register it with one")
    host = Endpoint(packed, port, "", 1).host
    if not service.port:
        raise ValueError("it has no port: register it with one")
    app_host = host if app_port is None else APP_HOST
    if (app_host, app_port or service.port) == (host, port):
        raise ValueError(f"{TLS_PORT} = {port} is the port of the service itself: choose another one for its Envoy")
    return Inbound(host, port, app_host, app_port or service.port)
