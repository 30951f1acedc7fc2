"""The addresses that a sidecar announces while it listens on every address: chosen at the start, then kept up to date.

Owns the choice among the machine's addresses, and the task that chooses again when interfaces change. Never knows which
address other members see (`core/local/own_address.py`): behind a NAT they know better, and such an address is left
alone.

    of each family that we listen on    the source address of the route to the first seed of that family, else of the
                                        default route, else the best address of an interface that is up; of the second
                                        family then one of the same interface
    nothing but loopback is up          loopback where all seeds are on loopback, since all members are on this host
                                        then; else nothing, for to another host it would be its own loopback

An address that is announced stays as long as an interface that is up has it. While none has any, the last one stays.
"""

import socket
from collections.abc import Callable

import trio

from gossipreg.daemon.addresses import route_source
from gossipreg.daemon.interfaces import InterfaceChanges, LocalAddress, local_addresses
from gossipreg.model import Address
from gossipreg.net.addresses import Bind, family_of, is_link_local, is_loopback

_OUTSIDE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation (RFC 5737, RFC 3849): no host has them, so their route is the default route."""
SETTLE_S = 0.05
"""The delay before a change is looked at: an address is often replaced in two steps."""
REPLACED_S = 1.0
"""The time for which the last address of a family may be missing before it is given up. Without it, services would
change to the other family and back."""
UNKNOWN = (
    "this host has no known address except loopback, so services registered without an address are not announced: "
    "bring an interface up, or give --advertise, or --address for a service"
)


def own_addresses(
    bind: Bind, bound: tuple[Address, ...], seeds: tuple[Address, ...], local: tuple[LocalAddress, ...]
) -> tuple[Address, ...]:
    """The addresses at which others reach us, best first, one of each family; the families of the seeds come first. The
    bound addresses themselves if they are no wildcards. Empty if none is known."""
    if not bind.wildcard:
        return bound
    ports = {family_of(address.host): address.port for address in bound}
    found: dict[socket.AddressFamily, Address] = {}
    for target in (*seeds, *(Address(_OUTSIDE[family], 9) for family in ports)):
        family = family_of(target.host)
        if family not in ports or family in found or is_loopback(target.host):
            continue
        source = route_source(target)
        if source is not None and not (is_link_local(source) or is_loopback(source)):
            found[family] = Address(source, ports[family])
    ours = [one.interface for one in local if any(one.host == known.host for known in found.values())]
    for one in local:  # of both families on one interface: the address of another one need not be reachable from there
        family = family_of(one.host)
        if family in ports and family not in found and (not found or one.interface in ours):
            found[family] = Address(one.host, ports[family])
            ours.append(one.interface)
    if not found and seeds and all(is_loopback(seed.host) for seed in seeds):
        here = [seed.host for seed in seeds if family_of(seed.host) in ports]
        return tuple(Address("::1" if ":" in host else "127.0.0.1", ports[family_of(host)]) for host in here[:1])
    return tuple(found.values())


class FollowAddresses:
    """Keeps the announced addresses up to date with the interfaces, and services and troubles with the announced
    addresses."""

    def __init__(
        self,
        bind: Bind,
        bound: tuple[Address, ...],
        *,
        fixed: bool,
        seeds: tuple[Address, ...],
        announced: Callable[[], tuple[Address, ...]],
        announce: Callable[[tuple[Address, ...]], None],
        moved: Callable[[], None],
        known: Callable[[bool], None],
        read: Callable[[], tuple[LocalAddress, ...]] = local_addresses,
    ) -> None:
        """`fixed`: the user named our address. `announced()` is what the node announces, `announce(addresses)` makes it
        announce others; `moved()` is called when the first host of it has changed, `known(flag)` with whether there is
        one. `read` gives the machine's addresses."""
        self._bind = bind
        self._bound = bound
        self._fixed = fixed
        self._seeds = seeds
        self._announced = announced
        self._announce = announce
        self._moved = moved
        self._known = known
        self._read = read
        self._ours: dict[str, None] = {one.host: None for one in announced()}
        """Those announced addresses that are, or were, of this machine. The others were seen by other members: we are
        behind a NAT."""
        self._followed = self._host()
        """The default address of services that named none."""
        self._changed = trio.Event()

    def changed(self) -> None:
        """The node announces other addresses now."""
        self._changed.set()

    def seeds_found(self, addresses: tuple[Address, ...]) -> None:
        """The seeds resolved to these addresses: the route to them may show a better address of ours."""
        if addresses != self._seeds:
            self._seeds = addresses
            self._look(anew=True)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow_announced)
            if not self._fixed:
                nursery.start_soon(self._follow_interfaces)

    async def _follow_announced(self) -> None:
        """Give services that named no address ours, also when ours changes."""
        while True:
            before, self._followed = self._followed, self._host()
            self._known(bool(self._followed))
            if self._followed != before:
                self._moved()
            await self._changed.wait()
            self._changed = trio.Event()

    def _host(self) -> str:
        announced = self._announced()
        return announced[0].host if announced else ""

    async def _follow_interfaces(self) -> None:
        changes = InterfaceChanges()
        try:
            while True:
                self._look()
                await changes.wait()
                await trio.sleep(SETTLE_S)
                with trio.move_on_after(REPLACED_S):
                    while self._loses_a_family():
                        await changes.wait()
                        await trio.sleep(SETTLE_S)
        finally:
            changes.close()

    def _look(self, *, anew: bool = False) -> None:
        """Announce the addresses that are right now. With `anew` an address that is still there gives way to a better
        one."""
        announced = self._announced()
        after = self._right(anew=anew)
        if not self._fixed and after and after != announced:
            self._ours |= {one.host: None for one in after if one not in announced}
            self._announce(after)

    def _loses_a_family(self) -> bool:
        after = [family_of(one.host) for one in self._right()]
        return any(family_of(one.host) not in after for one in self._announced())

    def _right(self, *, anew: bool = False) -> tuple[Address, ...]:
        local, announced = self._read(), self._announced()
        here = [one.host for one in local] or [one.host for one in announced if _is_here(one.host)]
        self._ours = {one.host: None for one in announced if one.host in self._ours or one.host in here}
        chosen = own_addresses(self._bind, self._bound, self._seeds, local)
        better = [family_of(one.host) for one in chosen] if anew else []
        right = {family_of(one.host): one for one in chosen}  # this order also where others stay
        right |= {family_of(one.host): one for one in announced if self._stays(one.host, here, better)}
        return tuple(right.values())

    def _stays(self, host: str, here: list[str], better: list[socket.AddressFamily]) -> bool:
        if is_loopback(host):
            return False
        return host not in self._ours or (host in here and family_of(host) not in better)


def _is_here(host: str) -> bool:
    """Whether this machine has the address, where the kernel does not list them."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((host, 0))
        except OSError:
            return False
        return True
