"""Greeting seeds: those that the user named at the start, for as long as it takes, and one that a client names."""

from collections.abc import Callable

from gossipreg.core.node import Node
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.reports import Reports
from gossipreg.daemon.seeds import Seed, Unresolved, certainly_loopback, keep_resolving, parse_seed, resolve
from gossipreg.errors import BadConfig, BadParams, Refused
from gossipreg.model import Address


class SeedGreeter:
    def __init__(
        self, node: Node, pump: Pump, reports: Reports, *, off_loopback: bool,
        found: Callable[[tuple[Address, ...]], None],
    ) -> None:  # fmt: skip
        """`off_loopback`: seeds on other machines may be greeted. `found` gets their addresses before that."""
        self._node = node
        self._pump = pump
        self._reports = reports
        self._off_loopback = off_loopback
        self._found = found

    async def run(self, seeds: tuple[Seed, ...]) -> None:
        """Greet these seeds until their names resolve and this sidecar is synced, and again while it is isolated."""
        if not seeds:
            self._pump.order(lambda now: self._node.seek((), now))
        await keep_resolving(
            seeds,
            found=self._greet,
            failed=self._reports.seed_unresolved,
            resolved=self._reports.seed_resolved,
            content=lambda: self._node.synced and not self._node.alone,
        )

    async def greet(self, text: str) -> None:
        """Greet one more seed. Raises BadParams or Refused."""
        try:
            seed = parse_seed(text)
        except BadConfig as error:
            raise BadParams(str(error)) from None
        if not (self._off_loopback or certainly_loopback(seed)):
            raise Refused(f"no key, and {text} is not loopback: start this sidecar with --key-file")
        try:
            addresses = await resolve(seed)
        except Unresolved as error:
            raise Refused(str(error)) from None
        self._greet(tuple(addresses))

    def _greet(self, addresses: tuple[Address, ...]) -> None:
        self._found(addresses)
        self._pump.order(lambda now: self._node.seek(addresses, now))
