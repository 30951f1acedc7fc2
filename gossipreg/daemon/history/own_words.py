"""What of a text that a program may have written is certainly in our own words, or in those of the system.

Owns: that rule. The output of a check, the answer of a handler or a step may hold whatever a program says: payloads,
tokens, what it was asked with. The history is kept for days and read by everybody who may ask, so it takes only the
beginning that this project writes itself: the status of an answer, the exit code, why nothing connected.
"""

import os
import re
from errno import errorcode
from functools import cache

_ANY = r"no answer within [0-9.e+-]+s|no result yet"
_NETWORK = rf"{_ANY}|connected\b|(?:connection broken|name not resolved|TLS): [\w' -]{{1,60}}"
"""Of the system and of TLS: nothing that a server wrote."""
_BEGINS = {
    "http": re.compile(rf"{_NETWORK}|HTTP \d{{3}}\b|no HTTP\b"),
    "grpc": re.compile(rf"{_NETWORK}|(?:NOT_SERVING|SERVICE_UNKNOWN|SERVING|UNKNOWN)\b|no gRPC\b"),
    "tcp": re.compile(_NETWORK),
    "cmd": re.compile(rf"{_ANY}|exit code \d+|ended by SIG[A-Z0-9]+|cannot be run: [\w' -]{{1,60}}"),
    "ttl": re.compile(rf"{_ANY}|no heartbeat (?:for [0-9.e+-]+s|yet)"),
}
_BEGINS["https"], _BEGINS["grpcs"] = _BEGINS["http"], _BEGINS["grpc"]
_STATUS = re.compile(r"\b(?:HTTP|status) (\d{3})\b")
"""As the deliveries of events say it, and as the commands of sagas do."""


@cache
def _system() -> frozenset[str]:
    return frozenset(os.strerror(number).lower() for number in errorcode)


def own_output(kind: str, output: str) -> str:
    """Of the output of a check of this kind; empty where nothing of it is ours. The count of results in a row is left
    out."""
    if kind == "alias":  # it reads this sidecar's table, and no program answers
        return output
    text = output.partition(";")[0]
    if text.lower() in _system():
        return text
    begins = _BEGINS.get(kind)
    found = None if begins is None else begins.match(text)
    return found[0] if found else ""


def own_status(text: str) -> str:
    """Of what a handler or a step of a saga answered: `HTTP 500`; empty where there is no status in it."""
    found = _STATUS.search(text)
    return f"HTTP {found[1]}" if found else ""
