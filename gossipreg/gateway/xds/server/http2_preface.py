"""The first bytes of a connection: HTTP/2 begins with 24 fixed ones (RFC 9113, section 3.4). Others speak HTTP/1 or
TLS, and are told what this port wants, as far as they can be told.
"""

import re

from gossipreg.gateway.xds.server.http2_frames import PREFACE, PROTOCOL_ERROR, Http2Fault

_HTTP_1 = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|TRACE) ")
_HTTP_1_LONGEST = len("OPTIONS ")
_TLS = b"\x16\x03"
_TEXT = "this is xDS, for gRPC clients and Envoy: it takes HTTP/2 without TLS, not HTTP/1 (gossipreg docs mesh)\n"
_ANSWER = (
    "HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain\r\n"
    f"Content-Length: {len(_TEXT)}\r\nConnection: close\r\n\r\n{_TEXT}"
).encode()
_TLS_ALERT = b"\x15\x03\x01\x00\x02\x02\x46"
"""A fatal alert, protocol_version: the client says at once that TLS failed, instead of waiting."""


def whole_preface_untrusted(data: bytes) -> bool:
    """Whether the connection's first bytes are the whole preface; False: more is to come. Raises Http2Fault."""
    if data.startswith(PREFACE):
        return True
    if PREFACE.startswith(data):
        return False
    if data.startswith(_TLS):
        raise Http2Fault("xds_tls", PROTOCOL_ERROR, "TLS instead of HTTP/2 in clear", _TLS_ALERT)
    if len(data) < _HTTP_1_LONGEST and data.isalpha() and data.isupper():
        return False  # the beginning of a method, perhaps
    answer = _ANSWER if _HTTP_1.match(data) else b""
    raise Http2Fault("xds_not_http2", PROTOCOL_ERROR, "the first bytes are not those of HTTP/2", answer)
