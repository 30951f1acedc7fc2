"""Invariant 2: only the owner's bytes are stored as its row."""

from gossipreg.core.table.content import Content
from gossipreg.core.table.row import Row
from simulations.checkers.checker import Checker, stored
from simulations.checkers.ledger import Ledger
from simulations.host import Host
from simulations.world import World


class OwnersBytes(Checker):
    """Every entry that a member stores (in a row, or in a full row that is being pulled) is one that the owner wrote in
    that generation: the same key, the same counter, the same bytes. No member holds a generation or an incarnation that
    its owner has not issued. Only its own commands change an owner's own services."""

    name = "owners_bytes"

    def __init__(self, world: World, ledger: Ledger) -> None:
        super().__init__(world)
        self._ledger = ledger

    def after(self, host: Host) -> None:
        for row in self.changed(host):
            self._look_at_life(host, row)
            for content in stored(row):
                self._look(host, row, content)

    def _look_at_life(self, host: Host, row: Row) -> None:
        written = self._ledger.of(row.id, row.liveness.generation)
        if written is None:
            what = f"{host.name} holds a generation of {self.called(row.id)} that never existed"
        elif row.liveness.incarnation > written.incarnation:
            what = f"{host.name} holds an incarnation of {self.called(row.id)} that it never issued"
        else:
            return
        self.fail(f"{what}: {row.liveness}", host, *self.owner(row.id))

    def _look(self, host: Host, row: Row, content: Content) -> None:
        written = self._ledger.of(row.id, content.generation)
        if written is None:
            what = f"{host.name} holds content of {self.called(row.id)} of a generation that never existed"
            self.fail(what, host, *self.owner(row.id))
        for key, entry in content.entries.items():
            if entry not in written.changes.get(key, ()):
                what = f"{host.name} holds {key}: {entry} in the row of {self.called(row.id)}, which never wrote that"
                self.fail(what, host, *self.owner(row.id))

    def tick(self) -> None:
        for host, node in self.running():
            if node.own_services != {id: service for id, (service, _) in host.services.items()}:
                self.fail(f"{host.name} has other services than were registered there", host)
