"""What a journal knows of the cluster: read from the table of the node that runs beside it.

Owns: since when each member is in its standing, and the claims, which are services of a reserved name here, so that
they travel by gossip in their owner's row. Never knows: journals.
"""

from collections.abc import Iterable

from gossipreg.core.table.row import Row, State
from gossipreg.journal.membership import JournalHost, LeaderClaim, ProcessStanding, SeenMember
from gossipreg.journal.model import Ballot, JournalId, ReplicaId
from gossipreg.model import BootId, Health, NodeId, RegisteredService, Status
from simulations.host import Host
from simulations.world import World

CLAIMS = "journal-claims"
_ABSENT = SeenMember(ProcessStanding.ABSENT, BootId(b""), 0.0)


def host_of(host: Host) -> bytes:
    """Return the name of a machine."""
    return b"host" + host.number.to_bytes(4)


class Registry:
    """The membership of one process."""

    def __init__(self, world: World, host: Host) -> None:
        self._world = world
        self._host = host
        self._node = host.node
        self.synced_at: float | None = None
        self._seen: dict[NodeId, SeenMember] = {}
        self._claims: dict[JournalId, list[LeaderClaim]] = {}
        self._claims_at = -1

    def look(self, ids: Iterable[NodeId]) -> bool:
        """Note what has become of these members; return whether that is new."""
        now, new = self._host.local(self._world.now), False
        if self.synced_at is None and self._node.synced:
            self.synced_at, new = now, True
        for id in ids:
            new = self._note(id, now) or new
        return new or self._claims_at != self._node.catalog.index(CLAIMS)

    def _note(self, id: NodeId, now: float) -> bool:
        row = self._node.table.rows.get(id)
        if row is None or row.member is None or row.quarantined:
            return self._seen.pop(id, None) is not None
        standing, boot = self._standing(row, now), row.member.boot_id
        before = self._seen.get(id)
        if before is not None and (before.standing, before.boot_id) == (standing, boot):
            return False
        self._seen[id] = SeenMember(standing, boot, now)
        return True

    def _standing(self, row: Row, now: float) -> ProcessStanding:
        assert row.member is not None
        if row.state is State.LEFT:
            return ProcessStanding.LEFT
        if row.dead or row.hidden:
            info = self._node.member(row.id, now)
            refused = info is not None and "refused" in info.reason
            return ProcessStanding.REFUSED if refused else ProcessStanding.SILENT
        if row.member.status is Status.RESTARTING and row.hold_until > now:
            return ProcessStanding.RESTARTING
        return ProcessStanding.LIVES

    # -- what journals ask -------------------------------------------------------------------------------------------

    def member(self, node: NodeId) -> SeenMember:
        return self._seen.get(node, _ABSENT)

    def claims(self, journal: JournalId) -> Iterable[LeaderClaim]:
        version = self._node.catalog.index(CLAIMS)
        if version != self._claims_at:
            self._claims_at, self._claims = version, self._read_claims()
        return self._claims.get(journal, ())

    def _read_claims(self) -> dict[JournalId, list[LeaderClaim]]:
        found: dict[JournalId, list[LeaderClaim]] = {}
        for instance in self._node.catalog.lookup(CLAIMS):
            row = self._node.table.rows.get(instance.node)
            if row is None or row.member is None or row.member_generation != instance.version.generation:
                continue
            meta = dict(instance.service.meta)
            ballot = Ballot(int(meta["round"]), ReplicaId(bytes.fromhex(meta["replica"])))
            journal = JournalId(bytes.fromhex(instance.service.id))
            found.setdefault(journal, []).append(LeaderClaim(ballot, instance.node, row.member.boot_id))
        return found

    def hosts(self) -> Iterable[JournalHost]:
        for id, row in self._node.table.rows.items():
            if row.lives and row.member is not None and row.member.durable and id in self._world.by_id:
                yield JournalHost(id, host_of(self._world.by_id[id]), row.member.zone)

    # -- our own claims ----------------------------------------------------------------------------------------------

    def claim(self, journal: JournalId, ballot: Ballot) -> None:
        """Say in our row that we lead this journal."""
        meta = (("replica", ballot.replica.hex()), ("round", str(ballot.round)))
        service = RegisteredService(journal.hex(), CLAIMS, self._host.address.host, 0, meta=meta)
        now = self._host.local(self._world.now)
        self._world.act(self._host, self._node.register(service, Health.PASSING, now)[1])

    def withdraw(self, journal: JournalId) -> None:
        if journal.hex() in self._node.own_services:
            self._world.act(self._host, self._node.deregister(journal.hex(), self._host.local(self._world.now)))
