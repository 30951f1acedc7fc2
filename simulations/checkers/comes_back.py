"""Invariant 5: nothing deregistered or forgotten comes back."""

from gossipreg.core.table.layout import KIND_SERVICE, key_of
from gossipreg.model import CatalogInstance, NodeId, Version
from simulations.checkers.checker import Checker
from simulations.checkers.ledger import Ledger
from simulations.host import Host
from simulations.world import World

_ON_ITS_WAY_S = 2.0
"""Longer than any datagram travels, with limited bandwidth and reordering."""


class ComesBack(Checker):
    """Two rules. By what a member held before: its answers contain no service whose deregistration its row had reached,
    and no service of an older start than the row had. By the truth: once a process has ended, no running member counts
    it as a member, and no datagram about it is in flight or waits in a socket, no member ever counts it again."""

    name = "comes_back"

    def __init__(self, world: World, ledger: Ledger) -> None:
        super().__init__(world)
        self._ledger = ledger
        self._reached: dict[int, tuple[object, dict[NodeId, Version]]] = {}
        """By member: the process, and the highest version that it has held of each row."""
        self._buried: dict[tuple[NodeId, int], float] = {}
        """(member, generation) of ended processes that no member counts any more, and since when."""
        self._mortal: dict[tuple[NodeId, int], tuple[Host, float]] = {}
        """(member, generation) of all other processes: the machine, and the time at which a member last counted the
        process or a datagram about it was in flight."""

    def after(self, host: Host) -> None:
        node = host.node
        if not node.touched:
            return
        reached = self._of(host)
        for id in node.touched:
            row = node.table.rows.get(id)
            if row is None:
                reached.pop(id, None)  # forgotten: if it comes back, the second rule alone applies
                continue
            reached[id] = max(reached.get(id, row.content_version), row.content_version)
            for slot, instance in node.inspect().instances(id).items():
                self._look(host, slot, instance, reached[id])
            if (id, row.liveness.generation) in self._buried and id in node.ring:
                since = self.world.now - self._buried[id, row.liveness.generation]
                what = f"{host.name} counts {self.called(id)} again, {since:.1f} s after no member did"
                self.fail(what, host, *self.owner(id))

    def _of(self, host: Host) -> dict[NodeId, Version]:
        process, reached = self._reached.get(host.number, (None, {}))
        if process is not host.node:
            reached = {}
            self._reached[host.number] = host.node, reached
        return reached

    def _look(self, host: Host, slot: int, instance: CatalogInstance, reached: Version) -> None:
        """Check an instance in the answers of a member that has held the row up to `reached`. The member knows of a
        deregistration unless the slot was written again after `reached`: then the tombstone is gone."""
        generation, counter = instance.version
        gives = f"{host.name} gives {instance.service.id} of {self.called(instance.node)}"
        if generation < reached.generation:
            self.fail(f"{gives} as an older start had it", host, *self.owner(instance.node))
        written = self._ledger.of(instance.node, generation)
        if written is None or written.changes[key_of(KIND_SERVICE, slot)][-1][0] > reached.counter:
            return
        for out in written.taken_out.get(instance.service.id, ()):
            if counter <= out <= reached.counter:
                what = f"{gives} as it was at {counter}; it was deregistered at {out}, and {host.name} knew"
                self.fail(what, host, *self.owner(instance.node))

    def tick(self) -> None:
        now = self.world.now
        for host, node in self.running():
            self._mortal[host.id, node.table.own.liveness.generation] = host, now
        waits = any(host.inbox or host.held for host in self.world.hosts)
        for (id, generation), (host, last) in list(self._mortal.items()):
            if waits or self._counted(id, generation):
                self._mortal[id, generation] = host, now
            elif now - last > _ON_ITS_WAY_S:
                self._buried[id, generation] = last
                del self._mortal[id, generation]

    def _counted(self, id: NodeId, generation: int) -> bool:
        """Return whether any running member, itself included, counts the process as a member; a row that is about to
        change to a newer start counts too."""
        rows = (node.table.rows.get(id) for _, node in self.running())
        return any(row is not None and row.liveness.generation <= generation and row.active for row in rows)
