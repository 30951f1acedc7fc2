"""Requests to a collector, one after the other over one connection. They block, so a thread of their own makes them.

Owns: the connection, and what an answer means. Never knows: whether something is sent again. Follows no redirect, and
uses no proxy. The text of a failure names no header.

Source: https://opentelemetry.io/docs/specs/otlp/, "OTLP/HTTP Response": 429, 502, 503 and 504 may be sent again.
"""

import gzip
import http.client
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gossipreg.errors import CannotStart
from gossipreg.otlp.otlp_settings import OtlpSettings

if TYPE_CHECKING:
    import ssl

POST_S = 10.0
"""How long one read or write of the connection may take."""
ANSWER_MAX_BYTES = 64 * 1024
ANSWER_S = 5.0
"""How long the rest of an answer is read, once its status is known: one that comes byte by byte holds up no spans."""
AGAIN = (429, 502, 503, 504)
MAX_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of a request."""

    error: str = ""
    """Empty: the collector has taken it."""
    again: bool = False
    """Whether the same may be sent once more."""
    after_s: float = 0.0
    """When, as the collector says; 0: it says nothing."""
    rejected: int = 0
    """Spans that it did not take, of those in a request that it took."""


class Collector:
    def __init__(self, settings: OtlpSettings, user_agent: str) -> None:
        """Raises CannotStart for a file of TLS that cannot be used."""
        self._settings = settings
        self._headers = {
            "Content-Type": "application/x-protobuf",
            "User-Agent": user_agent,
            **({"Content-Encoding": "gzip"} if settings.gzip else {}),
            **dict(settings.headers),
        }
        self._tls = _tls_context(settings) if settings.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes) -> Posted:
        """Send this, once; where the collector closed a kept connection, on a new one."""
        sent = gzip.compress(body, mtime=0) if self._settings.gzip else body
        kept = self._connection is not None
        try:
            return self._ask(sent)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
            if not kept:
                return self._failed(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return self._failed(error)
        self.close()
        try:
            return self._ask(sent)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return self._failed(error)

    def _failed(self, error: Exception) -> Posted:
        self.close()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        return Posted(f"{self._settings.shown}: {reason[:200]}", again=True)

    def _ask(self, body: bytes) -> Posted:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request("POST", self._settings.path, body, self._headers)
        with self._connection.getresponse() as answer:
            said = _read_untrusted(answer)
            if not answer.isclosed():
                self.close()
        if 200 <= answer.status < 300:
            if said and answer.headers.get_content_type() == "text/html":
                return Posted(f"{self._settings.shown} answers with a page for people: that is no OTLP collector")
            return Posted(rejected=rejected_untrusted(said))
        after_s = _seconds_untrusted(answer.headers.get("Retry-After", ""))
        return Posted(f"{self._settings.shown} answers {answer.status}", answer.status in AGAIN, after_s)

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._settings.host, self._settings.port
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=POST_S)
        return http.client.HTTPSConnection(host, port, timeout=POST_S, context=self._tls)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _read_untrusted(answer: http.client.HTTPResponse) -> bytes:
    """What comes of its body in ANSWER_S, up to ANSWER_MAX_BYTES."""
    said, until = b"", time.monotonic() + ANSWER_S
    while len(said) < ANSWER_MAX_BYTES and time.monotonic() < until:
        piece = answer.read1(ANSWER_MAX_BYTES - len(said))
        if not piece:
            break
        said += piece
    return said


def _tls_context(settings: OtlpSettings) -> "ssl.SSLContext":
    import ssl  # not for a collector in clear text

    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.certificate_file is not None:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
    except OSError as error:
        files = [settings.ca_file, settings.certificate_file, settings.key_file]
        named = ", ".join(name for name in files if name)
        why = str(error) if isinstance(error, ssl.SSLError) else error.strerror or str(error)
        raise CannotStart(f"--otlp: a file of TLS cannot be used ({named}): {why}") from None
    return context


def _seconds_untrusted(text: str) -> float:
    """Of `Retry-After`, whose other form, a date, is not worth its parser here."""
    return min(float(text), MAX_AFTER_S) if text.strip().isdecimal() and text.isascii() else 0.0


def rejected_untrusted(answer: bytes) -> int:
    """`partial_success.rejected_spans` of an ExportTraceServiceResponse: field 1 of the message in its field 1. 0 where
    the answer says nothing, or is no such message."""
    inner = _field_untrusted(answer, 1)
    found = _field_untrusted(inner, 1) if isinstance(inner, bytes) else 0
    return found if isinstance(found, int) and 0 < found < 1 << 31 else 0


def _field_untrusted(message: bytes, wanted: int) -> bytes | int:
    """The first field of this number that is a varint or bytes; 0 if there is none."""
    at = 0
    while at < len(message):
        key, at = _varint_untrusted(message, at)
        value, at = _varint_untrusted(message, at)
        if key & 7 == 2:
            data, at = message[at : at + value], at + value
            if key >> 3 == wanted:
                return data
        elif key & 7 != 0:
            return 0
        elif key >> 3 == wanted:
            return value
    return 0


def _varint_untrusted(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
        if byte < 0x80:
            break
    return value, at
