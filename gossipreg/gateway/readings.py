"""What a dotted name may stand for: Consul's rule, the same for DNS and for xDS.

A name does not tell which of its labels are the service and which are the tag, since both may have dots. Therefore all
possibilities are given, the longest service name first, and the first service that exists is meant.
"""

from collections.abc import Iterator
from typing import AnyStr, Generic, NamedTuple


class Letters(NamedTuple, Generic[AnyStr]):
    dot: AnyStr
    mark: AnyStr
    """Before a label of RFC 2782."""
    tcp: AnyStr
    """The tag that stands for any."""


IN_BYTES = Letters(b".", b"_", b"tcp")
IN_TEXT = Letters(".", "_", "tcp")


def readings(parts: tuple[AnyStr, ...], letters: Letters[AnyStr]) -> Iterator[tuple[AnyStr, AnyStr | None]]:
    """(service, tag) that these labels may stand for; tag None: any. A name with dots goes first."""
    dot, mark, tcp = letters
    if len(parts) > 1 and parts[0].startswith(mark) and parts[-1].startswith(mark):
        tag = parts[-1][1:]
        yield dot.join(parts[:-1])[1:], None if tag == tcp else tag
        return
    for at in range(len(parts)):
        yield dot.join(parts[at:]), dot.join(parts[:at]) or None
