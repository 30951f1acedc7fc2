"""Invariant 3: a row at version v is what its owner wrote up to v."""

from gossipreg.core.table.content import Content
from gossipreg.core.table.layout import key_of, split_key
from gossipreg.core.table.row import Row
from simulations.checkers.checker import Checker, stored
from simulations.checkers.ledger import Ledger
from simulations.host import Host
from simulations.world import World


class AsWritten(Checker):
    """A member that holds a row at counter v holds every key whose last change, as the owner has it now, is at or
    before v, exactly as the owner wrote it; if that change removed the key, it holds nothing under it. Other keys may
    be older. No member holds a key that the owner never wrote, and none is ahead of the owner.

    A part that a later head dropped has no tombstone of its own: the head says that it is gone, or the next version of
    the head if it was written again. Until a member has that head, the whole slot is older."""

    name = "as_written"

    def __init__(self, world: World, ledger: Ledger) -> None:
        super().__init__(world)
        self._ledger = ledger

    def after(self, host: Host) -> None:
        for row in self.changed(host):
            for content in stored(row):
                self._look(host, row, content)

    def _look(self, host: Host, row: Row, content: Content) -> None:
        written = self._ledger.of(row.id, content.generation)
        if written is None:
            return  # `owners_bytes` says so
        holds = f"{host.name} holds {self.called(row.id)} at {content.counter}"
        if content.counter > written.counter:
            self.fail(f"{holds}, and its owner is at {written.counter}", host, *self.owner(row.id))
        for key, changes in written.changes.items():
            counter, value = changes[-1]
            kind, slot, part = split_key(key)
            if value is None and part:
                counter = written.changes[key_of(kind, slot)][-1][0]
            if counter > content.counter:
                continue
            held = content.entries.get(key)
            if held != (counter, value) if value is not None else held is not None and held[1] is not None:
                what = f"{holds} with {key}: {held}; its owner wrote {value!r} at {counter}"
                self.fail(what, host, *self.owner(row.id))
        for key in content.entries:
            if key not in written.changes:
                self.fail(f"{holds} with the key {key}, which its owner never wrote", host, *self.owner(row.id))
