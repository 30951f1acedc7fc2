"""A member's own entry: name, addresses, status and the rest, as its row announces it.

Owns: from which content it is read, and when it has to be decoded again. Never knows: other rows, or what follows from
the entry.
"""

from collections import Counter
from math import inf

from gossipreg.core.table.layout import KIND_MEMBER, key_of
from gossipreg.core.table.row import Row
from gossipreg.errors import BadDatagram
from gossipreg.model import Status
from gossipreg.wire.values import MAX_HOLD_S, decode_member_untrusted

_MEMBER_KEY = key_of(KIND_MEMBER, 0)


def read_own_entry(row: Row, now: float, counts: Counter[str]) -> None:
    """Decode the member's own entry if it has changed. One that cannot be decoded is counted, and the last one that
    could be is kept."""
    source = row.content
    if row.shadow is not None and row.lags and _MEMBER_KEY in row.shadow.entries:
        source = row.shadow  # of a newer generation
    entry = None if source is None else source.entries.get(_MEMBER_KEY)
    if source is None or entry is None:
        return
    if entry == row.member_entry and source.generation == row.member_generation:
        return
    row.member_entry, row.member_generation = entry, source.generation
    value = source.view(KIND_MEMBER, 0)
    if value is None:
        return
    try:
        row.member = decode_member_untrusted(value)
    except BadDatagram:
        counts["bad_member"] += 1
        return
    restarting = row.member.status is Status.RESTARTING
    row.hold_until = now + min(row.member.hold_s, MAX_HOLD_S) if restarting else -inf
