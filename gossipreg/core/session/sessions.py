"""Sessions: which member a boot id belongs to, and the address from which that member sends.

Owns: the bindings boot id <-> (id, generation), the replay window of each bound boot id, and the last address from
which a member has proven that it sends. Never knows: what the messages contain.

A binding comes from the member's own row, which carries its boot id, or from a Hello that echoes our nonce. A member
has one binding, that of its highest generation. If a member is known only from its row, its session, with a replay
window, begins when its first datagram comes: in a large cluster most pairs of members never exchange datagrams.

A nonce for a stranger is a keyed hash of (boot id, source, time), so a flood of strangers costs no memory. A nonce for
an address that we greet (a seed, a dead member) is drawn and kept, since the answer may come from another address.
"""

from collections.abc import Callable
from typing import NamedTuple

from gossipreg.blake2 import blake2b
from gossipreg.model import Address, BootId, NodeId
from gossipreg.wire.seal import ReplayWindow

_CHALLENGE_EPOCH_S = 10.0
"""The nonce for a stranger is valid for one to two times this long. A security bound: a longer one leaves more time to
replay an answer from an address that changed hands."""

_GREETINGS_MAX = 1024
"""Greetings that wait for an answer. Beyond it the oldest is forgotten, and an answer to it proves nothing."""
_GUESTS_MAX = 1024
"""Members that a Hello has bound and whose rows have not come yet. Beyond it the oldest is forgotten, and has to greet
again. So there are never more bindings than rows in the table and these guests."""


class Peer:
    """The session of a member."""

    __slots__ = ("asked_at", "boot_id", "generation", "heard_at", "home", "id", "source", "synced", "window")

    def __init__(self, id: NodeId, generation: int, boot_id: BootId) -> None:
        self.id = id
        self.generation = generation
        self.boot_id = boot_id
        self.window = ReplayWindow()
        self.source: Address | None = None
        """The address from which it last proved that it sends; None before that."""
        self.home: tuple[Address, ...] = ()
        """The addresses in its row, as they were last known."""
        self.heard_at = float("-inf")
        """When its last datagram came."""
        self.synced = True
        """Whether it was synced when it greeted us last."""
        self.asked_at = float("-inf")
        """When it last asked who we are, because it had no session with us."""


class _RowBinding(NamedTuple):
    """A binding from the row of a member that has sent us no datagram yet."""

    id: NodeId
    generation: int
    home: tuple[Address, ...]


class PeerSessions:
    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._secret = entropy(32)
        self._by_boot: dict[BootId, Peer] = {}
        self.by_id: dict[NodeId, Peer] = {}
        """The sessions that have begun. Read it only."""
        self._by_row: dict[BootId, _RowBinding] = {}
        self._boot_of: dict[NodeId, BootId] = {}
        """The boot ids of the members in `_by_row`. Those members are neither in `_by_boot` nor in `by_id`."""
        self._greetings: dict[int, Address] = {}
        """The address that was greeted with each nonce, until it answers."""
        self._guests: dict[NodeId, None] = {}

    def __len__(self) -> int:
        """The number of members that are bound."""
        return len(self.by_id) + len(self._boot_of)

    def of_boot(self, boot_id: BootId) -> Peer | None:
        """The session of the process with this boot id; None if it is not bound."""
        return self._by_boot.get(boot_id) or self._start_session(boot_id)

    def of_id(self, id: NodeId) -> Peer | None:
        """The session of this member; None if none of its processes is bound."""
        peer = self.by_id.get(id)
        if peer is None and id in self._boot_of:
            peer = self._start_session(self._boot_of[id])
        return peer

    def source_of(self, id: NodeId) -> Address | None:
        """The address from which this member last proved that it sends."""
        peer = self.by_id.get(id)
        return None if peer is None else peer.source

    def bind_by_row(self, boot_id: BootId, id: NodeId, generation: int, home: tuple[Address, ...]) -> None:
        """Bind this member to the boot id in its row. `home`: the addresses in the row, the preferred one first."""
        if id in self.by_id or id in self._boot_of or boot_id in self._by_boot or boot_id in self._by_row:
            if self.bind(boot_id, id, generation) is not None or id in self.by_id:
                self._moved(id, home)
        else:
            self._by_row[boot_id] = _RowBinding(id, generation, home)
            self._boot_of[id] = boot_id

    def _start_session(self, boot_id: BootId) -> Peer | None:
        """Begin the session of a member that was known only from its row; None if it was not known."""
        known = self._by_row.pop(boot_id, None)
        if known is None:
            return None
        del self._boot_of[known.id]
        peer = self._by_boot[boot_id] = self.by_id[known.id] = Peer(known.id, known.generation, boot_id)
        peer.home = known.home
        return peer

    def bind(self, boot_id: BootId, id: NodeId, generation: int, *, guest: bool = False) -> Peer | None:
        """Bind a boot id to a member, in place of the binding of an older generation. A `guest` has no row here yet.
        None if the id is bound to a newer generation, or the boot id to another member: then nothing has changed."""
        if not guest:
            self._guests.pop(id, None)
        known = self.of_id(id)
        holder = self.of_boot(boot_id)
        if holder is not None and holder.id != id:
            return None
        if known is not None:
            if known.boot_id == boot_id:
                known.generation = max(known.generation, generation)
                return known
            if known.generation > generation:
                return None
            del self._by_boot[known.boot_id]
        peer = Peer(id, generation, boot_id)
        if known is not None:
            peer.heard_at = known.heard_at
        self._by_boot[boot_id] = self.by_id[id] = peer
        if guest:
            self._guests[id] = None
            if len(self._guests) > _GUESTS_MAX:
                self.forget(next(iter(self._guests)))
        return peer

    def _moved(self, id: NodeId, home: tuple[Address, ...]) -> None:
        """Note the addresses in the row of this member. If they have changed, the member has moved. A proven address
        that is not among them is from before the move, and is not used any more."""
        peer = self.by_id.get(id)
        if peer is not None and peer.home != home:
            if peer.home and peer.source not in home:
                peer.source = None
            peer.home = home

    def forget(self, id: NodeId) -> None:
        """End the session of this member, and unbind it."""
        self._guests.pop(id, None)
        peer = self.by_id.pop(id, None)
        if peer is not None:
            del self._by_boot[peer.boot_id]
        boot_id = self._boot_of.pop(id, None)
        if boot_id is not None:
            del self._by_row[boot_id]

    def challenge(self, boot_id: BootId, source: Address, now: float) -> int:
        """The nonce that this stranger has to echo from this source."""
        return self._challenge(boot_id, source, int(now / _CHALLENGE_EPOCH_S))

    def proves(self, boot_id: BootId, source: Address, echo: int, now: float) -> bool:
        """Whether `echo` is our nonce for this stranger, or that of a greeting of ours."""
        epoch = int(now / _CHALLENGE_EPOCH_S)
        return echo != 0 and (
            echo in self._greetings
            or echo in (self._challenge(boot_id, source, epoch), self._challenge(boot_id, source, epoch - 1))
        )

    def greet(self, address: Address) -> int:
        """Draw and keep the nonce for a greeting of ours to this address."""
        nonce = int.from_bytes(self._entropy(8), "big") or 1
        self._greetings[nonce] = address
        if len(self._greetings) > _GREETINGS_MAX:
            del self._greetings[next(iter(self._greetings))]
        return nonce

    def greeted(self, nonce: int) -> Address | None:
        """The address that was greeted with this nonce; None if none was, or if it has answered."""
        return self._greetings.get(nonce)

    def answered(self, nonce: int) -> None:
        """Forget this nonce of a greeting: it was echoed, so it proves nothing any more."""
        self._greetings.pop(nonce, None)

    def _challenge(self, boot_id: BootId, source: Address, epoch: int) -> int:
        text = b"%s|%s|%d|%d" % (boot_id, source.host.encode(), source.port, epoch)
        return int.from_bytes(blake2b(text, key=self._secret, digest_size=8).digest(), "big") or 1
