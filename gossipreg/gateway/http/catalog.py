"""The reads of what all sidecars know: nodes, services by name, and their health.

Owns what each read means: a method returns the JSON value of an answer. Never knows HTTP, nor which connections wait.

Members that left are in no answer. Dead members are among the nodes, with a critical serfHealth, and their services are
in no answer, as in a lookup. Each name has one node: see `core/table/names.py`. Every node can be asked for by its ID.
A name or a tag may be written in any case, as with Consul.
"""

from collections.abc import Callable, Iterator
from uuid import UUID

from gossipreg.core.view import View
from gossipreg.gateway.http.indexes import LivenessIndex
from gossipreg.gateway.http.options import Options
from gossipreg.gateway.http.own_checks import OwnChecks
from gossipreg.gateway.http.shapes import (
    STATUSES,
    ConsulNode,
    Shape,
    catalog_entry,
    health_entry,
    indexed_service,
    known_node,
    node_shape,
    serf_check,
    service_checks,
)
from gossipreg.gateway.http.spellings import folded
from gossipreg.model import CatalogInstance, Health, NodeId, fold_name


class CatalogReads:
    def __init__(self, view: View, cluster: str, own_checks: OwnChecks, clock_us: Callable[[], int]) -> None:
        self._view = view
        self._own_checks = own_checks
        self._liveness = LivenessIndex(clock_us)
        self._cluster = cluster

    # -- of a service --------------------------------------------------------------------------------------------------

    def _instances(self, name: str, options: Options) -> Iterator[tuple[ConsulNode, CatalogInstance]]:
        tags = {folded(tag) for tag in options.tags}
        for instance in self._view.catalog.lookup(name, all=True):
            if options.passing and instance.health is not Health.PASSING:
                continue
            if tags and not tags <= {folded(tag) for tag in instance.service.tags}:
                continue
            node = known_node(self._view, instance.node)
            if node is not None and _has_meta(node, options):
                yield node, instance

    def health_service(self, options: Options, service: str) -> list[Shape]:
        found = (
            health_entry(node, one, [self._serf(node), *self._service_checks(node, one)], self._cluster)
            for node, one in self._instances(service, options)
        )
        return options.filtered(found)

    def health_checks(self, options: Options, service: str) -> list[Shape]:
        checks = (check for node, one in self._instances(service, options) for check in self._service_checks(node, one))
        found = (check for check in checks if check["ServiceID"])
        return options.filtered(found)

    def service(self, options: Options, service: str) -> list[Shape]:
        found = (catalog_entry(node, one, self._cluster) for node, one in self._instances(service, options))
        return options.filtered(found)

    def services(self, options: Options) -> dict[str, list[str]]:
        if not (options.meta or options.filter):
            return {summary.name: list(summary.tags) for summary in self._view.catalog.services()}
        tags: dict[str, dict[str, None]] = {}
        names = {fold_name(summary.name): summary.name for summary in self._view.catalog.services()}
        every = (
            catalog_entry(node, one, self._cluster) for name in names for node, one in self._instances(name, options)
        )
        for entry in options.filtered(every):
            tags.setdefault(names[fold_name(entry["ServiceName"])], {}).update(dict.fromkeys(entry["ServiceTags"]))
        return {name: sorted(of_name) for name, of_name in tags.items()}

    # -- of nodes ------------------------------------------------------------------------------------------------------

    def _all_nodes(self, options: Options) -> Iterator[ConsulNode]:
        """One of each name."""
        for id in self._view.row_ids():
            node = None if self._view.shown_name(id) is None else known_node(self._view, id)
            if node is not None and _has_meta(node, options):
                yield node

    def node_named(self, name: str) -> ConsulNode | None:
        try:
            id = NodeId(UUID(name).bytes)
        except ValueError:
            pass
        else:
            return known_node(self._view, id)
        found = self._view.named(name)
        return None if found is None else known_node(self._view, found)

    def nodes(self, options: Options) -> list[Shape]:
        found = (node_shape(node, self._cluster) for node in self._all_nodes(options))
        return options.filtered(found)

    def _node_parts(self, name: str, options: Options) -> tuple[Shape, list[Shape]] | None:
        node = self.node_named(name)
        if node is None:
            return None
        services = [indexed_service(instance) for instance in self._view.catalog.of_node(node.id)]
        return node_shape(node, self._cluster), options.filtered(services)

    def node(self, options: Options, name: str) -> Shape | None:
        parts = self._node_parts(name, options)
        return None if parts is None else {"Node": parts[0], "Services": {one["ID"]: one for one in parts[1]}}

    def node_services(self, options: Options, name: str) -> Shape | None:
        parts = self._node_parts(name, options)
        return {"Node": None, "Services": []} if parts is None else {"Node": parts[0], "Services": parts[1]}

    # -- checks --------------------------------------------------------------------------------------------------------

    def _serf(self, node: ConsulNode) -> Shape:
        return serf_check(node, self._liveness.index(node.id, node.status, node.version))

    def _service_checks(self, node: ConsulNode, instance: CatalogInstance) -> list[Shape]:
        own = self._own_checks.of(node, instance) if instance.node == self._view.id else []
        return own or service_checks(node, instance)

    def _checks_of(self, node: ConsulNode) -> Iterator[Shape]:
        yield self._serf(node)
        seen: dict[str, None] = {}
        for instance in self._view.catalog.of_node(node.id):
            for check in self._service_checks(node, instance):
                if check["CheckID"] not in seen:  # a member in maintenance has one check for all
                    seen[check["CheckID"]] = None
                    yield check

    def health_node(self, options: Options, name: str) -> list[Shape]:
        node = self.node_named(name)
        return [] if node is None else options.filtered(self._checks_of(node))

    def health_state(self, options: Options, state: str) -> list[Shape]:
        wanted = (state,) if state != "any" else tuple(dict.fromkeys(STATUSES.values()))
        found = [
            check for node in self._all_nodes(options) for check in self._checks_of(node) if check["Status"] in wanted
        ]
        return options.filtered(found)


def _has_meta(node: ConsulNode, options: Options) -> bool:
    return all(node.meta.get(key) == value for key, value in options.meta)
