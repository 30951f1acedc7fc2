"""What the daemon, an operator and the laboratory may read of a node. Nothing here changes its state.

Owns: how the state of the parts is shown in values, words and figures. `Node` is a View with inputs. Never knows: how a
value is encoded or printed.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gossipreg.core.context import Context
from gossipreg.core.failure.interface import Detector
from gossipreg.core.failure.isolation import Isolation
from gossipreg.core.failure.pairs import LossyPair
from gossipreg.core.failure.quarantine import Quarantine
from gossipreg.core.gossip.dissemination import Dissemination
from gossipreg.core.gossip.join import Joining
from gossipreg.core.gossip.pulls import Pulls
from gossipreg.core.gossip.row_acks import RowAcks
from gossipreg.core.knowledge import Knowledge
from gossipreg.core.local.identity_conflict import IdentityConflict
from gossipreg.core.local.own_row import OwnRow
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import DatagramOutbox
from gossipreg.core.session.path_mtu import NarrowPath, PathMtu
from gossipreg.core.session.reconnect import Reconnect
from gossipreg.core.session.round_trips import RoundTrips
from gossipreg.core.session.sessions import PeerSessions
from gossipreg.core.table.announcements import Announcements
from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.membership import MembershipIndex, state_of
from gossipreg.core.table.names import ID_DIGITS, MemberNames
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.row import Row, Standing
from gossipreg.core.table.table import Table
from gossipreg.errors import NotFound, Refused
from gossipreg.model import Address, MemberInfo, NodeId, RegisteredService, Status, Version, fold_name

if TYPE_CHECKING:
    from gossipreg.core.inspect import Inspection

_SHOWN = ("suspect", "dead", "left")
"""The states of members as lists show them. A member in any other state is listed as alive."""


class View:
    id: NodeId
    catalog: Catalog
    table: Table
    """The table. Read it only."""
    _context: Context
    _ring: Ring
    _sessions: PeerSessions
    _outbox: DatagramOutbox
    _round_trips: RoundTrips
    _channel: Channel
    _detector: Detector
    _pulls: Pulls
    _joining: Joining
    _isolation: Isolation
    _reconnect: Reconnect
    _own_row: OwnRow
    _paths: PathMtu
    _membership: MembershipIndex
    _row_acks: RowAcks
    _dissemination: Dissemination
    _quarantine: Quarantine
    _identity_conflict: IdentityConflict
    _lag_s = 0.0

    @property
    def synced(self) -> bool:
        """Whether this member holds every version that one peer listed at first, or was given no seed."""
        return self._joining.synced

    @property
    def missing(self) -> dict[NodeId, NodeId]:
        """The rows with a version that could not be pulled so far, each with a member that has that version. Before
        this member is synced: the rows that its first peer listed and that are not here, also those being pulled."""
        return self._pulls.missing() if self.synced else self._joining.missing()

    def missing_from(self) -> list[str]:
        """The members that have the missing rows, for people: `NAME at ADDRESS`, or the known part of that."""
        sources = dict.fromkeys(self.missing.values())
        return sorted(" at ".join(filter(None, self._channel.named_at(id))) for id in sources)

    @property
    def narrow_paths(self) -> list[NarrowPath]:
        """The paths that carry only smaller datagrams than configured."""
        return self._paths.narrow()

    @property
    def lossy_pairs(self) -> list[LossyPair]:
        """The members that other members reach, while datagrams between them and us are lost."""
        return self._detector.lossy_pairs

    @property
    def alone(self) -> bool:
        """Whether this member is isolated: it receives nothing from anybody, and its answers are those known last."""
        return self._isolation.alone

    @property
    def knowledge(self) -> Knowledge:
        """How much is known of the whole cluster. Ask this before you answer that there is nothing."""
        if self.catalog.recalled:
            return Knowledge.LAST_KNOWN
        if not self._context.synced or self._isolation.given_up:
            return Knowledge.NOT_SYNCED
        return Knowledge.ISOLATED if self._isolation.alone else Knowledge.SYNCED

    def why_not_synced(self, now: float) -> str:
        """Why questions about the whole cluster have no certain answer, in words; empty if they have one."""
        if not self.synced:
            return self._joining.progress + self._reconnect.waiting_in_words(now)
        if self.catalog.recalled:
            return "the first member that listed its table had just started itself, and may not know all"
        if self.knowledge.refuses:
            return f"nothing has arrived from any other member for {now - self._context.heard_at:.0f} s"
        return ""

    @property
    def out(self) -> bool:
        """Whether this member is damped: declared dead repeatedly by a fault of its own, and not back yet."""
        return self._context.damped

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Our addresses as we announce them: one of each family, best first; none while none is known."""
        return self._own_row.member.addresses

    @property
    def foreign_generation(self) -> int:
        """The highest generation of our id that this process did not issue and that may be of another one: the data
        directory is a restored backup, or has a copy that was used. 0: none is known. It rises in the input that shows
        it, before what follows from that."""
        return self._identity_conflict.foreign_generation

    @property
    def has_met(self) -> bool:
        """Whether another member has proven its address to this process."""
        return self._context.has_met

    @property
    def version(self) -> Version:
        """The version of our own row."""
        return self._own_row.version

    @property
    def own_services(self) -> Mapping[str, RegisteredService]:
        """The services that our row announces, by id."""
        return self._own_row.services

    def check_room(self, service: RegisteredService) -> None:
        """Raise TooLarge if our row has no room for this service as it is now, where it may stand already."""
        self._own_row.check_room(service)

    @property
    def fingerprint(self) -> int:
        """The fingerprint of the table. Equal tables have equal fingerprints."""
        return self.table.fingerprint

    @property
    def ring(self) -> Ring:
        """The active members. Read it only."""
        return self._ring

    @property
    def touched(self) -> list[NodeId]:
        """The ids of the rows that the last input changed or removed."""
        return self.table.changes.ids

    def acks_missing(self) -> list[NodeId]:
        """The living members that have not acked our row since `await_acks`; empty if no client waits for them."""
        return self._row_acks.missing()

    @property
    def sent(self) -> tuple[int, int]:
        """Datagrams and bytes (UDP payload) sent so far."""
        return self._outbox.sent_datagrams, self._outbox.sent_bytes

    def inspect(self) -> "Inspection":
        """The inner state, for tests and the laboratory."""
        from gossipreg.core.inspect import Inspection  # no sidecar needs it

        return Inspection(self)

    def row(self, id: NodeId) -> Row | None:
        """The row that answers are made of: the one in the table, or else the one kept from the last run."""
        row = self.table.rows.get(id)
        usable = row is not None and row.member is not None and not row.quarantined
        return row if usable else self.catalog.recalled.get(id, row)

    def standing(self, id: NodeId) -> Standing | None:
        """Whether this member lives. The local socket, HTTP, DNS and the metrics all read it here. None: no such member
        is known, or its row is quarantined."""
        row = self.row(id)
        return None if row is None else row.standing

    def why_dead(self, id: NodeId) -> str:
        """For a member that was declared dead by us: on what grounds; by another member: what we had seen of it. For
        people; empty if nothing was seen."""
        return self._membership.why.get(id, "")

    def shown_name(self, id: NodeId) -> str | None:
        """The name that shows this member where each name has one entry (`names.py`). A member known only from the last
        run is shown unless a member of the table has its name. None if it is not shown."""
        recalled = None if self.names.shown(id) is not None else self.catalog.recalled.get(id)
        if recalled is None or recalled.member is None:
            return self.names.shown(id)
        return recalled.member.name if self.names.named(recalled.member.name) is None else None

    def named(self, name: str) -> NodeId | None:
        """The member that `shown_name` gives this name, in any case."""
        found = self.names.named(name)
        if found is None and self.catalog.recalled:
            wanted = fold_name(name)
            found = next((id for id in self.row_ids() if fold_name(self.shown_name(id) or "") == wanted), None)
        return found

    def row_ids(self) -> list[NodeId]:
        """The ids of all rows that answers are made of, in order."""
        return sorted(self.table.rows.keys() | self.catalog.recalled.keys())

    def worth_remembering(self) -> dict[NodeId, Address]:
        """Members to greet after a restart, for `remember`. Their number is bounded."""
        return self._reconnect.worth_remembering()

    def name(self, id: NodeId) -> str:
        """The name of a member, for people, as answers are made of it; its id if no name is known."""
        row = self.row(id)
        return id.hex() if row is None or row.member is None else row.member.name

    def name_of_gone(self, id: NodeId) -> str:
        """As `name`; of a dead member that was replaced NAME.ID8, since the living one has the name."""
        name = self.name(id)
        return name if self.names.replaced_by(id) is None else f"{name}.{id.hex()[:ID_DIGITS]}"

    def rtt_s(self, id: NodeId) -> float | None:
        return 0.0 if id == self.id else self._round_trips.smoothed_s(id)

    @property
    def announcements(self) -> Announcements:
        """What members announce beside their services. Read it only."""
        return self._membership.announcements

    @property
    def names(self) -> MemberNames:
        """Members by name. Read it only."""
        return self._membership.names

    def members(self, now: float) -> list[MemberInfo]:
        """All members in the table, ourselves included, in the order of their ids."""
        rows = self.table.rows
        infos = (self.member(id, now) for id in sorted(rows))
        return [info for info in infos if info is not None]

    def replaced_members(self, now: float) -> list[MemberInfo]:
        """The dead members that `members` leaves out, since a living one of their name has replaced them."""
        infos = (self.member_or_replaced(id, now) for id in sorted(self.table.rows) if self.names.replaced_by(id))
        return [info for info in infos if info is not None and info.state != "left"]

    def member(self, id: NodeId, now: float) -> MemberInfo | None:
        """One member. None if it is unknown, if its row is quarantined, or if it is dead and was replaced by a member
        of its name at its address. A replaced member is only not shown: the table keeps its death, so that a member
        that was partitioned away does not bring it back."""
        return None if self._membership.names.replaced_by(id) is not None else self.member_or_replaced(id, now)

    def member_or_replaced(self, id: NodeId, now: float) -> MemberInfo | None:
        """As `member`, also for a dead member that was replaced: what it announced still counts, so an operator may
        have to declare it left."""
        row = self.table.rows.get(id)
        standing = None if row is None else row.standing
        if row is None or row.member is None or standing is None:
            return None
        state, since, reason = state_of(row), row.changed_at, self._membership.reason(row)
        suspicion = self._detector.suspicion(id)
        if row.hidden and standing is Standing.DEAD:
            state, since, reason = "dead", self._membership.hidden_since(id), self._membership.why_hidden(id)
        elif state == "restarting" and row.hold_until > now:  # it has announced that nothing comes from it until then
            since = row.hold_until - row.member.hold_s
            reason = f"restarting, to be back within {row.hold_until - now:.0f} s"
        elif suspicion is not None and not row.dead:
            state, since, reason = "suspect", suspicion.since, suspicion.reason
        rtt = self.rtt_s(id)
        return MemberInfo(
            id, row.member.name, self._channel.address(id), state if state in _SHOWN else "alive",
            row.member.zone, row.member.labels, None if rtt is None else rtt * 1000, self.catalog.service_count(id),
            row.version, max(0.0, now - since), reason or ("" if state in ("alive", "left") else state),
            row.member.reason if row.member.status is Status.DRAINING else None, row.member.keys,
            row.member.software,
        )  # fmt: skip

    def statistics(self, now: float) -> dict[str, int | float | str]:
        """Figures for the operator. Names with a dot are counters."""
        context = self._context
        fixed: dict[str, int | float | str] = {
            "synced": self.synced, "members": len(self._ring), "fingerprint": f"{self.table.fingerprint:016x}",
            "health_score": self._detector.health_score, "rows": len(self.table.rows), "lost": len(self._reconnect),
            "out": context.damped, "lossy_pairs": len(self.lossy_pairs),
            "table_bytes": self.table.size_bytes, "timers": len(context.timers), "loop_lag_s": self._lag_s,
            "unreceipted": self._dissemination.unacked(), "heard_s": round(min(now - context.heard_at, now), 3),
            "sent.datagrams": self._outbox.sent_datagrams, "sent.bytes": self._outbox.sent_bytes,
            "received.datagrams": context.received_datagrams, "received.bytes": context.received_bytes,
            "sent.withheld": self._outbox.withheld, "sent.throttled": self._outbox.throttled,
        }  # fmt: skip
        fixed |= {f"sent.{kind}": number for kind, number in self._outbox.sent_kinds.items()}
        fixed |= {f"sent_bytes.{kind}": number for kind, number in self._outbox.sent_kind_bytes.items()}
        fixed |= {f"table.{what}": number for what, number in self.table.counts.items()}
        return fixed | context.counts


def check_gone(member: MemberInfo | None, *, own: bool) -> None:
    """Raise NotFound or Refused if an operator may not declare this member left."""
    if member is None:
        raise NotFound("there is no such member: see `gossipreg members`")
    who = f"{member.name} ({member.id.hex()})"
    if own:
        raise Refused(f"{who} is this sidecar itself: end it with `gossipreg leave`")
    if member.state == "left":
        raise Refused(f"{who} has left already")
    if member.state not in ("dead", "suspect"):
        raise Refused(f"{who} is alive here: end it with `gossipreg leave` on its host, or wait until it is dead")
