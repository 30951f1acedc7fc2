"""The gateways of a sidecar: views of its registry in other people's protocols, handed in by whoever starts it.

Owns that they are opened with everything else, told of changes, and run beside the rest, and that nothing which goes
wrong in one of them goes any further: it is logged as a bug, and the gateway begins anew a little later. Never knows
what they speak: they stand beside the daemon, and neither imports the other.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import trio

from gossipreg.callers import Caller
from gossipreg.core.view import View
from gossipreg.daemon.logs import Field
from gossipreg.daemon.services import Services
from gossipreg.model import Change
from gossipreg.rights import Rights

TROUBLE_S = 5.0
"""A gateway repeats a trouble that goes on every second."""
AGAIN_S = 1.0
"""The pause before a failed gateway starts again."""

Bug = Callable[[str, Exception], None]


class Gateway(Protocol):
    name: str
    """In the ready line and in `info`."""

    @property
    def addresses(self) -> Sequence[object]:
        """The addresses at which it listens once it is open, in a form for people."""

    def open(self) -> None:
        """Take what is exclusive. Raises CannotStart."""

    def attach(self, view: View, bug: Bug) -> None:
        """Answer from this registry, as it is now. Called again after a failure, and `run` then begins anew."""

    def changed(self, changes: tuple[Change, ...]) -> None:
        """The answers to lookups changed. Must not block."""

    async def run(self) -> None:
        """Serve until cancelled."""

    def counts(self) -> dict[str, int]:
        """For `info`, by names with its own in them; what it dropped as `drop.REASON`: see `gossipreg.drops`."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Inside:
    """The sidecar, for gateways that do more than show its registry."""

    view: View
    registrations: Services
    rights: Rights
    cluster: str
    version: str
    now: Callable[[], float]
    """The time as the view has it."""
    leave: Callable[[float, Caller], Awaitable[None]]
    """`leave(hold_s, by)` returns when it is done."""
    force_leave: Callable[[str, Caller], object]
    """Declare the members of this name or id left, which must be dead or suspected. Raises RequestError."""
    reload: Callable[[Caller], Awaitable[None]]
    """Read keys, tokens and files again, as SIGHUP does. Raises Refused with the faults."""
    seek: Callable[[str], Awaitable[None]]
    """Call the members at `host:port`. Raises RequestError where it is none, or has no address."""
    figures: Callable[[], Awaitable[dict[str, Any]]]
    """The answer of `info`."""
    note: Callable[[str], None]
    """Log what an operator may want to know."""
    bug: Bug
    trouble: Callable[[str, str], None] = lambda _key, _message: None
    """`trouble(key, message)` reports a trouble that goes on now; `info` shows it until TROUBLE_S after the last
    report."""


@runtime_checkable
class Curious(Protocol):
    """A gateway that wants to know it."""

    def meet(self, inside: Inside) -> None:
        """Before it is attached."""


@runtime_checkable
class Rereads(Protocol):
    """A gateway that may have a file that can change while it runs."""

    @property
    def has_file(self) -> bool:
        """Whether it was given one; without one it is not asked to read it again."""

    def reread(self) -> dict[str, Field]:
        """Read and apply it; called in a thread. Returns what was found, as fields of a log line. Raises CannotStart;
        what was read before stays in use then."""

    def warnings(self) -> list[str]:
        """Faults of the file that do not prevent its use."""


class Gateways:
    def __init__(self, gateways: Sequence[Gateway], view: View, bug: Bug, inside: Inside | None = None) -> None:
        """`inside` is for those that want it."""
        self._gateways = gateways
        self._view = view
        self._bug = bug
        self._runs: dict[Gateway, trio.CancelScope] = {}
        for gateway in gateways:
            if inside is not None and isinstance(gateway, Curious):
                gateway.meet(inside)
            gateway.attach(view, bug)

    def changed(self, changes: tuple[Change, ...]) -> None:
        for gateway in self._gateways:
            try:
                gateway.changed(changes)
            except Exception as error:
                self._bug(f"gateway_{gateway.name}", error)
                self._attach(gateway)
                if gateway in self._runs:  # what it runs knows the registry as it was before
                    self._runs[gateway].cancel()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            for gateway in self._gateways:
                nursery.start_soon(self._run_one, gateway)

    async def _run_one(self, gateway: Gateway) -> None:
        while True:
            with trio.CancelScope() as self._runs[gateway]:
                try:
                    await gateway.run()
                except Exception as error:
                    self._bug(f"gateway_{gateway.name}", error)
                await trio.sleep(AGAIN_S)
                self._attach(gateway)

    def _attach(self, gateway: Gateway) -> None:
        try:
            gateway.attach(self._view, self._bug)
        except Exception as error:
            self._bug(f"gateway_{gateway.name}", error)

    def parts(self) -> dict[str, Callable[[], Awaitable[dict[str, Field]]]]:
        """The files that a reload reads again, by name. A reader that raises CannotStart has changed nothing."""
        found = (one for one in self._gateways if isinstance(one, Rereads) and one.has_file)
        return {f"{one.name}_tokens": partial(trio.to_thread.run_sync, one.reread) for one in found}

    def warnings(self) -> list[str]:
        return [text for one in self._gateways if isinstance(one, Rereads) for text in one.warnings()]

    def counts(self) -> dict[str, int]:
        return {name: count for gateway in self._gateways for name, count in gateway.counts().items()}

    def addresses(self) -> dict[str, str]:
        """The addresses at which each listens, for people."""
        return {gateway.name: ",".join(map(str, gateway.addresses)) for gateway in self._gateways}
