"""What people see of the journals here: the section of `info`, the answers of `journals`, and the counters."""

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

FAILED_SHOWN = 20
ID_SHOWN = 12
"""Hex digits of a journal's id in a line for people."""
FULL_FROM = 0.8
"""The part of what a journal may hold from which on `info` shows it."""
_STANDING = {
    ProcessStanding.LIVES: "alive", ProcessStanding.RESTARTING: "restarting", ProcessStanding.LEFT: "left",
    ProcessStanding.REFUSED: "dead", ProcessStanding.SILENT: "dead", ProcessStanding.ABSENT: "unknown",
}  # fmt: skip


class JournalsShown:
    def __init__(self, runtime: JournalRuntime, node: Node) -> None:
        self._runtime = runtime
        self._node = node

    # -- one journal -------------------------------------------------------------------------------------------------

    def all(self) -> list[Shape]:
        """The journals of which a copy is here, in the order of their ids."""
        journals = self._runtime.journals
        replicas = {} if journals is None else journals.replicas
        return [self._journal(id, replicas[id]) for id in sorted(replicas)]

    def found(self, prefix: str) -> list[Shape]:
        """Those whose ids in hex begin so."""
        return [shape for shape in self.all() if shape["id"].startswith(prefix)]

    def _journal(self, id: JournalId, replica: Replica) -> Shape:
        data, leading = replica.data, replica.leading
        configuration = data.configuration
        leader = None if leading is not None else leader_of(data)
        led_by = self._node.id if leading is not None else None if leader is None else leader.node
        return {
            "id": id.hex(),
            "owner": data.owner.hex(),
            "owner_name": self._node.name(data.owner),
            "role": _role(replica),
            "leader": None if led_by is None else led_by.hex(),
            "leader_name": None if led_by is None else self._node.name(led_by),
            "ballot": str(data.promised if leading is None else leading.ballot),
            "copies": None if leading is None else leading.copies(data.committed),
            "takeover": len(configuration.voters) == 3,
            "voters": [self._place(replica, place) for place in configuration.all_voters],
            "learners": [self._place(replica, place) for place in configuration.learners],
            "behind": leading is not None and any(not one.current for one in leading.followers.values()),
            "committed": data.committed,
            "bytes": 0 if self._runtime.disk is None else self._runtime.disk.space.get(id, 0),
            "fill": round(data.fill, 3),
            "orphaned": replica.orphaned,
        }

    def _place(self, replica: Replica, place: ReplicaPlace) -> Shape:
        return {
            "node": place.node.hex(),
            "name": self._node.name(place.node),
            "replica": place.replica.hex(),
            "state": self._state(replica, place),
        }

    def _state(self, replica: Replica, place: ReplicaPlace) -> str:
        """What the leader knows of it, elsewhere what the registry knows of its member."""
        if place.replica == replica.data.replica:
            return "here"
        standing = _STANDING[self._runtime.membership.member(place.node).standing]
        follower = None if replica.leading is None else replica.leading.followers.get(place.replica)
        if follower is None or standing != "alive":
            return standing
        if follower.lost:
            return "lost"
        return "current" if follower.current else f"behind ({follower.mode.value})"

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
            shown[one["id"]] = in_one_line(one)
        return shown

    def orphaned(self) -> list[str]:
        """The journals that are led here and whose owner is away for long: the beginnings of their ids, and whose."""
        journals = self._runtime.journals
        replicas = {} if journals is None else journals.replicas
        found = sorted(id for id, one in replicas.items() if one.orphaned)
        return [f"{id.hex()[:ID_SHOWN]} of {self._node.name(replicas[id].data.owner)}" for id in found]

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
            "journals": len(replicas),
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


def _role(replica: Replica) -> str:
    data, leading = replica.data, replica.leading
    if data.out is not None:
        return f"out: {data.out.value}"
    if leading is not None:
        return "leads" if leading.established else "elected"
    if not data.votes:
        return "learns"
    return "follows" if leader_of(data) is not None else "leaderless"


def in_one_line(shape: Shape) -> str:
    """A journal in the section of `info`."""
    voters = ", ".join(f"{one['name']} {one['state']}" for one in shape["voters"])
    full = f", {shape['fill']:.0%} full" if shape["fill"] >= FULL_FROM else ""
    orphaned = ", orphaned" if shape["orphaned"] else ""
    return f"{shape['role']}{orphaned}{full}, of {shape['owner_name']}, ballot {shape['ballot']}, voters: {voters}"
