"""What people see of the journals here: the section of `info`, the answers of `journals`, and the counters."""

from collections.abc import Mapping

from gossipreg.core.node import Node
from gossipreg.daemon.journals.runtime import JournalRuntime
from gossipreg.daemon.streams.opening import FailedOpening
from gossipreg.journal.leaderless import leader_of
from gossipreg.journal.leading import Leading
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId, ReplicaPlace
from gossipreg.journal.replica import Replica
from gossipreg.model import NodeId
from gossipreg.streams.values import meaning_of_end
from gossipreg.wire.shapes import Shape

LEADS = "leads"
ENDED = "ended"
"""The role of a note that a journal has ended."""
UNPROVEN = "unproven"
"""The role of a sidecar that believes that it leads, where no majority of the voters says so in time."""
FAILED_SHOWN = 20
ID_SHOWN = 12
"""Hex digits of a journal's id in a line for people."""
ALIVE = "alive"
FULL_FROM = 0.8
"""The part of what a journal may hold from which on `info` shows it."""
_STANDING = {
    ProcessStanding.LIVES: ALIVE, ProcessStanding.RESTARTING: "restarting", ProcessStanding.LEFT: "left",
    ProcessStanding.REFUSED: "dead", ProcessStanding.SILENT: "dead", ProcessStanding.ABSENT: "unknown",
}  # fmt: skip


class JournalsShown:
    def __init__(self, runtime: JournalRuntime, node: Node) -> None:
        self._runtime = runtime
        self._node = node

    # -- one journal -------------------------------------------------------------------------------------------------

    def all(self) -> list[Shape]:
        """The journals of which a copy is here, in the order of their ids. What is led is so as far as this sidecar
        knows."""
        replicas = self._replicas()
        return [self._journal(id, replicas[id]) for id in sorted(replicas)]

    async def proven(self, prefix: str = "") -> list[Shape]:
        """Those whose ids in hex begin so. What the voters do not confirm in time is shown as unproven. Raises Busy."""
        led = [id for id, one in self._replicas().items() if id.hex().startswith(prefix) and role_of(one) == LEADS]
        proven = await self._runtime.proofs.proven(led)
        replicas = self._replicas()
        return [
            self._journal(id, replicas[id], unproven=id not in proven)
            for id in sorted(replicas) if id.hex().startswith(prefix)
        ]  # fmt: skip

    def ids(self, prefix: str) -> list[JournalId]:
        """Those of which a copy is here and whose ids in hex begin so."""
        return [id for id in self._replicas() if id.hex().startswith(prefix)]

    def _replicas(self) -> Mapping[JournalId, Replica]:
        journals = self._runtime.journals
        return {} if journals is None else journals.replicas

    def _journal(self, id: JournalId, replica: Replica, *, unproven: bool = False) -> Shape:
        shape = self._as_believed(id, replica)
        if unproven and shape["role"] == LEADS:
            unknown = dict.fromkeys(("leader", "leader_name", "copies", "takeover", "behind"))
            members = {
                name: [self._place(replica, place, leading=None) for place in places]
                for name, places in (("voters", replica.data.configuration.all_voters),
                                     ("learners", replica.data.configuration.learners))
            }  # fmt: skip
            return {**shape, **unknown, **members, "role": UNPROVEN, "orphaned": False}
        return shape

    def _as_believed(self, id: JournalId, replica: Replica) -> Shape:
        data, leading = replica.data, replica.leading
        configuration = data.configuration
        leader = None if leading is not None else leader_of(data)
        led_by = self._node.id if leading is not None else None if leader is None else leader.node
        return {
            "id": id.hex(),
            "owner": data.owner.hex(),
            "owner_name": self._node.name(data.owner),
            "role": role_of(replica),
            "leader": None if led_by is None else led_by.hex(),
            "leader_name": None if led_by is None else self._node.name(led_by),
            "ballot": str(data.promised if leading is None else leading.ballot),
            "copies": None if leading is None else leading.copies(data.committed),
            "takeover": data.survives_one,
            "voters": [self._place(replica, place, leading) for place in configuration.all_voters],
            "learners": [self._place(replica, place, leading) for place in configuration.learners],
            "behind": leading is not None and any(not one.current for one in leading.followers.values()),
            "committed": data.committed,
            "bytes": 0 if self._runtime.disk is None else self._runtime.disk.space.get(id, 0),
            "fill": round(data.fill, 3),
            "orphaned": replica.orphaned,
        }

    def _place(self, replica: Replica, place: ReplicaPlace, leading: Leading | None) -> Shape:
        return {
            "node": place.node.hex(),
            "name": self._node.name(place.node),
            "replica": place.replica.hex(),
            "state": self._state(replica, place, leading),
        }

    def _state(self, replica: Replica, place: ReplicaPlace, leading: Leading | None) -> str:
        """What the leader knows of it, elsewhere what the registry knows of its member."""
        if place.replica == replica.data.replica:
            return "here"
        standing = _STANDING[self._runtime.membership.member(place.node).standing]
        if standing == ALIVE and self._is_suspected(place.node):
            return "suspect"
        follower = None if leading is None else leading.followers.get(place.replica)
        if follower is None or standing != ALIVE:
            return standing
        if follower.lost:
            return "lost"
        return "current" if follower.current else f"behind ({follower.mode.value})"

    def _is_suspected(self, node: NodeId) -> bool:
        """Here, or by another member."""
        member = self._node.member(node, self._runtime.now())
        return member is not None and member.state == "suspect"

    # -- info --------------------------------------------------------------------------------------------------------

    def section(self) -> Shape:
        """The section `journals` of `info`. Flat, one line each for people."""
        streams, journals = self._runtime.streams, self._runtime.journals
        shown: Shape = {"streams": len(streams)}
        for node, failed in sorted(streams.failed().items())[:FAILED_SHOWN]:
            shown[f"no stream to {self._node.name(node)}"] = self._why_no_stream(node, failed)
        own = None if journals is None else journals.own
        if journals is not None and own is not None:
            shape = self._journal(own, journals.replicas[own])
            shown |= {"own": own.hex(), "copies": shape["copies"], "takeover": shape["takeover"]}
        for one in self.all():
            if one["role"] != ENDED:
                shown[one["id"]] = in_one_line(one)
        return shown

    def orphaned(self) -> list[str]:
        """The journals that are led here and whose owner is away for long: the beginnings of their ids, and whose."""
        replicas = self._replicas()
        found = sorted(id for id, one in replicas.items() if one.orphaned)
        return [f"{id.hex()[:ID_SHOWN]} of {self._node.name(replicas[id].data.owner)}" for id in found]

    def leaderless(self, now: float) -> dict[str, float]:
        """The journals that nobody has led for long: the beginnings of their ids, whose, and the states of their
        voters; and since when."""
        replicas = self._replicas()
        return {
            f"{id.hex()[:ID_SHOWN]} of {self._node.name(replicas[id].data.owner)} ({self._voters(replicas[id])})": since
            for id, since in self._runtime.leaderless.long(now).items()
            if id in replicas
        }

    def _voters(self, replica: Replica) -> str:
        places = replica.data.configuration.all_voters
        return ", ".join(sorted(f"{self._node.name(one.node)} {self._state(replica, one, None)}" for one in places))

    def _why_no_stream(self, node: NodeId, failed: FailedOpening) -> str:
        alive = self._runtime.membership.member(node).standing is ProcessStanding.LIVES
        why = meaning_of_end(failed.reason) or failed.reason
        return f"gossip yes, streams no: {why}" if alive else why

    def counts(self) -> dict[str, int]:
        """Figures and counters, for `info` and the metrics."""
        runtime, journals = self._runtime, self._runtime.journals
        replicas = [] if journals is None else [*journals.replicas.values()]
        leading = [one.leading for one in replicas if one.leading is not None]
        found = {
            **runtime.streams.statistics(),
            "journals": sum(not one.data.ended for one in replicas),
            "journals_leaderless": len(runtime.leaderless),
            "journals_led": sum(one.established for one in leading),
            "journals_behind": sum(_behind(one) for one in leading),
            "journals_out": sum(one.data.out is not None for one in replicas),
            "journals_orphaned": sum(one.orphaned for one in replicas),
            "journal_fill_percent": round(100 * max((one.data.fill for one in replicas if one.leading), default=0.0)),
            **runtime.counts,
            **({} if journals is None else journals.counts),
        }
        disk = runtime.disk
        if disk is not None and (statistics := disk.statistics()) is not None:
            found |= {
                "journal_bytes": sum(disk.space.values()), "journal_writes_waiting": statistics.waiting,
                "journal.commits": statistics.commits, "journal.writes": statistics.writes,
            }  # fmt: skip
        return found


def _behind(leading: Leading) -> bool:
    return any(not one.current for one in leading.followers.values())


def role_of(replica: Replica) -> str:
    """What this copy is to its journal, in a word."""
    data, leading = replica.data, replica.leading
    if data.ended:
        return ENDED
    if data.out is not None:
        return f"out: {data.out.value}"
    if leading is not None:
        return LEADS if leading.established else "elected"
    if not data.votes:
        return "learns"
    return "follows" if leader_of(data) is not None else "leaderless"


def in_one_line(shape: Shape) -> str:
    """A journal in the section of `info`, which asks no voter whether this sidecar still leads."""
    role = "leads as far as this sidecar knows" if shape["role"] == LEADS else shape["role"]
    voters = ", ".join(f"{one['name']} {one['state']}" for one in shape["voters"])
    full = f", {shape['fill']:.0%} full" if shape["fill"] >= FULL_FROM else ""
    orphaned = ", orphaned" if shape["orphaned"] else ""
    return f"{role}{orphaned}{full}, of {shape['owner_name']}, ballot {shape['ballot']}, voters: {voters}"
