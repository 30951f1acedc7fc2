"""Another in our name: a start of ours that was not ours, and what we do about it.

Owns: how we tell a restored backup from a copy that runs, and which of two processes with one id ends. Never knows: how
the higher generation came to be told, or how our row starts anew (`own_row.py`).

    met                                           what it is                      what we do
    a higher generation, and nobody answers       an older backup was restored    rise above it
    a living process that joined after us         a copy was started              say so, rise above it, go on
    a living process that was there before us     we are the copy                 end, and name its address

Whoever refuses an older start says where it knows the newer one (Peers with our own id). It is called, and both learn
from the greeting who of them is in step and for how long each has run. Only where nobody answers for a while is it
taken for the past, and risen above. Two that never reach each other rise in turn, ever more seldom; the one that had
not been in step for long when it began gives way.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gossipreg.core.context import Context
from gossipreg.core.effects import Stop
from gossipreg.core.local.own_row import OwnRow
from gossipreg.core.table.table import Table
from gossipreg.model import Address, BootId
from gossipreg.wire.messages import Hello

_LOOK_S, _LONGEST_S = 1.0, 60.0
"""So long an answer in our name is waited for; doubled each time that we had to rise, up to the second."""
_OVER_S = 600.0
"""What happens later than this after we rose is another story."""
_RISES = 3
"""A member that is new rises so often, and then gives way to whom it cannot reach."""
_NEW_S = 60.0
_TIE_MS = 200
"""Two that started within this time started together: their boot ids decide. A greeting is under way for less, so that
both come to the same result; where it is not, one gives way for having risen too often."""


@dataclass(frozen=True, slots=True)
class Rise:
    """Timer: nobody has answered in our name."""


class IdentityConflict:
    def __init__(self, context: Context, table: Table, own: OwnRow, call: Callable[[Address], None]) -> None:
        """`call(address)`: ask who is there."""
        self._context = context
        self._table = table
        self._own_row = own
        self._call = call
        self._above = 0
        """The highest generation of ours that we did not issue and have not risen above; 0: none."""
        self._at: Address | None = None
        """Where somebody knows another process with our id."""
        self._called_at = float("-inf")
        self._rises = 0
        self._rose_at = float("-inf")
        self._new = True
        """We had not been in step for long when this began."""

    def met_generation(self, generation: int) -> None:
        """Somebody tells of a start of ours that was not ours."""
        context = self._context
        if generation <= self._table.generation:
            context.count("older_self")
        elif not self._own_row.room_above(generation):
            context.count("drop.generation_exhausted")
        elif self._above:
            self._above = max(self._above, generation)
        else:
            self._above = generation
            if context.now - self._rose_at > _OVER_S:
                self._rises, self._at = 0, None
                self._new = not context.synced or context.up_ms < _NEW_S * 1000
            if self._rises:
                self._say(self._at)
            context.timers.set(Rise(), context.now + min(_LOOK_S * 2**self._rises, _LONGEST_S))

    def told_where(self, address: Address) -> None:
        """Somebody knows a process with our id there. It is asked, where that is not ourselves."""
        context = self._context
        if not self._above or address in self._own_row.member.addresses or not context.speaks(address):
            return
        self._at = address
        if context.now - self._called_at >= context.config.rtt_floor_s:
            self._called_at = context.now
            self._call(address)

    def met_process(self, boot_id: BootId, address: Address, hello: Hello) -> None:
        """A living process there has proven to speak with our id."""
        if self._is_older(boot_id, hello):
            self._give_way(address)
            return
        self._say(address)
        if self._context.now - self._rose_at < _LOOK_S:
            self.met_generation(hello.generation)
        elif hello.generation > self._table.generation:
            self._rise(hello.generation)

    def on_rise(self) -> None:
        if self._above <= self._table.generation:
            self._above = 0
        elif self._rises >= _RISES and self._new:
            self._give_way(self._at)
        else:
            self._rise(self._above)

    def _is_older(self, boot_id: BootId, hello: Hello) -> bool:
        """Whether the other one was there before us."""
        context = self._context
        if hello.in_step is not context.fully_synced:
            return hello.in_step
        ahead_ms = hello.up_ms - context.up_ms
        return ahead_ms > 0 if abs(ahead_ms) > _TIE_MS else boot_id > self._own_row.member.boot_id

    def _rise(self, generation: int) -> None:
        self._above = 0
        self._rises += 1
        self._rose_at = self._context.now
        self._own_row.raise_above(generation)

    def _say(self, address: Address | None) -> None:
        self._context.event("duplicate_identity", id=self._context.id.hex(), address=str(address or ""))

    def _give_way(self, address: Address | None) -> None:
        id = self._context.id.hex()
        self._say(address)
        other = "another sidecar" if address is None else f"the sidecar at {address}"
        message = f"duplicate identity {id}: {other} runs with a copy of this data directory; give each its own"
        self._context.effects.append(Stop(message))
