"""The known members, kept in the data directory for the next start. A member that ends alone keeps those that it knew
last."""

from functools import partial

import trio

from gossipreg.core.view import View
from gossipreg.daemon.data_directory import Peers, keep_peers
from gossipreg.daemon.store import Store

PEERS_S = 5.0
"""The interval at which the known members are compared with those on the disk."""


async def keep_known_peers(view: View, store: Store) -> None:
    """Until cancelled."""
    kept: Peers = {}
    while True:
        peers = view.worth_remembering()
        if peers and peers != kept:
            kept = peers
            store.commit_later("peers", partial(keep_peers, peers))
        await trio.sleep(PEERS_S)
