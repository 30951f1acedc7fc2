"""Quarantine: probe the owner of a row that another member sent, and whose generation is too old or in the future.

Owns: which owners to probe, and how many in one round. Never knows: why a row was quarantined (`table/table.py`).

An ack admits the row. After `quarantine_tries` probes without an ack we hold the owner dead, unless we are isolated,
and a member that gossips the row gets that claim as an answer. So a host that slept for days, and gossips members that
are long dead, does not make them alive again.

Dropping such a row silently is not enough: members that never held the row have a ring without its owner, so no
member would probe it, and the host that slept would keep the dead member for ever.
"""

from gossipreg.core.context import Context
from gossipreg.core.failure.interface import Detector
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.table import Table
from gossipreg.model import NodeId, Rank
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.messages import Claim


@dataclass(frozen=True, slots=True)
class ProbeOwners:
    """Timer: probe the owners of quarantined rows."""


class Quarantine:
    def __init__(self, context: Context, table: Table, channel: Channel, detector: Detector) -> None:
        self._context = context
        self._tuning = context.config.failure
        self._table = table
        self._channel = channel
        self._detector = detector
        self._tries: dict[NodeId, tuple[int, float]] = {}
        """How often each owner was probed, and since when."""

    def add(self, id: NodeId) -> None:
        """Probe the owner of this quarantined row until it acks, or is held dead."""
        if id not in self._tries:
            self._tries[id] = 0, self._context.now
            self._context.count("unproven")
            self._context.timers.set_earlier(ProbeOwners(), self._context.now)

    def acked(self, id: NodeId) -> None:
        """Admit the row, if it is quarantined: its owner acked a probe of ours."""
        self._tries.pop(id, None)
        self._table.admit(id, self._context.now)

    def on_probe_owners(self) -> None:
        """Probe the next owners. Hold those dead that did not ack their last probe."""
        context = self._context
        for id in list(self._tries)[: self._tuning.quarantine_at_once]:
            row = self._table.rows.get(id)
            tries, since = self._tries.pop(id)
            if row is None or not row.quarantined or row.dead:
                continue
            if tries < self._tuning.quarantine_tries:
                self._detector.probe(id)  # nothing is sent while its address is on a page that has not come yet
                self._tries[id] = tries + 1, since  # to the end of the queue
            elif context.heard_at > since and self._channel.can_speak_with(id):
                gone = Claim(id, row.liveness.generation, row.liveness.incarnation, Rank.DEAD, context.id)
                self._table.merge_claim(gone, context.now)
            else:  # we are isolated or cannot speak with it: the missing acks say nothing about the owner
                self._tries[id] = 0, context.now
        if self._tries:
            context.timers.set(ProbeOwners(), context.now + context.config.rtt_ceiling_s)
