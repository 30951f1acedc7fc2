"""Services of members that are dead: in no answer, and still to be named to a person who asks for all.

Owns: the instances as they were given out last, for as long as the member's row is dead and kept. Never knows: rows,
or why the member is dead.
"""

from collections.abc import Collection

from gossipreg.model import Instance, NodeId, fold_name


class GoneServices:
    def __init__(self) -> None:
        self._instances: dict[NodeId, tuple[Instance, ...]] = {}
        self._nodes: dict[str, dict[NodeId, None]] = {}
        """By name of a service, in lower case, the dead members that had it."""

    def keep(self, id: NodeId, instances: Collection[Instance]) -> None:
        """This member is dead, and these were in the answers until now. Keep them, unless some are kept already: the
        row of a dead member may be touched again."""
        if id in self._instances or not instances:
            return
        self._instances[id] = tuple(sorted(instances, key=lambda one: (one.service.name, one.service.id)))
        for one in instances:
            self._nodes.setdefault(fold_name(one.service.name), {})[id] = None

    def forget(self, id: NodeId) -> None:
        """It lives, has left, or is forgotten."""
        for one in self._instances.pop(id, ()):
            name = fold_name(one.service.name)
            nodes = self._nodes.get(name, {})
            nodes.pop(id, None)
            if not nodes:
                self._nodes.pop(name, None)

    def of_name(self, name: str) -> tuple[Instance, ...]:
        """In order of (node, id); the name in any case."""
        folded = fold_name(name)
        nodes = sorted(self._nodes.get(folded, ()))
        return tuple(one for id in nodes for one in self._instances[id] if fold_name(one.service.name) == folded)
