"""Our own address: the address that other members observe, and when we announce it instead of the old one.

Owns: which witness observed which address, and the rule by which a new address takes the place of the old one. A
witness is a member that acked a ping of ours and reported the source address of that ping. Never knows: interfaces and
routes (the daemon follows those and calls `OwnRow.reachable_at`), or how the row is gossiped.

One address of each family is announced, the present one. A witness that observes an announced address reports none,
which confirms that address. Another address of the same family takes its place when both are true:

- `witnesses` members observed it (one is enough if there is only one other member);
- no member has confirmed the announced address since then, or within the last `address_quiet_periods`.

The second rule keeps the address of a host with two uplinks: if half of the cluster observes one address and half the
other one, both addresses work, and without the rule our row would change each second. After a real move no member
observes the old address, so the rule delays the change by two periods at most.
"""

from gossipreg.core.context import Context
from gossipreg.core.local.own_row import OwnRow
from gossipreg.core.table.ring import Ring
from gossipreg.model import Address, NodeId, is_loopback_host, present

_OBSERVED_MAX = 16
"""Witnesses that are kept. The oldest is forgotten first."""


class OwnAddress:
    def __init__(self, context: Context, ring: Ring, own: OwnRow, *, fixed: bool) -> None:
        """`fixed`: the user gave our address, so it never follows what other members observe."""
        self._context = context
        self._tuning = context.config.local
        self._ring = ring
        self._own_row = own
        self.fixed = fixed
        self._observed: dict[NodeId, Address] = {}
        """By witness, an address that we do not announce."""
        self._confirmed_at: dict[bool, float] = {}
        """When a member last observed the announced address. The key says whether that is an IPv6 address."""

    def on_observed(self, by: NodeId, observed: Address | None, answered_from: Address) -> bool:
        """Note that member `by` acked our ping from `answered_from` and observed us at `observed` (None: at an address
        of our row). Returns whether one more witness would decide."""
        if self.fixed:
            return False
        announced = self._own_row.member.addresses
        if observed is None or observed in announced:
            self._confirm((answered_from if observed is None else observed).is_v6)
            return False
        if is_loopback_host(observed.host) and any(not is_loopback_host(one.host) for one in announced):
            return False  # the witness is on this host; other members may not be
        self._observed.pop(by, None)
        self._observed[by] = observed
        if len(self._observed) > _OBSERVED_MAX:
            del self._observed[next(iter(self._observed))]
        quiet_s = self._tuning.address_quiet_periods * self._context.config.period_s
        if self._context.now - self._confirmed_at.get(observed.is_v6, float("-inf")) < quiet_s:
            return False
        wanted = min(self._tuning.witnesses, len(self._ring) - 1)
        if sum(one == observed for one in self._observed.values()) < wanted:
            return True
        self._move(observed)
        return False

    def _confirm(self, v6: bool) -> None:
        """Note that the announced address of this family is the present one, and forget other ones that were
        observed."""
        self._confirmed_at[v6] = self._context.now
        if self._observed:
            self._observed = {by: one for by, one in self._observed.items() if one.is_v6 != v6}

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
