"""Invariant 11, in part: a synced member holds the versions that were listed to it."""

from gossipreg.core.effects import Effect, Event
from gossipreg.errors import BadDatagram
from gossipreg.model import Address, NodeId, Version
from gossipreg.wire import codec
from gossipreg.wire.messages import Versions
from gossipreg.wire.seal import HEADER_BYTES
from simulations.checkers.checker import Checker
from simulations.host import Host
from simulations.world import World


class SyncedHoldsAll(Checker):
    """A member that reports `synced` holds every version that its first peer listed, except of members that no longer
    run in that generation, that are dead or left in its own table, or that the peer no longer lists."""

    name = "synced"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._listed: dict[tuple[int, int], dict[NodeId, tuple[Version, Host]]] = {}
        """By (member, number of its start): each listed version, and the member that listed it."""

    def on_arrival(self, host: Host, datagram: bytes, source: Address) -> None:
        inspection = host.node.inspect()
        listing = inspection.listing
        if host.node.synced or listing is None or inspection.address(listing.peer) != source:
            return
        try:
            messages, _ = codec.decode_untrusted(datagram[HEADER_BYTES:])
        except BadDatagram:
            return
        lister = self.world.by_id.get(listing.peer)
        for message in messages:
            if type(message) is Versions and message.next is not None and lister is not None:
                listed = self._listed.setdefault((host.number, host.starts), {})
                for id, generation, counter in message.rows:
                    listed[id] = Version(generation, counter), lister

    def on_effect(self, host: Host, effect: Effect) -> None:
        if type(effect) is not Event or effect.kind != "synced":
            return
        for id, (version, lister) in self._listed.pop((host.number, host.starts), {}).items():
            if id != host.id and not self._may_lack(host, id, version, lister):
                self.fail(
                    f"{host.name} is synced, and lacks {version.counter} of {self.called(id)} that {lister.name} has "
                    f"listed",
                    host,
                    lister,
                    *self.owner(id),
                )

    def _may_lack(self, host: Host, id: NodeId, version: Version, lister: Host) -> bool:
        row = host.node.table.rows.get(id)
        if row is not None and (row.content_version >= version or row.dead or row.left):
            return True
        owner = self.world.by_id.get(id)
        runs = owner is not None and owner.up and owner.id == id and owner.generation <= version.generation
        return not runs or not lister.up or id not in lister.node.ring
