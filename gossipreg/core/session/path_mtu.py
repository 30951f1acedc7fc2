"""Path MTU: measure by probes how large a datagram arrives at each member (RFC 8899, DPLPMTUD).

Owns: for each member that large datagrams are sent to, the largest size that is known to arrive and the smallest that
is known to be lost. It sets the sizes that the outbox packs by. Never knows: what is sent.

Links that carry less than they promise drop large datagrams silently, so only the receiver can say what arrives. A size
probe is a Probe in a datagram that a Padding fills up to the size in question; its ack shows that this size arrives. A
small probe goes with it in a datagram of its own. A round in which the small probe is acked and the large one is not
counts as a loss. A round in which neither is acked says nothing about sizes. After `size_losses` losses without an ack
the size is taken as lost. Members of every release ack size probes, since they skip message kinds that they do not
know.

    nothing measured     BASE_BYTES are assumed to arrive
    search               after a few large datagrams: the configured size first; if it is lost, the base, then halving
                         the interval, then the lost size once more before it is reported
    confirmation         the size in use is probed again every `size_confirm_s` while large datagrams are sent
    validation           the size in use is probed at once if a large datagram seems to be lost (`validate`); until it
                         is acked the next smaller size is used, BASE_BYTES or FLOOR_BYTES
    black hole           the size in use is lost: back to BASE_BYTES, or to FLOOR_BYTES below it, and a new search
    raise                the narrow paths are measured again, one of them every `size_raise_s`

A member to which nothing large is sent costs nothing. Sizes are of UDP payload.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

from gossipreg.core.context import Context
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import BASE_BYTES, FLOOR_BYTES, DatagramOutbox
from gossipreg.core.session.sessions import PeerSessions
from gossipreg.model import Address, NodeId
from gossipreg.quick_dataclass import dataclass

PATHS_MAX = 4096
"""Members whose paths are known. Beyond it the one used longest ago is forgotten, and gets the base size."""
_NUMBERS_MAX = 1024
"""Size probes whose acks are still accepted. Beyond it the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class SizeProbeDue:
    """Timer: the acks of this round of size probes are due."""

    peer: NodeId


@dataclass(frozen=True, slots=True)
class RaiseDue:
    """Timer: measure one of the narrow paths again."""


class NarrowPath(NamedTuple):
    """A path that carries less than is configured."""

    peer: NodeId
    address: Address
    passes_bytes: int
    """The largest datagram that is sent on it, bytes."""
    lost_bytes: int
    """The smallest datagram that was measured as lost."""


@dataclass(slots=True)
class _Path:
    address: Address
    passes: int
    """The largest size that arrives, bytes: measured, or assumed while `confirmed_at` is None."""
    confirmed_at: float | None = None
    """When a probe of the size `passes` was acked last."""
    fails: int | None = None
    """The smallest size that was measured as lost, bytes."""
    fails_twice: bool = False
    """Whether `fails` was measured a second time, or is being measured so."""
    validating: bool = False
    """Whether a smaller size is used until `passes` is acked again: a datagram as large as that seems to be lost."""
    searched: bool = False
    """Whether the search has ended."""
    uses: int = 0
    """The inputs that sent this member something large."""
    narrow: NarrowPath | None = None
    """The narrow path as it was reported."""
    raised_at: float = 0.0
    """When it was measured again last, since it is narrow."""
    # The measurement that goes on:
    probing: int | None = None
    """The size that is measured, bytes. None: nothing is measured."""
    losses_needed: int = 0
    losses: int = 0
    silent_rounds: int = 0
    small: int = 0
    """The number of the small probe of this round."""
    small_acked: bool = False


class PathMtu:
    def __init__(self, context: Context, sessions: PeerSessions, outbox: DatagramOutbox, channel: Channel) -> None:
        self._context = context
        self._sessions = sessions
        self._outbox = outbox
        self._channel = channel
        self._tuning = context.config.session
        self._most = context.config.datagram_bytes
        self._base = min(BASE_BYTES, self._most)
        self._floor = min(FLOOR_BYTES, self._most)
        self._paths: OrderedDict[NodeId, _Path] = OrderedDict()
        """The one used longest ago first."""
        self._numbers: OrderedDict[int, tuple[NodeId, int]] = OrderedDict()
        """The receiver and the size of each size probe, by its number."""

    def narrow(self) -> list[NarrowPath]:
        """The paths that carry less than is configured, as measured."""
        return [path.narrow for path in self._paths.values() if path.narrow is not None]

    # -- when to measure ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        """At the end of each input: measure the paths of the members that it sent something large, if that is due."""
        context = self._context
        for id in self._channel.take_large():
            path = self._path(id)
            if path is None or path.probing is not None:
                continue
            path.uses += 1
            if path.validating or (
                path.confirmed_at is not None and context.now - path.confirmed_at >= self._tuning.size_confirm_s
            ):
                self._measure(id, path, path.passes)
            elif not path.searched and path.uses >= self._tuning.size_uses:
                self._measure_next(id, path)

    def validate(self, id: NodeId) -> None:
        """Use a smaller size until the present one is acked again: a large message to this member seems to be lost. The
        path may be a black hole (RFC 8899, section 4.3)."""
        path = self._path(id)
        if path is None or path.passes <= self._floor:
            return
        confirmed_at = path.confirmed_at
        if confirmed_at is not None and self._context.now - confirmed_at < self._tuning.size_valid_s:
            return
        path.validating = True
        self._set_size(path)
        if path.probing is None:
            self._measure(id, path, path.passes)

    def too_large(self, address: Address) -> None:
        """Validate the path to this address: the kernel or a router says that a datagram was too large. That
        may be forged, so only probes decide."""
        for id, path in list(self._paths.items()):
            if path.address == address:
                self.validate(id)

    def _path(self, id: NodeId) -> _Path | None:
        """The path to the address of this member; None if it has proven none."""
        address = self._sessions.source_of(id)
        path = self._paths.get(id)
        if path is not None and path.address == address:
            self._paths.move_to_end(id)
            return path
        if path is not None:
            self.forget(id)  # the member is at another address now
        if address is None:
            return None
        path = self._paths[id] = _Path(address, self._base)
        if len(self._paths) > PATHS_MAX:
            self.forget(next(iter(self._paths)))
        return path

    def forget(self, id: NodeId) -> None:
        """Forget the path to this member, which has left the ring or is at another address."""
        path = self._paths.pop(id, None)
        if path is not None:
            self._outbox.set_size(path.address, None)
            self._context.timers.cancel(SizeProbeDue(id))
            self._report(id, path, None, gone=True)

    # -- measuring ---------------------------------------------------------------------------------------------------

    def _measure(self, id: NodeId, path: _Path, size: int, losses_needed: int | None = None) -> None:
        """Begin to find out whether this size arrives. It is lost after `losses_needed` losses, else `size_losses`."""
        path.probing, path.losses_needed = size, losses_needed or self._tuning.size_losses
        path.losses = path.silent_rounds = 0
        self._send_round(id, path, size)

    def _send_round(self, id: NodeId, path: _Path, size: int) -> None:
        """Send a probe of this size and a small one, and wait for both acks."""
        context = self._context
        number, path.small = context.rng.getrandbits(32), context.rng.getrandbits(32)
        path.small_acked = False
        self._numbers[number] = id, size
        if len(self._numbers) > _NUMBERS_MAX:
            self._numbers.popitem(last=False)
        context.count("size_probes")
        self._outbox.put_alone(path.address, self._channel.probe_of(number), size)
        self._outbox.put_alone(path.address, self._channel.probe_of(path.small))
        context.timers.set(SizeProbeDue(id), context.now + self._channel.bound_s(id))

    def on_ack(self, peer: NodeId, number: int) -> bool:
        """Take an ack. Returns False if it is not of a size probe or of the small probe beside one."""
        path = self._paths.get(peer)
        if path is not None and path.probing is not None and number == path.small:
            path.small_acked = True
            return True
        if self._numbers.get(number, (None, 0))[0] != peer:
            return False
        _, size = self._numbers.pop(number)
        if path is not None and size >= path.passes:
            path.passes, path.confirmed_at, path.validating = size, self._context.now, False
            if path.fails is not None and path.fails <= size:
                path.fails, path.fails_twice, path.searched = None, False, False
            if path.probing is None or path.probing <= size:  # None: a late ack, which changes the result
                self._measure_next(peer, path)
            else:
                self._set_size(path)
        return True

    def on_timer(self, name: Hashable) -> bool:
        """Act on this timer. Returns False if it is not one of ours."""
        match name:
            case SizeProbeDue():
                self._on_due(name.peer)
            case RaiseDue():
                self._on_raise()
            case _:
                return False
        return True

    def _on_due(self, id: NodeId) -> None:
        path = self._paths.get(id)
        if path is None or path.probing is None:
            return
        if path.small_acked:
            path.losses += 1
            path.silent_rounds = 0
        else:
            path.silent_rounds += 1
        if path.losses >= path.losses_needed:
            self._note_lost(id, path, path.probing)
        elif path.silent_rounds >= self._tuning.size_silent_rounds or path.address != self._sessions.source_of(id):
            path.probing = None
        else:
            if path.losses and path.probing <= path.passes:
                path.validating = True
                self._set_size(path)
            self._send_round(id, path, path.probing)

    def _note_lost(self, id: NodeId, path: _Path, size: int) -> None:
        """Note that this size does not arrive."""
        if path.fails is None or size < path.fails:
            path.fails, path.fails_twice = size, False
        if size <= path.passes:
            self._context.count("black_holes")
            path.passes = self._base if size > self._base else self._floor
            path.confirmed_at, path.searched, path.validating = None, False, False
        self._measure_next(id, path)

    def _measure_next(self, id: NodeId, path: _Path) -> None:
        """Measure the next size of the search, or end it and report a narrow path."""
        size = self._next_size(path)
        if size is not None:
            self._set_size(path)
            self._measure(id, path, size)
            return
        path.probing, path.searched = None, True
        self._context.timers.cancel(SizeProbeDue(id))
        self._set_size(path)
        found = None if path.fails is None else NarrowPath(id, path.address, path.passes, path.fails)
        self._report(id, path, found)

    def _next_size(self, path: _Path) -> int | None:
        """The size to measure next; None if the search is over."""
        fails = path.fails
        if path.validating:
            return path.passes
        if fails is None:
            return self._most if path.passes < self._most or path.confirmed_at is None else None
        if path.confirmed_at is None and fails > path.passes:
            return path.passes
        if fails - path.passes > self._tuning.size_step_bytes:
            return (fails + path.passes) // 2
        if not path.fails_twice:
            path.fails_twice = True
            return fails
        return None

    def _set_size(self, path: _Path) -> None:
        """Have the outbox send datagrams of the size that is known to arrive, or of the next smaller one."""
        size = path.passes
        if path.validating:
            size = self._base if size > self._base else self._floor
        self._outbox.set_size(path.address, size)

    # -- narrow paths ------------------------------------------------------------------------------------------------

    def _report(self, id: NodeId, path: _Path, found: NarrowPath | None, *, gone: bool = False) -> None:
        """Report a path that has become narrow, or that is not narrow any more. `gone`: nothing is sent there any
        more."""
        context = self._context
        before, path.narrow = path.narrow, found
        if found is not None:
            context.timers.set_earlier(RaiseDue(), context.now + self._tuning.size_raise_s)
        if found == before:
            return
        fields: dict[str, str | int | float] = {"name": self._channel.named_at(id)[0], "address": str(path.address)}
        if found is None:
            context.timers.set_earlier(RaiseDue(), context.now + self._tuning.size_raise_next_s)
            context.event("path_mtu_over", **fields, reason="gone" if gone else "mended")
        else:
            path.raised_at = context.now
            context.event("path_mtu", **fields, bytes=found.passes_bytes, lost_bytes=found.lost_bytes)

    def _on_raise(self) -> None:
        """Measure the narrow path that was measured longest ago again. One loss shows that it is still narrow."""
        context = self._context
        narrow = [(path.raised_at, id) for id, path in self._paths.items() if path.narrow is not None]
        if not narrow:
            return
        _, id = min(narrow)
        path = self._paths[id]
        if self._sessions.source_of(id) != path.address:
            self.forget(id)
        elif path.probing is None and path.fails is not None:
            path.raised_at = context.now
            self._measure(id, path, path.fails, losses_needed=1)
        context.timers.set(RaiseDue(), context.now + self._tuning.size_raise_s)
