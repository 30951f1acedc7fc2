"""What a participant answers to a step or an undo, and how a server sends it.

Owns: the status, the bytes of the body, and which answers are kept. Never knows: databases.
"""

import json
import re
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, Self

from gossipreg.errors import BadParams, TooLarge

MAX_BODY_BYTES = 256 * 1024
"""A saga keeps 64 KiB of an answer."""
_CONTENT_TYPE = re.compile("[ -~]{0,256}")
"""Another one could not be sent as a header, and the answer that is kept would fail for ever."""
NO_CONTENT = 204
GONE = 410
TRIED_AGAIN = frozenset((401, 403, 404, 408, 409, 423, 425, 429))
"""A step that gets one of these is sent again, as after a 5xx or no answer: another attempt may end otherwise. Any
other 3xx or 4xx refuses it."""
UNDONE_TOO = frozenset((404, 410))
"""What a saga takes for undone beside 2xx, where an undo gets it."""


class RequestHandler(Protocol):
    """What `ParticipantAnswer.send` needs of an http.server.BaseHTTPRequestHandler."""

    wfile: Any
    close_connection: bool

    def send_response(self, code: int, message: str | None = None) -> None: ...

    def send_header(self, keyword: str, value: str) -> None: ...

    def end_headers(self) -> None: ...


@dataclass(frozen=True, slots=True, init=False)
class ParticipantAnswer:
    status: int
    body: bytes
    content_type: str
    """Empty: there is no body."""
    is_repeat: bool
    """Whether it was given before, so that nothing was done now."""

    def __init__(self, status: int = 200, data: object = None, *, content_type: str | None = None) -> None:
        """`data`: bytes as they are, text as text/plain, anything else as JSON; None: no body. Raises BadParams,
        TooLarge."""
        if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
            raise BadParams(f"status is {status!r}: give a status of HTTP from 200 to 599")
        if content_type is not None and not (isinstance(content_type, str) and _CONTENT_TYPE.fullmatch(content_type)):
            raise BadParams(
                f"content_type is {content_type!r}: give one of printable ASCII, such as image/png, or None"
            )
        body, found = _content(data)
        if len(body) > MAX_BODY_BYTES:
            raise TooLarge(f"an answer of {len(body):,} bytes is too large: at most {MAX_BODY_BYTES:,} are kept")
        object.__setattr__(self, "status", status)
        object.__setattr__(self, "body", body)
        object.__setattr__(self, "content_type", found if content_type is None else content_type)
        object.__setattr__(self, "is_repeat", False)

    @classmethod
    def of(cls, result: object) -> "ParticipantAnswer":
        """What the program's work has returned: None is 204, anything that is no answer is 200 with it."""
        if isinstance(result, ParticipantAnswer):
            return result
        return cls(NO_CONTENT) if result is None else cls(200, result)

    def repeated(self) -> Self:
        """The same, given again."""
        again = copy(self)
        object.__setattr__(again, "is_repeat", True)
        return again

    @property
    def is_done(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_refusal(self) -> bool:
        """Whether the saga takes it for certain that nothing was done."""
        return 300 <= self.status < 500 and self.status not in TRIED_AGAIN

    @property
    def headers(self) -> dict[str, str]:
        found = {"Content-Type": self.content_type} if self.content_type else {}
        return found if self.status == NO_CONTENT else {**found, "Content-Length": str(len(self.body))}

    def send(self, handler: RequestHandler) -> None:
        """Answer a request of http.server with it. A sidecar that has hung up meanwhile asks again, and gets the answer
        that is kept: that is no error of the participant."""
        try:
            handler.send_response(self.status)
            for name, value in self.headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(self.body)
        except ConnectionError:
            handler.close_connection = True

    def wsgi(self, start_response: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
        """Answer a request of WSGI with it."""
        start_response(f"{self.status} {_phrase(self.status)}", list(self.headers.items()))
        return [self.body]


def kept_answer(status: int, content_type: str, body: bytes) -> ParticipantAnswer:
    """As it stands in the table."""
    return ParticipantAnswer(status, bytes(body) or None, content_type=content_type).repeated()


def _content(data: object) -> tuple[bytes, str]:
    if data is None:
        return b"", ""
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data), "application/octet-stream"
    try:
        if isinstance(data, str):
            return data.encode(), "text/plain; charset=utf-8"
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode(), "application/json"
    except (TypeError, ValueError, RecursionError) as error:
        raise BadParams(f"an answer has no form in JSON ({error}): return bytes, text, or what JSON can hold") from None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Status"
