"""The reads of what all sidecars know: nodes, services by name, and their health.

Owns what each question means (`render`) and what its answer depends on (`topics`). Never knows HTTP, nor who waits.

Members that left are in no answer; those that are dead are among the nodes, with a critical serfHealth, and their
services are not: that is what a lookup says, too. Each name has one node: see `core/names.py`. Every node can be asked
for by its ID. A name or a tag may be written in any case, as with Consul.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from uuid import UUID

from gossipreg.core.view import View
from gossipreg.gateway.http.blocking import ALL, Question, Topic
from gossipreg.gateway.http.filter import filtered_untrusted
from gossipreg.gateway.http.indexes import LivenessIndex
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
from gossipreg.model import Health, Instance, NodeId, fold_name


class Options(NamedTuple):
    """The options of a question, as `Question.options` has them."""

    filter: str = ""
    tags: tuple[str, ...] = ()
    passing: bool = False
    meta: tuple[tuple[str, str], ...] = ()
    """The node meta that is asked for, by key."""

    def admit(self, node: ConsulNode) -> bool:
        return all(node.meta.get(key) == value for key, value in self.meta)


class CatalogEndpoints:
    def __init__(self, view: View, cluster: str, own_checks: OwnChecks, clock_us: Callable[[], int]) -> None:
        self._view = view
        self._own_checks = own_checks
        self._liveness = LivenessIndex(clock_us)
        self._cluster = cluster
        self._renders: dict[str, Callable[[tuple[str, ...], Options], Any]] = {
            "health_service": self._health_service,
            "health_checks": self._health_checks,
            "health_state": self._health_state,
            "health_node": self._health_node,
            "catalog_services": self._services,
            "catalog_service": self._service,
            "catalog_nodes": self._nodes,
            "catalog_node": self._node,
            "catalog_node_services": self._node_services,
            "kv": lambda _args, _options: None,
            "none": lambda _args, _options: [],
        }

    def render(self, question: Question) -> Any:
        return self._renders[question.name](question.args, Options(*question.options))

    def topics(self, question: Question) -> tuple[Topic, ...]:
        match question.name:
            case "health_service" | "health_checks" | "catalog_service":
                return (("name", folded(question.args[0])),)
            case "kv" | "none":
                return (("kv", ""),)
            case _:
                return (ALL,)

    # -- of a service --------------------------------------------------------------------------------------------------

    def _instances(self, name: str, options: Options) -> Iterator[tuple[ConsulNode, Instance]]:
        tags = {folded(tag) for tag in options.tags}
        for instance in self._view.catalog.lookup(name, all=True):
            if options.passing and instance.health is not Health.PASSING:
                continue
            if tags and not tags <= {folded(tag) for tag in instance.service.tags}:
                continue
            node = known_node(self._view, instance.node)
            if node is not None and options.admit(node):
                yield node, instance

    def _health_service(self, args: tuple[str, ...], options: Options) -> list[Shape]:
        found = (
            health_entry(node, one, [self._serf(node), *self._service_checks(node, one)], self._cluster)
            for node, one in self._instances(args[0], options)
        )
        return filtered_untrusted(found, options.filter, "entry")

    def _health_checks(self, args: tuple[str, ...], options: Options) -> list[Shape]:
        checks = (check for node, one in self._instances(args[0], options) for check in self._service_checks(node, one))
        found = (check for check in checks if check["ServiceID"])
        return filtered_untrusted(found, options.filter, "check")

    def _service(self, args: tuple[str, ...], options: Options) -> list[Shape]:
        found = (catalog_entry(node, one, self._cluster) for node, one in self._instances(args[0], options))
        return filtered_untrusted(found, options.filter, "catalog")

    def _services(self, _args: tuple[str, ...], options: Options) -> dict[str, list[str]]:
        if not (options.meta or options.filter):
            return {summary.name: list(summary.tags) for summary in self._view.catalog.services()}
        tags: dict[str, dict[str, None]] = {}
        names = {fold_name(summary.name): summary.name for summary in self._view.catalog.services()}
        every = (
            catalog_entry(node, one, self._cluster) for name in names for node, one in self._instances(name, options)
        )
        for entry in filtered_untrusted(every, options.filter, "catalog"):
            tags.setdefault(names[fold_name(entry["ServiceName"])], {}).update(dict.fromkeys(entry["ServiceTags"]))
        return {name: sorted(of_name) for name, of_name in tags.items()}

    # -- of nodes ------------------------------------------------------------------------------------------------------

    def _all_nodes(self, options: Options) -> Iterator[ConsulNode]:
        """One of each name."""
        for id in self._view.row_ids():
            node = None if self._view.shown_name(id) is None else known_node(self._view, id)
            if node is not None and options.admit(node):
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

    def _nodes(self, _args: tuple[str, ...], options: Options) -> list[Shape]:
        found = (node_shape(node, self._cluster) for node in self._all_nodes(options))
        return filtered_untrusted(found, options.filter, "node")

    def _node_parts(self, name: str, options: Options) -> tuple[Shape, list[Shape]] | None:
        node = self.node_named(name)
        if node is None:
            return None
        services = [indexed_service(instance) for instance in self._view.catalog.of_node(node.id)]
        return node_shape(node, self._cluster), filtered_untrusted(services, options.filter, "service")

    def _node(self, args: tuple[str, ...], options: Options) -> Shape | None:
        parts = self._node_parts(args[0], options)
        return None if parts is None else {"Node": parts[0], "Services": {one["ID"]: one for one in parts[1]}}

    def _node_services(self, args: tuple[str, ...], options: Options) -> Shape | None:
        parts = self._node_parts(args[0], options)
        return {"Node": None, "Services": []} if parts is None else {"Node": parts[0], "Services": parts[1]}

    # -- checks --------------------------------------------------------------------------------------------------------

    def _serf(self, node: ConsulNode) -> Shape:
        return serf_check(node, self._liveness.index(node.id, node.status, node.version))

    def _service_checks(self, node: ConsulNode, instance: Instance) -> list[Shape]:
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

    def _health_node(self, args: tuple[str, ...], options: Options) -> list[Shape]:
        node = self.node_named(args[0])
        return [] if node is None else filtered_untrusted(self._checks_of(node), options.filter, "check")

    def _health_state(self, args: tuple[str, ...], options: Options) -> list[Shape]:
        wanted = (args[0],) if args[0] != "any" else tuple(dict.fromkeys(STATUSES.values()))
        found = [
            check for node in self._all_nodes(options) for check in self._checks_of(node) if check["Status"] in wanted
        ]
        return filtered_untrusted(found, options.filter, "check")
