"""What may stand in a command that a saga sends: in its service, method, path and headers.

Owns: these rules, for what is written and for what comes out of it with its values. Never knows: templates.
"""

import re

from gossipreg.errors import BadParams, TooLarge
from gossipreg.model import MAX_NAME_BYTES
from gossipreg.sagas.saga_model import MAX_HEADER_BYTES, MAX_METHOD_BYTES, MAX_PATH_BYTES
from gossipreg.sagas.saga_templates import short

OUR_HEADERS = frozenset((
    "idempotency-key", "traceparent", "tracestate", "host", "content-length", "transfer-encoding", "connection",
    "keep-alive", "te", "trailer", "upgrade", "expect", "proxy-connection", "proxy-authorization",
))  # fmt: skip
OUR_PREFIX = "gossipreg-"
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PATH = re.compile(r"/(?:[!-.0-~][!-~]*)?")
"""Printable ASCII, and no host after two slashes."""
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def check_service(name: str, what: str) -> str:
    """A name of the registry. Raises BadParams, as all functions here do; `what` begins the text of errors."""
    if _URL.match(name):
        raise BadParams(
            f"{what}: service {short(name)!r} is a URL: name a service of the registry, and write its path to `path`"
        )
    size = len(name.encode(errors="surrogatepass"))
    if "/" in name or not name.isprintable() or any(map(str.isspace, name)) or size > MAX_NAME_BYTES:
        raise BadParams(
            f"{what}: service {short(name)!r} is no name of a service: write one word of at most {MAX_NAME_BYTES} "
            "bytes without a slash"
        )
    if "{" in name or "}" in name:
        raise BadParams(f"{what}: service {short(name)!r} has a brace: a service is a name, and no template")
    return name


def check_method(method: str, what: str) -> str:
    """The method in upper case."""
    if not _TOKEN.fullmatch(method) or len(method) > MAX_METHOD_BYTES or method.upper() in ("CONNECT", "TRACE"):
        raise BadParams(
            f"{what}: method {short(method)!r} cannot be used: write one of HTTP, such as POST, PUT or DELETE"
        )
    return method.upper()


def check_path(path: str, what: str) -> None:
    """Raises TooLarge too."""
    if _URL.match(path):
        raise BadParams(
            f"{what}: path {short(path)!r} is a URL: write what comes after the host, and the service to `service`"
        )
    if len(path) > MAX_PATH_BYTES:
        raise TooLarge(f"{what}: the path has more than {MAX_PATH_BYTES} bytes")
    if not _PATH.fullmatch(path) or "#" in path:
        raise BadParams(
            f"{what}: path {short(path)!r} is no path: begin it with one /, and percent-encode spaces, #, and all "
            "that is not ASCII"
        )
    if _BARE_PERCENT.search(path):
        raise BadParams(f"{what}: path {short(path)!r} has a % that encodes nothing: write %25 for the character")
    if any(segment in (".", "..") for segment in path.partition("?")[0].split("/")):
        raise BadParams(f"{what}: path {short(path)!r} leads elsewhere by . or ..: write the path that is meant")


def check_header_name(name: object, what: str) -> str:
    """The name in lower case."""
    if type(name) is not str or not _TOKEN.fullmatch(name):
        raise BadParams(f"{what}: {short(repr(name))} is no name of a header")
    lower = name.lower()
    if lower in OUR_HEADERS or lower.startswith(OUR_PREFIX):
        raise BadParams(f"{what}: the sidecar sets the header {lower} itself: leave it out")
    return lower


def check_header(name: str, value: str, what: str) -> None:
    """Raises TooLarge too."""
    if not value.isascii() or not all(char.isprintable() or char == "\t" for char in value):
        raise BadParams(
            f"{what}: header {name} has a control character, or one that is not ASCII: send it in the body, or "
            "encode it"
        )
    if len(name) + len(value) > MAX_HEADER_BYTES:
        raise TooLarge(f"{what}: header {name} has more than {MAX_HEADER_BYTES} bytes")
