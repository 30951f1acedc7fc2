"""The tokens that open the TCP door, one a line in a file, and where a request carries one.

Owns reading the file and comparing. Only digests are kept, so that no token can appear in an error, a log or a dump of
this object. Every digest is compared with every token of the request, in constant time.
"""

import base64
import binascii
import os
import stat
from hashlib import sha256
from hmac import compare_digest

from gossipreg.errors import CannotStart
from gossipreg.net.http_message import Head

FILE_MAX_BYTES = 64 * 1024
TOKENS_MAX = 256
"""Each request is compared with all of them: 256 take 50 microseconds."""
TOKEN_MAX_BYTES = 1024
SHORT_BYTES = 16
"""A shorter token can be guessed. It is accepted with a warning."""
_CARRIED_IN = (b"x-consul-token", b"dapr-api-token")


class Tokens:
    """Made by `read_tokens`."""

    def __init__(self, tokens: list[bytes]) -> None:
        self._digests = [sha256(token).digest() for token in tokens]
        self.short = sum(len(token) < SHORT_BYTES for token in tokens)

    def __len__(self) -> int:
        return len(self._digests)

    def __repr__(self) -> str:
        return f"<{len(self)} tokens>"

    def admit(self, carried: list[bytes]) -> bool:
        """Whether one of the carried tokens is valid."""
        found = False
        for token in carried:
            digest = sha256(token).digest()
            for known in self._digests:
                found |= compare_digest(digest, known)
        return found


def read_tokens(path: str) -> Tokens:
    """Read one token per line; empty lines and lines that begin with # are skipped. Raises CannotStart, which never
    shows a token."""
    what = f"--http-token-file {path}"
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CannotStart(f"{what}: {why}; write one token a line, `gossipreg keygen` makes one") from None
    if len(data) > FILE_MAX_BYTES:
        raise CannotStart(f"{what}: it has more than {FILE_MAX_BYTES} bytes, so it is not a token file")
    tokens: list[bytes] = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        token = line.strip()
        if not token or token.startswith(b"#"):
            continue
        if len(token) > TOKEN_MAX_BYTES or not all(33 <= byte < 127 for byte in token):
            raise CannotStart(
                f"{what}, line {number}: a token has 1 to {TOKEN_MAX_BYTES} printable ASCII characters without spaces"
            )
        tokens.append(token)
    if not tokens:
        raise CannotStart(f"{what}: it holds no token; write one token a line, `gossipreg keygen` makes one")
    if len(tokens) > TOKENS_MAX:
        raise CannotStart(f"{what}: {len(tokens)} tokens, at most {TOKENS_MAX}")
    return Tokens(tokens)


def exposed_to_everybody(path: str) -> bool:
    """Whether every user of this machine may read the file."""
    try:
        return bool(stat.S_IMODE(os.stat(path).st_mode) & 0o007)
    except OSError:
        return False


def carried_untrusted(head: Head) -> list[bytes]:
    """The tokens that a request carries: X-Consul-Token, dapr-api-token, Authorization: Bearer, or the password of
    Authorization: Basic, which is what Eureka's clients can send."""
    found = [value.strip() for name in _CARRIED_IN for value in head.headers.get(name, ())]
    for value in head.headers.get(b"authorization", ()):
        scheme, _, rest = value.strip().partition(b" ")
        match scheme.lower():
            case b"bearer":
                found.append(rest.strip())
            case b"basic":
                found.append(_password(rest.strip()))
    return [token for token in found if 0 < len(token) <= TOKEN_MAX_BYTES]


def _password(encoded: bytes) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
