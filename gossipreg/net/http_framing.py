"""Bytes to requests, responses to bytes, of one connection. No socket here, and no clock but for the Date header.

Owns where one request ends and the next begins, and the limits of each. h11 reads the requests. Each request
gets a new h11 connection, which is dropped once the request is whole: it takes more memory than the rest of a
connection that waits. Clients send the same requests again and again, so what h11 made of a small request without a
body is kept, and equal bytes are not read again.
Responses are written here: their framing is always a Content-Length.

The limits, and what happens at each:
- a head of 16 KiB: 431, and the connection ends
- a body of 1 MiB, as a request on the local socket may have: 413, and the connection ends
- bytes that are not HTTP/1.1 or 1.0: 400 (or the status that h11 gives) as soon as that shows, and the connection ends
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from http import HTTPStatus

import h11

from gossipreg.callers import Caller
from gossipreg.net.http_message import Head, HttpError, Response
from gossipreg.net.other_protocols import refuse_other_protocols_untrusted

HEAD_MAX_BYTES = 16 * 1024
BODY_MAX_BYTES = 1024 * 1024
_ENDS = (b"\n\r\n", b"\n\n")
"""The ends of a head that h11 accepts."""
KEPT_HEADS = 64
"""Heads that were read last are kept. Each waiting read has a head of its own, because of its index: a larger number
would keep mostly heads that do not come again, at 1 KiB each."""
KEPT_HEAD_BYTES = 1024
"""A larger head is not kept."""
EVENTS_TURN = 256
"""Pieces of a body that are read before other connections have their turn: pieces of one byte each take long."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Reader:
    """The requests in a stream of bytes."""

    __slots__ = ("_body", "_buffer", "_check", "_has_lines", "_head", "_parser", "_taken", "caller", "more")

    def __init__(
        self, caller: Caller, check: Callable[[Head], None], has_lines: Callable[[Head], bool] = lambda _: False
    ) -> None:
        """`check` may refuse a head, with an HttpError: then its body is dropped as it comes. The body of a request of
        which `has_lines` is true is a series of lines, and each counts as a body of its own."""
        self.caller = caller
        self._check = check
        self._has_lines = has_lines
        self._buffer = b""
        self._parser: h11.Connection | None = None
        self._head: Head | None = None
        self._body = bytearray()
        self._taken = 0
        """Bytes of the body so far."""
        self.more = False
        """Whether bytes are left to look at: call `next_untrusted` again."""

    @property
    def held_bytes(self) -> int:
        """The bytes that wait here for the rest of a request."""
        return len(self._buffer) + len(self._body)

    @property
    def target(self) -> bytes:
        """The target of the request, as far as it can be read."""
        if self._head is not None:
            return self._head.target
        words = self._buffer[:200].split(b" ", 2)
        return words[1] if len(words) > 1 else b""

    @property
    def between(self) -> bool:
        """Whether nothing of a next request has arrived."""
        return self._parser is None and not self._buffer

    @property
    def in_body(self) -> bool:
        """Whether a request has begun, and its body has not ended."""
        return self._parser is not None

    def feed(self, data: bytes) -> None:
        if self._parser is None:
            self._buffer += data
        else:
            self._parser.receive_data(data)

    def next_untrusted(self) -> tuple[Head, bytes] | None:
        """The next whole request, its head and its body, or the next line of a body that has lines; None: more bytes
        are needed. Raises HttpError only; the bytes that follow are no request then."""
        self.more = False
        if self._head is not None and (line := self._line(self._head)) is not None:
            return self._head, line
        if self._parser is None:
            size_bytes = self._head_size()
            if not size_bytes:
                return None
            if (head := self._read_before(size_bytes)) is not None:
                return head, b""
            self._begin()
        assert self._parser is not None
        try:
            for _ in range(EVENTS_TURN):
                event = self._parser.next_event()
                match event:
                    case h11.Request():
                        self._take_head(event)
                    case h11.Data():
                        self._take_body(bytes(event.data))
                        if self._head is not None and (line := self._line(self._head)) is not None:
                            return self._head, line
                    case h11.EndOfMessage():
                        return self._whole()
                    case _:  # NEED_DATA
                        return None
        except h11.RemoteProtocolError as error:
            raise self._broken(error) from None
        self.more = True
        return None

    def continue_wanted(self) -> bool:
        """Whether the client waits for 100 Continue before it sends the body; true once a request."""
        parser = self._parser
        if parser is None or not parser.they_are_waiting_for_100_continue:
            return False
        parser.send(h11.InformationalResponse(status_code=100, headers=[]))
        return True

    def _head_size(self) -> int:
        """The bytes of the next head; 0: it is not whole."""
        self._buffer = self._buffer.lstrip(b"\r\n")  # RFC 9112 section 2.2: clients put empty lines there
        sizes = [end + len(mark) for mark in _ENDS if (end := self._buffer.find(mark, 0, HEAD_MAX_BYTES)) >= 0]
        if sizes:
            return min(sizes)
        refuse_other_protocols_untrusted(self._buffer)
        if len(self._buffer) < HEAD_MAX_BYTES:
            return 0
        raise _head_too_large()

    def _read_before(self, size_bytes: int) -> Head | None:
        """The head of the next request, if it is small, has no body, and nothing is wrong with it; then it is done."""
        if size_bytes > KEPT_HEAD_BYTES:
            return None
        head = _head_without_body(self._buffer[:size_bytes])
        if head is None:
            return None
        self._buffer = self._buffer[size_bytes:]
        self._head = head
        self._refuse_unless_allowed(head)
        head, self._head = self._head, None
        return head

    def _begin(self) -> None:
        refuse_other_protocols_untrusted(self._buffer)
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX_BYTES)
        self._parser.receive_data(self._buffer)
        self._buffer = b""

    def _take_head(self, event: h11.Request) -> None:
        self._head = _head_of(event)
        headers = self._head.headers
        if event.http_version not in (b"1.1", b"1.0"):
            raise HttpError(
                505, "bad_version", f"this port speaks HTTP/1.1, not HTTP/{event.http_version.decode()}", close=True
            )
        if b"content-length" in headers and b"transfer-encoding" in headers:  # RFC 9112 section 6.1: a smuggler's trick
            raise HttpError(400, "bad_request", "Content-Length and Transfer-Encoding are both given", close=True)
        self._refuse_unless_allowed(self._head)
        length = self._head.one(b"content-length")  # h11 has seen that it is a number
        if length is not None and int(length) > BODY_MAX_BYTES:
            raise _too_large()

    def _refuse_unless_allowed(self, head: Head) -> None:
        try:
            self._check(head)
        except HttpError as error:
            if error.close:
                raise
            self._head = replace(head, refused=error)

    def _take_body(self, data: bytes) -> None:
        self._taken += len(data)
        if self._taken > BODY_MAX_BYTES:
            raise _too_large()
        if self._head is not None and self._head.refused is None:
            self._body += data

    def _line(self, head: Head) -> bytes | None:
        """The next line of a body that has lines; None: none is whole."""
        if head.refused is not None or b"\n" not in self._body or not self._has_lines(head):
            return None
        line, _, self._body = self._body.partition(b"\n")
        self._taken = len(self._body)
        return bytes(line)

    def _whole(self) -> tuple[Head, bytes]:
        assert self._parser is not None
        assert self._head is not None
        head, body = self._head, bytes(self._body)
        self._buffer = self._parser.trailing_data[0]
        self._parser = self._head = None
        self._body, self._taken = bytearray(), 0
        return head, body

    def _broken(self, error: h11.RemoteProtocolError) -> HttpError:
        status = error.error_status_hint
        if status == 431:
            return _head_too_large()
        why = str(error).partition(": bytearray")[0]  # what h11 quotes it shows as Python does
        return HttpError(status, "bad_request", f"this is not a valid request: {why}", close=True)


def _head_of(event: h11.Request) -> Head:
    headers: dict[bytes, list[bytes]] = {}
    for name, value in event.headers:
        headers.setdefault(name, []).append(value)
    return Head(event.method.decode("ascii"), event.target, event.http_version, headers)


@lru_cache(maxsize=KEPT_HEADS)
def _head_without_body(data: bytes) -> Head | None:
    """The whole head as h11 reads it. None: a body follows, or something may be wrong: read it step by step."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX_BYTES)
    parser.receive_data(data)
    try:
        request, end = parser.next_event(), parser.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(request, h11.Request) or not isinstance(end, h11.EndOfMessage):
        return None
    head = _head_of(request)
    return None if head.version not in (b"1.1", b"1.0") or parser.trailing_data[0] or _has_body(head) else head


def _has_body(head: Head) -> bool:
    return any(name in head.headers for name in (b"content-length", b"transfer-encoding", b"expect"))


def _head_too_large() -> HttpError:
    return HttpError(431, "head_too_large", f"the head of the request passes {HEAD_MAX_BYTES} bytes", close=True)


def _too_large() -> HttpError:
    return HttpError(413, "too_large", f"the body of the request passes {BODY_MAX_BYTES} bytes", close=True)


def response_bytes(response: Response, head: Head | None, *, now: float | None = None) -> tuple[bytes, bool]:
    """The response to a request of this head (None: it could not be read), and whether the connection goes on."""
    keep = head is not None and head.keep_alive and not response.close
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Error')}",
        f"Date: {http_date(time.time() if now is None else now)}",
        *([f"Content-Type: {response.content_type}"] if response.body else []),
        "X-Content-Type-Options: nosniff",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    if response.status not in (204, 304):
        lines.append(f"Content-Length: {len(response.body)}")
    if not keep:
        lines.append("Connection: close")
    text = "\r\n".join(lines) + "\r\n\r\n"
    body = b"" if head is not None and head.method == "HEAD" else response.body
    return text.encode("latin-1", "replace") + body, keep


def stream_head(opening: Response) -> bytes:
    """The head of a response without a length, which ends with the connection."""
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {opening.content_type}", "Cache-Control: no-store",
             "Connection: close", *(f"{name}: {value}" for name, value in opening.headers)]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + opening.body


def http_date(now: float) -> str:
    """The date as RFC 9110 section 5.6.7 has it, whatever the locale."""
    return _date_of(int(now))


@lru_cache(maxsize=8)
def _date_of(now: int) -> str:
    t = time.gmtime(now)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon - 1]} {t.tm_year} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
    )
