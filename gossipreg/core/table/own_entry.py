"""A member's own entry: name, addresses, status and the rest, as its row announces it.

Owns: from which content it is read, and when it has to be decoded again. Never knows: other rows, or what follows from
the entry.
"""

from math import inf

from gossipreg.core.table.content import Content
from gossipreg.core.table.layout import KIND_MEMBER, key_of
from gossipreg.core.table.row import Row
from gossipreg.errors import BadDatagram
from gossipreg.model import Status
from gossipreg.wire.values import MAX_HOLD_S, decode_member_untrusted

_MEMBER_KEY = key_of(KIND_MEMBER, 0)


def read_own_entry(row: Row, now: float) -> bool:
    """Decode the member's own entry if it has changed. Return False if it cannot be decoded; then the last one that
    could be is kept."""
    source = _source(row)
    entry = None if source is None else source.entries.get(_MEMBER_KEY)
    if source is None or entry is None:
        return True
    if entry == row.member_entry and source.generation == row.member_generation:
        return True
    row.member_entry, row.member_generation = entry, source.generation
    value = source.view(KIND_MEMBER, 0)
    if value is None:
        return True
    try:
        row.member = decode_member_untrusted(value)
    except BadDatagram:
        return False
    restarting = row.member.status is Status.RESTARTING
    row.hold_until = now + min(row.member.hold_s, MAX_HOLD_S) if restarting else -inf
    return True


def _source(row: Row) -> Content | None:
    """The content of the newest generation that has an own entry."""
    if row.shadow is not None and row.lags and _MEMBER_KEY in row.shadow.entries:
        return row.shadow
    return row.content
