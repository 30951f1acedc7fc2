"""How this sidecar is, in a few light figures, for itself and for other members that ask.

Nothing of it is gossiped: a member is asked over a stream when somebody looks at it, so idle members send nothing.
"""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gossipreg.daemon import params as check
from gossipreg.daemon.params import Check, take_untrusted
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.services import Services
from gossipreg.model import fold_name
from gossipreg.wire.shapes import Shape

if TYPE_CHECKING:
    from gossipreg.core.node import Node

QUESTION = "figures"
"""Its name, among those that members ask each other."""
CPU_EVERY_S = 1.0
"""The shortest time over which the share of a core is taken."""
INSTANCES_MAX = 20
"""Services of one name whose checks are shown."""
_PARAMS: dict[str, Check] = {"service": check.service_name}


class MemberFigures:
    def __init__(
        self, node: "Node", pump: Pump, services: Services, *, troubles: Callable[[], list[Shape]],
        counts: Callable[[], dict[str, int]], cpu_s: Callable[[], float] = time.process_time,
    ) -> None:  # fmt: skip
        """`counts` has those of journals; `cpu_s` is the time for which this process had a core."""
        self._node = node
        self._pump = pump
        self._services = services
        self._troubles = troubles
        self._counts = counts
        self._cpu_s = cpu_s
        self._began_at = pump.now()
        self._looked_at = self._began_at, cpu_s()
        self._cpu = 0.0

    async def answer(self, params: dict[str, Any]) -> Shape:
        """{service} -> {load, troubles, failing_checks, maintenance}, and with `service` the checks of the services of
        this name that are registered here, by id. Raises BadParams."""
        given = take_untrusted(QUESTION, params, _PARAMS)
        checks = {"checks": self._checks(given["service"])} if "service" in given else {}
        return {
            "load": self._load(),
            "troubles": self._troubles(),
            "failing_checks": self._services.health.failing(),
            "maintenance": self._services.in_maintenance(),
            **checks,
        }

    def _load(self) -> Shape:
        now = self._pump.now()
        return {
            "uptime_s": round(now - self._began_at, 3),
            "cpu": round(self._share_of_core(now), 4),
            "loop_lag_ms": round(self._pump.lag_s * 1000, 3),
            "memory_bytes": resident_bytes(),
            "health_score": self._node.statistics(now)["health_score"],
            "journals_led": self._counts().get("journals_led", 0),
            "members": len(self._node.ring),
            "services": len(self._node.own_services),
        }

    def _share_of_core(self, now: float) -> float:
        """Since the last look; of a look that comes at once after another, that of the one before."""
        at, before_s = self._looked_at
        if now - at >= CPU_EVERY_S:
            used_s = self._cpu_s()
            self._cpu = (used_s - before_s) / (now - at)
            self._looked_at = now, used_s
        return self._cpu

    def _checks(self, name: str) -> dict[str, list[Shape]]:
        ids = [id for id, one in self._node.own_services.items() if fold_name(one.name) == fold_name(name)]
        return {id: self._services.report(id) for id in ids[:INSTANCES_MAX]}


def resident_bytes() -> int | None:
    """The memory of this process; None where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
