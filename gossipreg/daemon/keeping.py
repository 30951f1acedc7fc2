"""What this sidecar keeps on the disk, and what of it comes back at the next start.

    data_directory  the database: identity, generation, services, health of their checks, maintenance, known members
    store           the queue of writes to it
    kept_table      the last known table, a file of its own

Without a data directory nothing is kept, and nothing comes back.
"""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import trio

from gossipreg.core.node import Node
from gossipreg.core.view import View
from gossipreg.daemon.data_directory import NOTE_MET, TRIAL, DataDirectory, Peers, keep_generation, keep_peers
from gossipreg.daemon.database_file import DATABASE
from gossipreg.daemon.kept import KeptState
from gossipreg.daemon.logs import Log
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.reports import Reports
from gossipreg.daemon.store import Store
from gossipreg.wire.messages import Delta

if TYPE_CHECKING:
    from gossipreg.daemon.kept_table import KeptTable

NAMED = 10
"""Changes that one line names."""
PEERS_S = 5.0
"""The interval at which the known members are compared with those on the disk."""


class Keeping:
    def __init__(self, data: DataDirectory | None, generation: int, cluster: str, log: Log, reports: Reports) -> None:
        """`generation` is the one in use, which a full disk may have kept from being written."""
        self._data = data
        self._table = None if data is None else _kept_table(data, cluster, log)
        self.store = Store(data, reports.not_kept, reports.kept_again, TRIAL)
        if data is not None and data.unwritten:
            reports.not_kept(data.unwritten)
            self.store.commit_later("generation", lambda: [keep_generation(generation)])

    @property
    def durable(self) -> bool:
        """Whether there is a data directory."""
        return self._data is not None

    def state(self) -> KeptState:
        """The registrations and checks of the last run."""
        return KeptState() if self._data is None else self._data.kept()

    def recall(self, node: Node, pump: Pump, counts_s: float) -> None:
        """Give the node the members and the table of the last run. The table counts for `counts_s` of wall time since
        it was last in sync."""
        if self._data is None or self._table is None:
            return
        peers = self._data.peers()
        pump.order(lambda now: node.remember(peers, now))

        def recall(deltas: Iterable[Delta], left_s: float) -> None:
            pump.order(lambda now: node.recall(deltas, left_s, now))

        self._table.recall(counts_s, recall)

    def keep_generation(self, generation: int) -> None:
        """The node has chosen a higher one. It is written soon, and this does not wait: a slow disk must not stop the
        answers. A crash before that costs the next start its copies of journals: it takes this generation, which others
        hold, for one of another process."""
        if self._data is not None:
            self._data.raised(generation)
            self.store.commit_later(f"generation {generation}", lambda: [keep_generation(generation)])

    async def run(self, view: View) -> None:
        """Until cancelled. What it asks `store` for is written as long as that runs, too."""
        if self._table is not None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_known_peers, view)
                nursery.start_soon(self._table.run, view)

    async def finish(self) -> None:
        """The sidecar ends: write what waits, while `store` runs."""
        await self.store.flushed()
        if self._table is not None:
            await self._table.finish()

    def unwritten(self) -> str:
        """What is not on the disk, in words."""
        names = self.store.unwritten()
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        found = [f"{DATABASE} lacks {', '.join(names[:NAMED])}{more}"] if names else []
        if self._table is not None and self._table.busy:
            found.append("last-known may lack the present table")
        return "; ".join(found)

    async def _keep_known_peers(self, view: View) -> None:
        """A member that ends alone keeps those that it knew last. The first one that this process has met is noted."""
        kept: Peers = {}
        noted = False
        while True:
            if view.has_met and not noted:
                noted = True
                self.store.commit_later("met", lambda: [NOTE_MET])
            peers = view.worth_remembering()
            if peers and peers != kept:
                kept = peers
                self.store.commit_later("peers", partial(keep_peers, peers))
            await trio.sleep(PEERS_S)


def _kept_table(data: DataDirectory, cluster: str, log: Log) -> "KeptTable":
    from gossipreg.daemon.kept_table import KeptTable  # a plain sidecar has no data directory

    return KeptTable(data.path, cluster, log)
