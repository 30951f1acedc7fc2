"""Services of dead members: lookups do not answer them, and lists of all instances show them as dead.

Owns: the instances as lookups gave them out last, until the member lives again, leaves or is forgotten. Never knows:
rows, or why the member is dead.
"""

from collections.abc import Collection

from gossipreg.model import CatalogInstance, NodeId, fold_name


class GoneServices:
    def __init__(self) -> None:
        self._instances: dict[NodeId, tuple[CatalogInstance, ...]] = {}
        self._nodes: dict[str, dict[NodeId, None]] = {}
        """The dead members that had a service, by its folded name."""

    def keep(self, id: NodeId, instances: Collection[CatalogInstance]) -> None:
        """Keep the instances of a member that is dead now. Does nothing if some are kept already, because the row of a
        dead member may change again."""
        if id in self._instances or not instances:
            return
        self._instances[id] = tuple(sorted(instances, key=lambda one: (one.service.name, one.service.id)))
        for one in instances:
            self._nodes.setdefault(fold_name(one.service.name), {})[id] = None

    def forget(self, id: NodeId) -> None:
        """Drop the instances of a member that lives, has left or is forgotten."""
        for one in self._instances.pop(id, ()):
            name = fold_name(one.service.name)
            nodes = self._nodes.get(name, {})
            nodes.pop(id, None)
            if not nodes:
                self._nodes.pop(name, None)

    def names(self) -> Collection[str]:
        """The folded names of all of them."""
        return self._nodes.keys()

    def of_name(self, name: str) -> tuple[CatalogInstance, ...]:
        """The instances of this name (in any case), in order of (node, id)."""
        folded = fold_name(name)
        nodes = sorted(self._nodes.get(folded, ()))
        return tuple(one for id in nodes for one in self._instances[id] if fold_name(one.service.name) == folded)
