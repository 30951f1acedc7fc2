"""The methods `lookup`, `explain` and `registered`: instances of services, in MessagePack.

`lookup` is the hot one: its packed answer is kept until the catalog says that another would be given.
"""

from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, Any

from gossipreg.core.dead_services import dead_shapes
from gossipreg.daemon import params as check
from gossipreg.daemon.choosing import Choices, explain_shape, some
from gossipreg.daemon.kept_answers import KeptAnswers
from gossipreg.daemon.params import Check, take_untrusted
from gossipreg.daemon.partial import lookup_shapes
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.services import Services
from gossipreg.daemon.socket_client import Params, pack
from gossipreg.model import CatalogInstance, fold_name
from gossipreg.wire.shapes import Shape, instance_shape

if TYPE_CHECKING:
    from gossipreg.core.node import Node

KEPT_ANSWERS_MAX = 1024
"""Most sidecars are asked for a few names."""
KEPT_BYTES = 8 << 20
"""For all kept answers together. One about 1,000 instances takes a quarter of a MiB."""

LOOKUP: dict[str, Check] = {
    "name": check.service_name,
    "tags": check.wanted_tags,
    "all": check.boolean,
    "near": check.boolean,
    "zone": check.zone,
    "one": check.boolean,
    "limit": check.Whole(1, check.PAGE_MAX),
}
EXPLAIN: dict[str, Check] = {"name": check.service_name, "tags": check.tags, "zone": check.zone}


class Lookups:
    def __init__(self, node: "Node", pump: Pump, services: Services) -> None:
        self.asked = 0
        self._node = node
        self._pump = pump
        self._services = services
        self._kept: KeptAnswers[tuple[Any, ...]] = KeptAnswers(KEPT_ANSWERS_MAX, KEPT_BYTES)
        self._choices = Choices()

    def lookup(self, params: Params) -> bytes:
        self.asked += 1
        given = take_untrusted("lookup", params, LOOKUP, "name")
        name = fold_name(given["name"])
        tags, all, zone = given.get("tags", ()), given.get("all", False), given.get("zone")
        catalog = self._node.catalog
        question, index = (name, tags, all, zone), catalog.index(name)
        limit = 1 if given.get("one", False) else given.get("limit")
        if all or limit is not None or given.get("near", False) or self._node.knowledge.partial:
            # Not kept: the output of checks, distances and knowledge change without a change of the catalog.
            found = catalog.lookup(name, tags=tags, all=all, zone=zone)
            if given.get("near", False):
                found = tuple(sorted(found, key=self._distance))[:limit]
            elif limit is not None:
                found = self._choices.one(question, index, found) if limit == 1 else some(found, limit)
            shape = self._with_checks if all else instance_shape
            if self._node.knowledge.partial:
                shapes = lookup_shapes(self._node, given["name"], found, shape, self._why_not_synced)
            else:
                shapes = [shape(instance) for instance in found]
            if all:
                shapes += self._dead(given)
            return pack(shapes[:limit])
        kept = self._kept.get(question, index)
        if kept is not None:
            return kept
        answer = _pack_instances(catalog.lookup(name, tags=tags, all=all, zone=zone))
        self._kept.keep(question, index, answer)
        return answer

    def explain(self, params: Params) -> bytes:
        """{name, tags, zone} as of `lookup`: what it leaves out, by health, zone and tags."""
        given = take_untrusted("explain", params, EXPLAIN, "name")
        shape = explain_shape(self._node.catalog, given["name"], given.get("tags", ()), given.get("zone"))
        return pack({**shape, "synced": self._node.synced})

    def registered(self, params: Params) -> bytes:
        """The services registered with this sidecar, of any health, with the output of their checks."""
        take_untrusted("registered", params, {})
        return pack([self._with_checks(instance) for instance in self._node.catalog.of_node(self._node.id)])

    def _with_checks(self, instance: CatalogInstance) -> Shape:
        """An instance's shape. One of ours has the output of its checks, which is not gossiped."""
        shape = instance_shape(instance)
        if instance.node == self._node.id and (said := self._services.report(instance.service.id)):
            shape["checks"] = said
        return shape

    def _dead(self, given: Params) -> Iterator[Shape]:
        tags, zone = given.get("tags", ()), given.get("zone")
        return dead_shapes(self._node, given["name"], tags, zone, self._pump.now())

    def _distance(self, instance: CatalogInstance) -> float:
        if instance.node == self._node.id:
            return -1.0
        rtt_s = self._node.rtt_s(instance.node)
        return inf if rtt_s is None else rtt_s

    def _why_not_synced(self) -> str:
        return self._node.why_not_synced(self._pump.now())


def _pack_instances(instances: Any) -> bytes:
    return pack([instance_shape(instance) for instance in instances])
