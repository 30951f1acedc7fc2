"""The method `info`: how this sidecar is, with all counters; and its answer for gateways (metrics)."""

from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

import trio

from gossipreg import __version__
from gossipreg.daemon.key_agreement import KeyAgreement
from gossipreg.daemon.lookups import Lookups
from gossipreg.daemon.params import take_untrusted
from gossipreg.daemon.pieces import in_pieces
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.services import Services
from gossipreg.daemon.socket_client import Params, pack
from gossipreg.model import MemberInfo, NodeId
from gossipreg.wire.shapes import Shape, member_shape

if TYPE_CHECKING:
    from gossipreg.core.node import Node

TROUBLES_MAX = 20
"""Members that `info` lists as not alive, for people; `members` has the others."""
_TROUBLE = ("id", "name", "address", "state", "since_s", "reason")
MEMBER_STATES = ("alive", "suspect", "dead", "left")


class Info:
    def __init__(
        self, node: "Node", pump: Pump, services: Services, lookups: Lookups, dropped: Counter[str], *,
        about: dict[str, Any], troubles: Callable[[], list[Shape]], more_counts: Callable[[], dict[str, int]],
        more_fields: Callable[[], Shape],
    ) -> None:  # fmt: skip
        """`dropped` counts connections that were not taken or were cut off. `about` holds the fields that the node does
        not know, `troubles()` lists what goes wrong now, `more_counts()` gives further counters,
        `more_fields()` further fields."""
        self._node = node
        self._pump = pump
        self._services = services
        self._lookups = lookups
        self._dropped = dropped
        self._about = about
        self._troubles = troubles
        self._more_counts = more_counts
        self._more_fields = more_fields
        self._key_agreement = KeyAgreement()
        self._started_at = pump.now()

    async def info(self, params: Params) -> bytes:
        take_untrusted("info", params, {})
        return pack(await self.figures())

    async def figures(self) -> Shape:
        """The answer of `info`."""
        ids = sorted(self._node.table.rows)
        return self._shape(await in_pieces(ids, self._member))

    def _member(self, id: NodeId) -> MemberInfo | None:
        return self._node.member(id, self._pump.now())

    def _shape(self, members: list[MemberInfo]) -> Shape:
        node, now = self._node, self._pump.now()
        statistics = dict(node.statistics(now))
        own = next(member for member in members if member.id == node.id)
        states = Counter(member.state for member in members)
        troubles = (member for member in members if member.state in ("suspect", "dead"))
        return {
            "id": node.id.hex(),
            **self._about,
            "generation": str(own.version.generation),
            "address": None if own.address is None else str(own.address),
            "version": __version__,
            "synced": node.synced,
            "knowledge": node.knowledge.value,
            "not_synced_because": node.why_not_synced(now),
            "missing": len(node.missing),
            "missing_from": node.missing_from(),
            "alone": node.alone,
            "out": node.out,
            "members": {state: states[state] for state in MEMBER_STATES},
            "services": node.catalog.service_names(),
            "fingerprint": statistics.pop("fingerprint", None),
            "health_score": statistics.pop("health_score", None),
            "uptime_s": round(now - self._started_at, 3),
            "sealed": node.keyring is not None,
            "keys": [] if node.keyring is None else node.keyring.fingerprints(),
            "troubles": [*self._troubles(), *self._key_agreement.troubles(node.id, members, now)],
            "operations": self._services.audit.shapes(),
            "not_alive": [
                {key: value for key, value in member_shape(member).items() if key in _TROUBLE}
                for member in islice(troubles, TROUBLES_MAX)
            ],
            "failing_checks": self._services.health.failing(),
            "maintenance": self._services.in_maintenance(),
            **self._more_fields(),
            "loop_lag_ms": round(self._pump.lag_s * 1000, 3),
            "counters": {
                **{name: value for name, value in statistics.items() if name not in ("synced", "members", "out")},
                **{f"drop.{reason}": count for reason, count in (self._pump.dropped + self._dropped).items()},
                **self._pump.counts,
                **self._services.health.checks.counts(),
                **self._more_counts(),
                "lookups": self._lookups.asked,
                "tasks": trio.lowlevel.current_statistics().tasks_living,
            },
        }
