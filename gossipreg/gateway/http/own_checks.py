"""The checks of services that are registered here, each with its output, for answers about health.

Only the sidecar of a service knows its single checks: other sidecars show one check per service, with its health. A
shown output is replaced when the status of its check changes, else every five minutes, as Consul's agents do it:
otherwise a check whose output differs at each run would end every wait.
"""

from collections.abc import Callable

from gossipreg.gateway.http.shapes import STATUSES, ConsulNode, Shape, node_checks, own_checks
from gossipreg.model import CatalogInstance
from gossipreg.sidecar_api import Registrations

OUTPUT_S = 300.0
SERVICES_MAX = 8192
"""More services than can be registered here. At this number all outputs are dropped, also those of services that are
gone."""
_ORDER = ("passing", "warning", "critical")


class OwnChecks:
    def __init__(self, registrations: Registrations, now: Callable[[], float]) -> None:
        self._registrations = registrations
        self._now = now
        self._outputs: dict[str, dict[str, tuple[str, str, float]]] = {}
        """By service and check: the status, the output shown with it, and since when."""

    def of(self, node: ConsulNode, instance: CatalogInstance) -> list[Shape]:
        """The checks of this instance. Empty if they do not add up to the health that is announced: the instance has no
        check, is in maintenance with its node, or is being edited."""
        id = instance.service.id
        report = self._registrations.report(id)
        if node.draining or not report:
            return []
        found = own_checks(node, instance, report, self._registrations.maintenance(id))
        found += node_checks(node, self._registrations.report(""))
        worst = max((_ORDER.index(check["Status"]) for check in found), default=0)
        if _ORDER[worst] != STATUSES[instance.health]:
            return []
        self._steady(id, found)
        return found

    def _steady(self, id: str, found: list[Shape]) -> None:
        if len(self._outputs) >= SERVICES_MAX:
            self._outputs.clear()
        before, shown, now = self._outputs.get(id, {}), {}, self._now()
        for check in found:
            status, output, since = before.get(check["CheckID"], ("", "", 0.0))
            if status != check["Status"] or now - since >= OUTPUT_S:
                status, output, since = check["Status"], check["Output"], now
            check["Output"] = output
            shown[check["CheckID"]] = status, output, since
        self._outputs[id] = shown
