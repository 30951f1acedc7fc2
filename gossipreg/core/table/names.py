"""Members by name: which members share a name, which one is shown under it, and which dead one was replaced.

Owns: an index from each name to the members that have it; `membership.py` keeps it up to date. Never knows: why a
member is dead.

Names may repeat: a restart without a data directory is a new member of the same name, and two hosts may be given one
name by mistake. Consul's clients use the name as a key, so answers in Consul's form show one entry for each name:

    one member of the name lives       it has the name
    several live                       the smallest id has the name, each other one is NAME.ID8 (8 digits of its id)
    no member of the name lives        the one that started last has it, dead or left; the others are not shown

Names are compared in lower case (`model.fold_name`).
"""

from gossipreg.core.table.row import Row
from gossipreg.model import NodeId, fold_name, present

ID_DIGITS = 8


class MemberNames:
    def __init__(self, rows: dict[NodeId, Row]) -> None:
        """`rows` is the table."""
        self._rows = rows
        self._ids: dict[str, tuple[NodeId, ...]] = {}
        """By folded name, in order of id."""
        self._names: dict[NodeId, str] = {}

    def follow(self, row: Row) -> None:
        """Bring the index up to date after a change of this row: it may have a name now, or another one."""
        name = None if row.member is None or row.quarantined else fold_name(row.member.name)
        before = self._names.get(row.id)
        if name == before:
            return
        if before is not None:
            self.forget(row.id)
        if name is not None:
            self._names[row.id] = name
            self._ids[name] = tuple(sorted((*self._ids.get(name, ()), row.id)))

    def forget(self, id: NodeId) -> None:
        name = self._names.pop(id, None)
        if name is not None:
            rest = tuple(one for one in self._ids[name] if one != id)
            if rest:
                self._ids[name] = rest
            else:
                del self._ids[name]

    def namesakes(self, id: NodeId) -> tuple[NodeId, ...]:
        """The members that have the name of this one, itself included; empty if it has none."""
        name = self._names.get(id)
        return () if name is None else self._ids[name]

    def shown(self, id: NodeId) -> str | None:
        """The name that shows this member where each name has one entry. None if another member has the entry."""
        folded = self._names.get(id)
        member = self._rows[id].member if folded is not None else None
        if folded is None or member is None:
            return None
        living = self._living(folded)
        if not living:
            last = max(self._ids[folded], key=lambda one: (self._rows[one].liveness.generation, one))
            return member.name if last == id else None
        if id not in living:
            return None
        return member.name if living[0] == id else f"{member.name}.{id.hex()[:ID_DIGITS]}"

    def named(self, name: str) -> NodeId | None:
        """The member that `shown` gives this name, in any case."""
        wanted = fold_name(name)
        base = wanted.rpartition(".")[0]
        for id in (*self._ids.get(wanted, ()), *self._ids.get(base, ())):
            shown = self.shown(id)
            if shown is not None and fold_name(shown) == wanted:
                return id
        return None

    def replaced_by(self, id: NodeId) -> NodeId | None:
        """The living member that has the name and the address of this dead one: the same sidecar came back as another
        member. None if there is no such member."""
        row, folded = self._rows.get(id), self._names.get(id)
        if row is None or row.member is None or folded is None or not (row.dead or row.hidden) or row.left:
            return None
        were = present(row.member.addresses)
        for one in self._living(folded):
            member = self._rows[one].member
            if one != id and member is not None and any(address in were for address in present(member.addresses)):
                return one
        return None

    def _living(self, folded: str) -> list[NodeId]:
        return [one for one in self._ids[folded] if self._rows[one].lives]
