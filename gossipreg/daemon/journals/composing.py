"""Composes the journals of a sidecar with its node, its streams and its data directory."""

import os
import random
from collections.abc import Sequence

from gossipreg.core.node import Node
from gossipreg.daemon.journals.follower import JournalFollower, NoFollower
from gossipreg.daemon.journals.journal_reports import JournalReports
from gossipreg.daemon.journals.journal_setup import JournalSetup
from gossipreg.daemon.journals.runtime import JournalRuntime
from gossipreg.daemon.logs import Log
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.start import OpenedSidecar
from gossipreg.daemon.streams.node_streams import NodeStreams
from gossipreg.daemon.troubles import Troubles
from gossipreg.journal.tuning import JournalTuning
from gossipreg.model import Address, NodeId
from gossipreg.net.accepting import NoRoom, ignore
from gossipreg.streams.values import StreamMember, StreamSelf


def compose_journals(
    opened: OpenedSidecar, node: Node, pump: Pump, log: Log, troubles: Troubles, *, host: bytes,
    follower: JournalFollower | None = None, full: NoRoom = ignore,
) -> JournalRuntime:  # fmt: skip
    """`host` says which machine this is; `full` hears of connections that the system has no room for."""
    folder = None if opened.data is None else opened.data.path
    chosen = opened.settings
    tuning = JournalTuning(copies=chosen.copies, min_copies=chosen.min_copies)
    setup = JournalSetup(tuning, host, chosen.journal_space, folder)
    return JournalRuntime(
        setup, node, pump, streams_of(opened, node, pump, full), NoFollower() if follower is None else follower,
        JournalReports(log, troubles), rng=random.Random(os.urandom(16)), entropy=os.urandom,
    )  # fmt: skip


def streams_of(opened: OpenedSidecar, node: Node, pump: Pump, full: NoRoom) -> NodeStreams:
    """The streams of this process, to the members that its node knows."""

    def own() -> StreamSelf:
        member = StreamMember(
            node.id, opened.identity.public_key, opened.member.boot_id, node.table.generation, opened.settings.cluster
        )
        return StreamSelf(member, opened.identity.private_key)

    def addresses(id: NodeId) -> Sequence[Address]:
        """Those that it announces, best first; then the one from which its datagrams come."""
        row, info = node.table.rows.get(id), node.member(id, pump.now())
        announced = () if row is None or row.member is None else row.member.addresses
        seen = () if info is None or info.address is None else (info.address,)
        return tuple(one for one in dict.fromkeys((*announced, *seen)) if opened.transport.speaks(one))

    def keys(id: NodeId) -> tuple[bytes, ...] | None:
        row = node.table.rows.get(id)
        return None if row is None or row.member is None else row.member.keys

    return NodeStreams(own, node.keyring, addresses=addresses, keys=keys, entropy=os.urandom, bug=pump.bug, full=full)
