"""How the sidecar ends: by SIGTERM or SIGINT, or because a client or a gateway asked it to leave.

Owns the order of a leave: notify systemd, refuse registrations, before a hold take out the services that accept no
connections, write what waits for the disk, hand over journals, announce the leave to the cluster. A second signal ends
the sidecar at once.

A hold says that the sidecar will be back, and its services stay in the answers until then. With `--on-sigterm hold`
SIGTERM is a leave with a hold only where systemd restarts the unit (`systemd_job.py`); stop, poweroff and a SIGTERM
from anybody else are a plain leave.
"""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import trio

from gossipreg.callers import Caller, the_sidecar
from gossipreg.core.node import Node
from gossipreg.daemon.finishing import end_at_once
from gossipreg.daemon.logs import Log
from gossipreg.daemon.notify import STOPPING, notify
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.services import Services
from gossipreg.daemon.store import Store
from gossipreg.systemd_job import restart_job

SIGTERM_HOLD_S = 30.0
LEAVE_MARGIN_S = 1.0
"""The core ends a leave after `leave_s`. If it does not, the sidecar ends after this margin."""
CONNECT_S = 0.5
"""A living program accepts a connection within this time. One that drops packets is left to its checks."""


class Ending:
    def __init__(
        self,
        node: Node,
        pump: Pump,
        services: Services,
        store: Store,
        log: Log,
        *,
        leave_s: float,
        hold_on_sigterm: bool,
        restart_job: Callable[[], str] = restart_job,
        leave_journals: Callable[[], Awaitable[None]] | None = None,
        end_at_once: Callable[[int], object] = end_at_once,
    ) -> None:
        """`leave_s` bounds the time in which the core announces the leave; `restart_job` blocks, see there;
        `leave_journals` hands over what others can go on with, and returns within a bound; `end_at_once(code)` ends the
        process."""
        self._node = node
        self._pump = pump
        self._services = services
        self._store = store
        self._log = log
        self._leave_s = leave_s
        self._hold_on_sigterm = hold_on_sigterm
        self._restart_job = restart_job
        self._leave_journals = leave_journals
        self._end_at_once = end_at_once
        self.leaving = False
        self._announced = trio.Event()
        self.over = trio.Event()
        """The process may end."""

    async def obey(
        self, signals: AsyncIterator[int], reload: Callable[[], Awaitable[None]], tasks: trio.Nursery
    ) -> None:
        """Act on each signal. `tasks` runs what follows from it, until `over`."""
        asked_to_end = False
        async for number in signals:
            if number == signal.SIGHUP:
                if not self.over.is_set():
                    tasks.start_soon(reload)
            elif asked_to_end:
                self._log.warning(
                    "ended_at_once", signal=signal.Signals(number).name,
                    message="ended by a second signal: other members may find this one dead instead of gone, and what "
                    "waited for the disk may be lost",
                )  # fmt: skip
                self._end_at_once(128 + number)
            else:
                asked_to_end = True
                if not self.over.is_set():
                    tasks.start_soon(self._end_by, number)

    async def _end_by(self, number: int) -> None:
        hold_s, message = 0.0, ""
        if number == signal.SIGTERM and self._hold_on_sigterm:
            unit = await trio.to_thread.run_sync(self._restart_job, abandon_on_cancel=True)
            hold_s = SIGTERM_HOLD_S if unit else 0.0
            message = (
                f"systemd restarts {unit}"
                if unit
                else "systemd does not restart the unit of this sidecar, so it leaves without a hold"
            )
        said = {"message": message} if message else {}
        self._log.info("signal", signal=signal.Signals(number).name, **said)
        await self.leave(hold_s, the_sidecar())

    async def leave(self, hold_s: float, by: Caller) -> None:
        """Take leave of the cluster; returns when that is done. Called again, waits for the first."""
        if not self.leaving:
            self.leaving = True
            notify(STOPPING)
            self._log.info("leaving", hold_s=hold_s, **self._services.audit.record("leave", "", by))
            self._services.close(hold_s)
            if hold_s:
                await self._take_out_refusing()
            with trio.move_on_after(LEAVE_MARGIN_S):
                await self._store.flushed()
            try:
                if self._leave_journals is not None and not hold_s:
                    await self._leave_journals()
            finally:  # a client that asked for the leave may hang up
                self._pump.order(lambda now: self._node.leave(now, hold_s))
                self._announced.set()
        await self._announced.wait()
        with trio.move_on_after(self._leave_s + LEAVE_MARGIN_S):
            await self._pump.departed.wait()
        self.over.set()

    async def _take_out_refusing(self) -> None:
        """Connect once to each service of ours. During a hold nobody checks it, so one that refuses connections must
        not stay in the answers."""
        async with trio.open_nursery() as nursery:
            for id, host, port in self._services.health.endpoints():
                nursery.start_soon(self._take_out_if_refusing, id, host, port)

    async def _take_out_if_refusing(self, id: str, host: str, port: int) -> None:
        try:
            with trio.move_on_after(CONNECT_S):
                stream = await trio.open_tcp_stream(host, port)
                await trio.aclose_forcefully(stream)
        except OSError as error:
            if _refused(error):
                self._services.health.refuses(id)


def _refused(error: BaseException) -> bool:
    """Whether every address of the service refused; trio keeps what each said as the cause."""
    if isinstance(error, ConnectionRefusedError):
        return True
    cause = error.__cause__
    if isinstance(cause, BaseExceptionGroup):
        return all(isinstance(one, ConnectionRefusedError) for one in cause.exceptions)
    return isinstance(cause, ConnectionRefusedError)
