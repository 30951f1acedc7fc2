"""What a port of HTTP answers to a client that speaks another protocol: at once, with the name of what it speaks.

A request begins with a request line (RFC 9112, section 3). Bytes that cannot become one are refused as soon as that
shows: most often at the first one. Without this, a TLS client and a server that waits for the end of a head would wait
for each other until one gives up. Never knows what follows the first line.
"""

import re

from gossipreg.net.http_message import HttpError

_REQUEST_LINE = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+ [\x21-\x7e]+ HTTP/[0-9]\.[0-9]\r?\n")
"""As h11 reads it."""
_BEGINNING = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+(?: [\x21-\x7e]*(?: [HTP/0-9.]{0,8}\r?)?)?")
"""What a request line may be as long as its end has not come."""
LOOKED_AT_BYTES = 256
"""Of a line whose end has not come: it is looked at again with each piece that comes."""
_OTHERS = {
    b"PROXY ": ("the PROXY protocol", "the proxy before it must not send that (haproxy: no send-proxy)"),
    b"\0\r\nQUIT\n": ("the PROXY protocol", "the proxy before it must not send that (haproxy: no send-proxy-v2)"),
    b"SSH-": ("SSH", "look at the port number"),
    b"\x05": ("SOCKS", "it is the sidecar itself, and no proxy"),
    b"\x04": ("SOCKS", "it is the sidecar itself, and no proxy"),
    b"\x94": ("MessagePack-RPC", "that is for the local socket, which `gossipreg info` shows"),
    b"\xa0": ("gossip", "look at --seed and --bind for the gossip port"),
    b"\xa1": ("gossip", "look at --seed and --bind for the gossip port"),
}
"""The first bytes of a protocol, its name, and what its user should do. The second version of the PROXY protocol
begins with two empty lines, which are passed over before any request."""


class OtherProtocol(HttpError):
    """A connection that does not begin as HTTP. `reason` is its name in `drops.py`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(400, "bad_request", message, close=True)
        self.reason = reason


def refuse_other_protocols_untrusted(data: bytes) -> None:
    """`data` is all that has come of a request, without empty lines before it. Raises OtherProtocol if no request can
    begin so."""
    fits = _REQUEST_LINE.match(data) if b"\n" in data else _BEGINNING.fullmatch(data, 0, LOOKED_AT_BYTES)
    if data and not fits:
        raise _named(data)


def _named(data: bytes) -> OtherProtocol:
    if data[0] == 0x16:  # the record of a ClientHello (RFC 8446, section 5.1)
        return OtherProtocol("http_tls", "this port speaks HTTP, not TLS: write http:// instead of https://")
    for first, (name, advice) in _OTHERS.items():
        if data.startswith(first):
            return OtherProtocol("http_not_http", f"this port speaks HTTP, not {name}: {advice}")
    message = "this port speaks HTTP, and these bytes are none: a request begins with METHOD TARGET HTTP/1.1"
    return OtherProtocol("http_not_http", message)
