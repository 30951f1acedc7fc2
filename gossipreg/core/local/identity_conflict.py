"""Identity conflicts: another process uses our node id, or has used it, with a higher generation than ours.

Owns: the decision between a restored backup and a copy that runs, and which of two processes with one id stops. Never
knows: how the higher generation reached us, or how our row starts a new generation (`own_row.py`).

    seen                                           means                           what we do
    a higher generation, and no process answers    an old backup was restored      raise our generation above it
    one between our last start and this one        the same, with a correct clock  note it: our row is the newest
    a living process that joined after us          a copy was started              report it, raise our generation
    a living process that joined before us         we are the copy                 stop, and name its address

A member that refuses an older generation sends the address of the newer process (Peers with our own id). We greet that
address. In the handshake both processes learn which of them is synced, and for how long each has run. If no process
answers for a while, the higher generation is one of the past, and we raise ours above it. Two processes that never
reach each other raise their generations alternately, at growing intervals, until the newer one of them stops.
"""

from gossipreg.core.context import Context
from gossipreg.core.effects import Stop
from gossipreg.core.local.own_row import OwnRow
from gossipreg.core.session.reconnect import Reconnect
from gossipreg.core.table.table import Table
from gossipreg.model import Address, BootId
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.messages import Hello

_RAISES_MAX = 3
"""A new member raises its generation this number of times, and then stops: the other process runs and cannot be
reached. Both processes must apply the same rule, or both stop or none, so this is no setting."""
_NEW_S = 60.0
"""A member is new if it is not synced or has run for less than this when the conflict begins. No setting either."""
_TIE_MS = 200
"""If two processes started within this time, their boot ids decide which one stops. A handshake takes less time, so
both processes come to the same result. If it takes longer, `_RAISES_MAX` ends the conflict. No setting either."""


@dataclass(frozen=True, slots=True)
class RaiseGeneration:
    """Timer: no process with our id has answered, so raise our generation."""


class IdentityConflict:
    def __init__(self, context: Context, table: Table, own: OwnRow, reconnect: Reconnect) -> None:
        self._context = context
        self._tuning = context.config.local
        self._table = table
        self._own_row = own
        self._reconnect = reconnect
        self._above = 0
        """The highest generation of our id that we did not issue and that is above ours; 0: none."""
        self._at: Address | None = None
        """The address of the other process, as another member sent it."""
        self._greeted_at = float("-inf")
        """When we greeted that address last."""
        self._raises = 0
        """How often we raised our generation in this conflict."""
        self._raised_at = float("-inf")
        """When we raised it last."""
        self.foreign_generation = 0
        """The highest generation with which another process has used our id, or uses it now; 0: none is known."""
        self._new = True
        """Whether this member was new when the conflict began: see `_NEW_S`."""

    def on_generation(self, generation: int) -> None:
        """A member sent a generation of our id that is not the one of this process."""
        self.note_generation(generation)
        context = self._context
        if generation <= self._table.generation:
            context.count("older_self")
        elif not self._own_row.can_raise_above(generation):
            context.count("drop.generation_exhausted")
        elif self._above:
            self._above = max(self._above, generation)
        else:
            self._above = generation
            if context.now - self._raised_at > self._tuning.conflict_over_s:
                self._raises, self._at = 0, None
                self._new = not context.synced or context.up_ms < _NEW_S * 1000
            if self._raises:
                self._report(self._at)
            wait_s = min(self._tuning.conflict_answer_s * 2**self._raises, self._tuning.conflict_answer_max_s)
            context.timers.set(RaiseGeneration(), context.now + wait_s)

    def note_generation(self, generation: int) -> None:
        """A member holds our row at this generation, by its list: what that means is decided when it sends more."""
        if generation > self._table.generation and self._own_row.can_raise_above(generation):
            self.foreign_generation = max(self.foreign_generation, generation)

    def note_held(self, generation: int) -> None:
        """A member holds our row at a generation below ours. Above those that our data directory knows of it is of a
        start that the directory has forgotten."""
        context = self._context
        is_later = 0 < context.generation_before < generation < self._table.generation
        if is_later and generation not in context.own_generations:
            self.foreign_generation = max(self.foreign_generation, generation)

    def on_address(self, address: Address) -> None:
        """A member knows a process with our id at this address. Greet it unless the address is ours."""
        context = self._context
        if not self._above or address in self._own_row.member.addresses or not context.speaks(address):
            return
        self._at = address
        if context.now - self._greeted_at >= context.config.rtt_floor_s:
            self._greeted_at = context.now
            self._reconnect.greet(address)

    def on_process(self, boot_id: BootId, address: Address, hello: Hello) -> None:
        """A living process at this address has proven in a handshake that it uses our id."""
        self.foreign_generation = max(self.foreign_generation, hello.generation)
        if self._other_is_older(boot_id, hello):
            self._stop(address)
            return
        self._report(address)
        if self._context.now - self._raised_at < self._tuning.conflict_answer_s:
            self.on_generation(hello.generation)
        elif hello.generation > self._table.generation:
            self._raise(hello.generation)

    def on_raise_generation(self) -> None:
        """No process with our id has answered: raise our generation, or stop if we are the newer process."""
        if self._above <= self._table.generation:
            self._above = 0
        elif self._raises >= _RAISES_MAX and self._new:
            self._stop(self._at)
        else:
            self._raise(self._above)

    def _other_is_older(self, boot_id: BootId, hello: Hello) -> bool:
        """Whether the other process joined before us."""
        context = self._context
        if hello.synced is not context.fully_synced:
            return hello.synced
        ahead_ms = hello.up_ms - context.up_ms
        return ahead_ms > 0 if abs(ahead_ms) > _TIE_MS else boot_id > self._own_row.member.boot_id

    def _raise(self, generation: int) -> None:
        self._above = 0
        self._raises += 1
        self._raised_at = self._context.now
        self._own_row.raise_above(generation)

    def _report(self, address: Address | None) -> None:
        self._context.event("duplicate_identity", id=self._context.id.hex(), address=str(address or ""))

    def _stop(self, address: Address | None) -> None:
        id = self._context.id.hex()
        self._report(address)
        other = "another sidecar" if address is None else f"the sidecar at {address}"
        message = f"duplicate identity {id}: {other} runs with a copy of this data directory: give each its own"
        self._context.effects.append(Stop(message))
