"""Invariant 3: at v, a row is as its owner wrote it up to v."""

from gossipreg.core.table.content import Content, key_of, split_key
from gossipreg.core.table.row import Row
from simulations.checkers.checker import Checker, stored
from simulations.checkers.ledger import Ledger
from simulations.host import Host
from simulations.world import World


class AsWritten(Checker):
    """Whoever holds a row at counter v holds every key whose last change, as the owner has it now, is at or before v
    exactly as the owner wrote it, and where that change took the key out it holds nothing under it. Other keys may be
    older; a key that the owner never wrote there is none; and nobody is ahead of the owner.

    A part that a later head dropped has no tombstone of its own: the head tells that it is gone, and where the head was
    written again since, the later one does. Until then the slot is older as a whole."""

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
