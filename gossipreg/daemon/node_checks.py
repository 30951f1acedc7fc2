"""The checks of the sidecar itself, as Consul's agents have them: one that fails takes all services of the sidecar out.

Owns the checks, what is kept of them, and their common health, which is the worst. They are registered over HTTP
(/v1/agent/check/register without a ServiceID), each under an id of its own. Never knows the services: their owner gives
out none that is better than `health`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from msgpack import packb, unpackb

from gossipreg.daemon.checks.parse import parse_check_untrusted, relabelled
from gossipreg.daemon.checks.schedule import Checks
from gossipreg.daemon.checks.spec import CheckSpec
from gossipreg.daemon.checks.state import Beginning, Restored
from gossipreg.daemon.entries import CheckGiven, named
from gossipreg.daemon.kept import KeptNodeCheck, Statement, drop_node_check, keep_node_check
from gossipreg.daemon.logs import Log
from gossipreg.daemon.store import Store
from gossipreg.errors import BadParams, GossipregError, TooLarge
from gossipreg.model import Health

NODE = ""
"""In place of a service's id."""
MAX_NODE_CHECKS = 64


class _NodeCheck(NamedTuple):
    spec: CheckSpec
    given: CheckGiven
    trusted: bool
    """Whether the user who set it may have commands run."""


class NodeChecks:
    def __init__(
        self, store: Store, log: Log, checks: Checks, changed: Callable[[], None], anew: Callable[[], None]
    ) -> None:
        """`changed()`: the common health changed; `anew()`: a check was set or removed."""
        self._checks = checks
        self._changed = changed
        self._anew = anew
        self._store = store
        self._log = log
        self._held: dict[str, _NodeCheck] = {}
        """By id."""
        self.health = Health.PASSING

    def start(
        self, kept: Sequence[KeptNodeCheck], check: Callable[..., None],
        restored: Callable[[Sequence[CheckSpec]], list[Restored | None]],
    ) -> None:  # fmt: skip
        """Take up what was kept. `check(spec, trusted=)` raises GossipregError for one that may not be run."""
        for one in kept:
            try:
                given = unpackb(one.given)
                spec = parse_check_untrusted("check", given)
                check(spec, trusted=one.trusted)
                self._held[one.id] = _NodeCheck(spec, given, one.trusted)
            except (GossipregError, ValueError) as error:
                self._log.error("check_not_restored", id=one.id, message=str(error))
        if self._held:
            self._set(Beginning(restored=restored))

    def __contains__(self, id: str) -> bool:
        return id in self._held

    async def put(self, id: str, given: CheckGiven, said: Health | None, check: Callable[..., None], *, trusted: bool,
                  ) -> None:  # fmt: skip
        """Set this check, or put it in the place of the one with that id. Durable. It begins as `said`, critical where
        nothing is said. Raises RequestError; then nothing changed."""
        given = named(given, id)
        spec = parse_check_untrusted("check", given)
        if spec.id != id:
            raise BadParams(f"the check has the id {spec.id[:80]!r}, and is set as {id[:80]!r}: give the same id twice")
        check(spec, trusted=trusted)
        if id not in self._held and len(self._held) >= MAX_NODE_CHECKS:
            raise TooLarge(f"this sidecar has {MAX_NODE_CHECKS} checks of its own already: deregister some")

        def then() -> None:
            self._held[id] = _NodeCheck(spec, given, trusted)
            self._log.info("check_registered", id=id, check=spec.shown)
            self._set(Beginning(said={} if said is None else {id: said}))

        kept = KeptNodeCheck(id, trusted, packb(given))
        undo = partial(self._store.commit_later, _name(id), lambda: self._now(id))
        await self._store.begin([keep_node_check(kept)], then, name=_name(id), undo=undo).result()

    async def describe(self, id: str, name: str, notes: str) -> None:
        """Give this check another name and other notes; its question stays. Durable."""
        held = self._held[id]
        await self.put(id, relabelled(held.given, name, notes), None, lambda *_, **__: None, trusted=held.trusted)

    async def drop(self, id: str) -> bool:
        """Remove the check; returns whether that is durable."""

        def then() -> None:
            if self._held.pop(id, None) is not None:
                self._log.info("check_deregistered", id=id)
                self._set(Beginning())

        return await self._store.apply_first(_name(id), lambda: self._now(id), then).result()

    def _now(self, id: str) -> list[Statement]:
        held = self._held.get(id)
        return [
            drop_node_check(id) if held is None else keep_node_check(KeptNodeCheck(id, held.trusted, packb(held.given)))
        ]

    def _set(self, beginning: Beginning) -> None:
        specs = tuple(held.spec for held in self._held.values())
        before, self.health = self.health, self._checks.health(NODE, specs, beginning)
        self._checks.set(NODE, specs, beginning)
        if self.health is not before:
            self._changed()
        self._anew()


def _name(id: str) -> str:
    return f"node check {id}"
