"""The membership index: keeps the ring and the catalog in step with the table, and notes what changed for people.

Owns: the last known state of each member, and the two local notes that keep members out of our own answers: hidden (its
port is refused, and nobody is there to confirm it; or it speaks no version of the protocol that we speak) and alone
(this member is isolated). Never knows: how a row came to change.

After each message and timer the node asks it to `refresh`: for every row that changed in the table, it puts the member
on the ring or takes it off, and brings the catalog up to date. It returns as facts what other parts have to do then.
"""

from collections.abc import Iterable

from gossipreg.core.context import Context
from gossipreg.core.effects import AnnouncementsChanged, Changed, MembersChanged
from gossipreg.core.table.announcements import Announcements
from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.facts import (
    FoundIncompatible,
    HiddenRowChanged,
    LeftRing,
    LeftTable,
    MembershipFact,
    ProcessNamed,
    StateChanged,
)
from gossipreg.core.table.names import MemberNames
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.row import Row, State
from gossipreg.core.table.table import Table
from gossipreg.model import Change, NodeId, Status

INCOMPATIBLE = "it speaks no version of the protocol that this sidecar speaks"
_PLAIN = State.ALIVE.value


def state_of(row: Row) -> str:
    """alive, restarting, draining, suspect (gossiped), dead or left, by the table alone."""
    status = Status.UP if row.member is None else row.member.status
    if row.state is State.ALIVE and status in (Status.RESTARTING, Status.DRAINING):
        return status.name.lower()
    return row.state.value


class MembershipIndex:
    def __init__(self, context: Context, table: Table, ring: Ring, catalog: Catalog) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._catalog = catalog
        self._facts: list[MembershipFact] = []
        self._states: dict[NodeId, str] = {}
        """Of those that are not plainly alive and on the ring."""
        self.names = MemberNames(self._table.rows)
        self.announcements = Announcements()
        self._changes: list[Change] = []
        self._announced: dict[NodeId, None] = {}
        """Members whose announcements changed in this input."""
        self._to_report: dict[NodeId, None] = {}
        """Members that are shown differently than before this input, for MembersChanged. They are more than the rows
        that changed: members of one name share one entry, and rows of the last run are in no table."""
        self._hidden: dict[NodeId, dict[str, float]] = {}
        """Members out of our answers, for which reasons, and since when."""
        self.why: dict[NodeId, str] = {}
        """For a member declared dead by us: on what grounds; by another: what we had seen of it ourselves."""

    def refresh(self) -> list[MembershipFact]:
        """Follow the table. The facts that other parts have to act on, in order."""
        changed = self._table.changes.follow()
        if not changed:
            return []
        shown_differently = [id for id, change in changed if change.shown_differently]
        if shown_differently:
            self._note_shown(shown_differently)
        for id, change in changed:
            row = self._table.rows.get(id)
            if row is None:
                self._forget(id)
                continue
            if row.quarantined or change.shown_differently:  # a quarantined row is not shown, but its owner is probed
                row = self._follow(id, row)
            if row.hidden:
                self._facts.append(HiddenRowChanged(id))
            self._changes += self._catalog.refresh(row, tuple(change.slots))
            if self.announcements.refresh(row, change.slots):
                self._announced[id] = None
        if shown_differently:
            self._note_shown(shown_differently)
        facts, self._facts = self._facts, []
        return facts

    def emit_changed(self) -> None:
        """After each refresh, and what followed from it: one Changed effect for all that changed in the answers."""
        if self._changes:
            self._context.effects.append(Changed(tuple(self._changes)))
            self._changes = []

    def _note_shown(self, ids: Iterable[NodeId]) -> None:
        """These members are shown differently, and so may be others of their name, which share one entry by name.
        Called before and after a change of names."""
        for id in ids:
            self._to_report[id] = None
            for namesake in self.names.namesakes(id):
                self._to_report[namesake] = None

    def emit_members_changed(self) -> None:
        """At the end of each input: one MembersChanged effect for all that it changed, one AnnouncementsChanged."""
        if self._to_report:
            self._context.effects.append(MembersChanged(tuple(self._to_report)))
            self._to_report = {}
        if self._announced:
            self._context.effects.append(AnnouncementsChanged(tuple(self._announced)))
            self._announced = {}

    def _follow(self, id: NodeId, row: Row) -> Row:
        """Follow a row whose member's own entry, state or standing has changed. Returns the row."""
        context = self._context
        self.names.follow(row)
        can_speak = id == context.id or row.member is None or context.protocol.meets(row.member.protocol)
        row = self._hide_incompatible(id, row, not can_speak and row.active)
        member = row.member
        if member is not None and can_speak and id != context.id and row.member_generation >= row.liveness.generation:
            self._facts.append(ProcessNamed(id, member.boot_id, row.member_generation, member.addresses))
        known_as = self._states.get(id) or (_PLAIN if id in self._ring else None)
        belongs = row.active and can_speak and member is not None and bool(member.addresses)
        if belongs or id == context.id:
            self._ring.add(id)
        elif id in self._ring:
            self._ring.remove(id)
            self._facts.append(LeftRing(id))
        if not row.quarantined:
            self._note_state(id, row, known_as)
        return row

    def _note_state(self, id: NodeId, row: Row, before: str | None) -> None:
        """Tell of a change of its state, `before` being what was told last; None: it was never heard of."""
        state = state_of(row)
        if row.member is None or state == before:
            return
        if state == _PLAIN and id in self._ring:
            self._states.pop(id, None)
        else:
            self._states[id] = state
        if state != "dead":
            self.why.pop(id, None)
        gone_before_met = before is None and (row.dead or row.left)
        quiet = "suspect" in (state, before) and state in ("suspect", "alive")  # the watcher tells of its suspicions
        to_log = id != self._context.id and not quiet and not gone_before_met
        self._facts.append(StateChanged(id, state, row.member.name, self.reason(row), to_log))

    def reason(self, row: Row) -> str:
        """Why it is not alive, and who said so."""
        if not row.dead:
            return ""
        if row.declared_left:
            return "declared left by an operator (force-leave)"
        why = self.why.get(row.id, "")
        if row.reporter == self._context.id:
            return why or "declared dead by this sidecar"
        by = "another member" if row.reporter is None else self._table.name(row.reporter)
        return f"reported by {by}; {why}" if why else f"reported by {by}"

    def _forget(self, id: NodeId) -> None:
        self.names.forget(id)
        self._ring.remove(id)
        self._facts.append(LeftRing(id))  # also if it left the ring long ago: dead members are probed and greeted
        if INCOMPATIBLE in self._hidden.pop(id, {}):
            self._context.event("incompatible_version_over", id=id.hex())
        self._facts.append(LeftTable(id))
        self._states.pop(id, None)
        self.why.pop(id, None)
        self._changes += self._catalog.forget(id)
        if self.announcements.forget(id):
            self._announced[id] = None

    # -- local notes -------------------------------------------------------------------------------------------------

    def hide(self, id: NodeId, why: str, hidden: bool) -> None:
        """Out of our own answers for this reason, or no longer for this one; the table does not change."""
        reasons = self._hidden.setdefault(id, {})
        if hidden:
            reasons.setdefault(why, self._context.now)
        else:
            reasons.pop(why, None)
        if not reasons:
            del self._hidden[id]
        row = self._table.hide(id, bool(reasons))
        if row is None:
            return
        self._table.changes.note_other()
        self._changes += self._catalog.refresh(row)
        if row.member is not None and row.active:
            self._note_shown((id,))
            kind = "member_hidden" if hidden else "member_shown"
            self._context.event(kind, id=id.hex(), name=row.member.name, reason=why)

    def _hide_incompatible(self, id: NodeId, row: Row, hidden: bool) -> Row:
        """Keep a member that speaks no version of the protocol that we speak out of our answers, since we cannot find
        out whether it lives. Its row stays in the table and is gossiped, so that tables stay equal. Returns the row."""
        if hidden == (INCOMPATIBLE in self._hidden.get(id, ())):
            return row
        if hidden and row.member is not None:
            self._facts.append(FoundIncompatible(id, row.member.protocol))
        else:
            self._context.event("incompatible_version_over", id=id.hex())
        self.hide(id, INCOMPATIBLE, hidden)
        return self._table.rows[id]

    def why_hidden(self, id: NodeId) -> str:
        """Why this member is out of our answers, for people."""
        if INCOMPATIBLE in self._hidden.get(id, ()):
            return INCOMPATIBLE
        return "unreachable from here; no other member could confirm it"

    def hidden_since(self, id: NodeId) -> float:
        """Since when this member is out of our answers. It must be."""
        return min(self._hidden[id].values())

    def recall(self, rows: dict[NodeId, Row]) -> None:
        """Answer with these rows, kept from the last run, until this member is synced."""
        self._table.changes.note_other()
        self._to_report |= dict.fromkeys(rows)
        self._changes += self._catalog.recall(rows)

    def forget_recalled(self) -> None:
        self._table.changes.note_other()
        self._to_report |= dict.fromkeys(self._catalog.recalled)
        self._changes += self._catalog.forget_recalled()

    def stale(self, stale: bool) -> None:
        """Mark what the answers say of others as last known, or fresh again."""
        self._table.changes.note_other()
        self._changes += self._catalog.set_stale(stale)
