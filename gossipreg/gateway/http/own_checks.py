"""The checks of services that are registered here, one by one with their output, as answers about health show them.

What each check says only its own sidecar knows: other sidecars show one check a service, with the health that all know.
An output is shown anew when its check's status changes, and else every five minutes, as Consul's agents do it: a
check whose output is another one at each run would answer every question that waits.
"""

from collections.abc import Callable

from gossipreg.gateway.http.outside import Registrations
from gossipreg.gateway.http.shapes import STATUSES, ConsulNode, Shape, node_checks, own_checks
from gossipreg.model import Instance

OUTPUT_S = 300.0
SERVICES_MAX = 8192
"""More than can be registered here; what is left of those that are gone is let go then."""
_ORDER = ("passing", "warning", "critical")


class OwnChecks:
    def __init__(self, registrations: Registrations, now: Callable[[], float]) -> None:
        self._registrations = registrations
        self._now = now
        self._outputs: dict[str, dict[str, tuple[str, str, float]]] = {}
        """By service and check: the status, the output shown with it, and since when."""

    def of(self, node: ConsulNode, instance: Instance) -> list[Shape]:
        """Empty where they do not make up the health that is told to all: it has no check, or is in maintenance with
        its node, or an edit is on its way."""
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
