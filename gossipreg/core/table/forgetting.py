"""Forgetting: when the row of each member that is gone is removed from the table.

Owns: the time at which each row is forgotten, and which row makes room if the table is full. Must never know: how a
row is removed (`table.py`), or why its member is gone.

    dead or left                         a while after its state changed, longer if the member is durable
    never complete, or quarantined       a while after its last change
    any other                            never
"""

from sys import float_info

from gossipreg.config import Config
from gossipreg.core.table.row import Row, State
from gossipreg.model import NodeId
from gossipreg.timers import Timers


class Forgetting:
    def __init__(self, config: Config) -> None:
        self._config = config
        self._gone = Timers()
        """The time at which each dead or left row is forgotten, by id."""
        self._unfinished = Timers()
        """The same for rows that were never complete, and for quarantined ones."""

    def kept_s(self, *, durable: bool) -> float:
        """How long the row of a dead or left member is kept."""
        return self._config.dead_row_s if durable else self._config.dead_row_brief_s

    def update(self, row: Row, now: float) -> None:
        """This row has changed: set the time at which it is forgotten."""
        if row.seen_state in (State.DEAD, State.LEFT):
            self._unfinished.cancel(row.id)
            due = row.changed_at + self.kept_s(durable=row.member is not None and row.member.durable)
            if self._gone.due(row.id) != due:
                self._gone.set(row.id, due)
            return
        self._gone.cancel(row.id)
        if row.content is None or row.quarantined:
            self._unfinished.set(row.id, now + self._config.dead_row_brief_s)
        else:
            self._unfinished.cancel(row.id)

    def cancel(self, id: NodeId) -> None:
        self._gone.cancel(id)
        self._unfinished.cancel(id)

    def due(self, now: float) -> list[NodeId]:
        """The rows that are to be forgotten now, in order; each is returned once. Cheap if there is none."""
        found: list[NodeId] = []
        for timers in (self._gone, self._unfinished):
            for id, _ in timers.pop_due(now):
                assert isinstance(id, bytes)
                found.append(NodeId(id))
        return found

    def some_gone(self, but: NodeId) -> bool:
        """Whether there is a dead or left row other than `but`, which makes room for it."""
        return len(self._gone) > (but in self._gone)

    def first_gone(self, but: NodeId) -> NodeId | None:
        """The dead or left row that is due first, to make room for another; never `but`. None if there is none."""
        spared: float | None = None
        first: NodeId | None = None
        for id, due in self._gone.pop_due(float_info.max):
            assert isinstance(id, bytes)
            if id != but:
                first = NodeId(id)
                break
            spared = due
        if spared is not None:
            self._gone.set(but, spared)
        return first
