"""Our own address: at which address other members see us, and when we believe them.

Owns: the words of witnesses, and the rule by which a new address takes the place of the old one. A witness is a member
that acked a probe of ours and said where that came from. Never knows: interfaces and routes (the daemon follows those
and calls `OwnRow.reachable_at`), or how the row is gossiped.

One address of each family is announced, the present one. A witness that sees the probe come from an announced address
names none, which confirms that address. Another address of the same family takes its place when both hold:

- `_WITNESSES` members name it (one is enough if there is only one other member);
- no member has confirmed the announced address since then, nor within `_QUIET_PERIODS`.

The second rule keeps a host with two uplinks in place: while one half of the cluster sees it at one address and the
other half at another, both are present, and changing between them would be a change for every reader each second.
After a real move nobody sees the old address, so the rule costs two periods at most, whichever way the address changes.
"""

from gossipreg.core.context import Context
from gossipreg.core.local.own_row import OwnRow
from gossipreg.core.table.ring import Ring
from gossipreg.model import Address, NodeId, is_loopback_host, present

_WITNESSES = 2
"""How many members must see us at the same new address before we believe it: one alone may be wrong, or lie."""
_QUIET_PERIODS = 1.5
"""Our ring successor is probed once a period, so a present address is confirmed more often than this."""
_WORDS_MAX = 16
"""The number of witnesses whose words are kept; the oldest is forgotten first."""


class OwnAddress:
    def __init__(self, context: Context, ring: Ring, own: OwnRow, *, fixed: bool) -> None:
        """`fixed`: the user named our address, so it never follows what others see."""
        self._context = context
        self._ring = ring
        self._own_row = own
        self.fixed = fixed
        self._words: dict[NodeId, Address] = {}
        """By witness, an address that we do not announce."""
        self._confirmed_at: dict[bool, float] = {}
        """When a member last saw us at the announced address; the key says whether that is IPv6."""

    def seen_at(self, by: NodeId, observed: Address | None, answered_from: Address) -> bool:
        """Note that a member acked our probe from `answered_from` and saw us at `observed` (None: at an address of our
        row). Returns whether the word of one more member would decide."""
        if self.fixed:
            return False
        announced = self._own_row.member.addresses
        if observed is None or observed in announced:
            self._confirm((answered_from if observed is None else observed).is_v6)
            return False
        if is_loopback_host(observed.host) and any(not is_loopback_host(one.host) for one in announced):
            return False  # the witness is on this host; other members may not be
        self._words.pop(by, None)
        self._words[by] = observed
        if len(self._words) > _WORDS_MAX:
            del self._words[next(iter(self._words))]
        quiet_s = _QUIET_PERIODS * self._context.config.period_s
        if self._context.now - self._confirmed_at.get(observed.is_v6, float("-inf")) < quiet_s:
            return False
        wanted = min(_WITNESSES, len(self._ring) - 1)
        if sum(word == observed for word in self._words.values()) < wanted:
            return True
        self._move(observed)
        return False

    def _confirm(self, v6: bool) -> None:
        """Note that the announced address of this family is the present one, and drop the words against it."""
        self._confirmed_at[v6] = self._context.now
        if self._words:
            self._words = {by: word for by, word in self._words.items() if word.is_v6 != v6}

    def _move(self, address: Address) -> None:
        self._confirm(address.is_v6)
        self._own_row.reachable_at(with_present(self._own_row.member.addresses, address))


def with_present(announced: tuple[Address, ...], address: Address) -> tuple[Address, ...]:
    """The addresses to announce once `address` is the present one of its family. It takes the place of the former one;
    if there was none it comes last. Any other address displaces loopback addresses."""
    if not is_loopback_host(address.host):
        announced = tuple(one for one in announced if not is_loopback_host(one.host))
    if not any(one.is_v6 == address.is_v6 for one in announced):
        return (*announced, address)
    return present(tuple(address if one.is_v6 == address.is_v6 else one for one in announced))
