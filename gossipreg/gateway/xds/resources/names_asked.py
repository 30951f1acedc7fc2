"""The meaning of a name that an xDS client asks for.

    NAME, TAG.NAME                         the passing instances of a service, those with the tag
    NAME:PORT                              those on this port
    NAME.service, NAME.service.consul      the same, as DNS has it; also under the domain of --dns-domain
    xdstp://AUTHORITY/TYPE/NAME            the same, from a bootstrap with `authorities`

Letters may be in any case. Pure, and never knows which services exist: all readings are given, and the first whose
service exists is meant.
"""

import re
from typing import NamedTuple

from gossipreg.gateway.readings import IN_TEXT, readings
from gossipreg.model import MAX_NAME_BYTES, MAX_TAG_BYTES, fold_name

ASKED_MAX = 2 * (MAX_NAME_BYTES + MAX_TAG_BYTES)
"""Characters. A longer name means no service: no service and no tag has a name of that length."""
LABELS_MAX = 16
"""Parts between dots of a name that may have a tag in it. A name with more is that of a service as a whole: each dot is
one more reading, and one name of 500 dots took 150 kB."""
CONSUL = "consul"
_PORT = re.compile(r"(.+):([0-9]{1,5})", re.DOTALL)
_XDSTP = "xdstp://"


class Reading(NamedTuple):
    """One meaning of a name. Service and tag are folded."""

    service: str
    tag: str | None = None
    port: int | None = None


def suffixes_of(domain: str | None) -> tuple[str, ...]:
    """What may follow a name, the longest first; `domain` is that of --dns-domain."""
    domains = [CONSUL] if domain is None else [CONSUL, fold_name(domain.strip("."))]
    return tuple(sorted((".service", *(f".service.{one}" for one in domains)), key=len, reverse=True))


def readings_of(asked: str, suffixes: tuple[str, ...]) -> tuple[Reading, ...]:
    """What this name may stand for, in the order in which that is tried. None of it may exist."""
    if len(asked) > ASKED_MAX:
        return ()
    whole = fold_name(plain_name(asked))
    matched = _PORT.fullmatch(whole)
    body, port = (matched[1], int(matched[2])) if matched else (whole, None)
    body = body.removesuffix(".")
    found = [Reading(whole)]
    for suffix in suffixes:
        if body.endswith(suffix) and body != suffix:
            found += _dotted(body.removesuffix(suffix), port)
            break
    found += _dotted(body, port)
    return tuple(dict.fromkeys(one for one in found if 0 < len(one.service.encode()) <= MAX_NAME_BYTES))


def _dotted(body: str, port: int | None) -> list[Reading]:
    labels = tuple(body.split("."))
    if len(labels) > LABELS_MAX:
        return [Reading(body, None, port)]
    return [Reading(service, tag, port) for service, tag in readings(labels, IN_TEXT)]


def plain_name(asked: str) -> str:
    """The name in `xdstp://AUTHORITY/TYPE/NAME`; any other text as it is."""
    if not asked.startswith(_XDSTP):
        return asked
    return asked.split("/", 4)[-1].partition("?")[0]
