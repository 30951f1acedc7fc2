"""The life of one sidecar: its tasks from the first line of the log to the last.

Start: the log says how the sidecar is started, the pump, the local socket and the gateways run, the ready line is
printed, and the seeds are called. End: `ending.py` takes leave of the cluster, clients that still wait get their
answers, every task is cancelled, and what waits for the disk is written (`finishing.py`).
"""

import signal

import trio

from gossipreg.daemon.finishing import NOT_FINISHED, finish
from gossipreg.daemon.first_lines import log_start, print_ready
from gossipreg.daemon.gateways import run_gateways
from gossipreg.daemon.memory import give_back_memory, settle_memory, settling
from gossipreg.daemon.names import Names
from gossipreg.daemon.notify import READY, notify
from gossipreg.daemon.sidecar import Sidecar
from gossipreg.errors import CannotStart

READY_AT_LATEST_S = 10.0
"""systemd is told READY by then, synced or not: a first member whose seed is down must not be killed for it."""
HOUSEKEEPING_S = 10.0
"""The interval at which omitted log lines are summed up and memory is given back; it takes a millisecond."""
LAST_ANSWERS_S = 1.0
"""The time that clients have at the end to receive the answer for which they wait."""


async def run_sidecar(sidecar: Sidecar) -> int:
    """Run it until it has left; returns the exit code. Raises CannotStart if the node cannot go on."""
    opened, ending, pump = sidecar.opened, sidecar.ending, sidecar.pump
    log_start(opened, sidecar.log)
    trio.socket.set_custom_hostname_resolver(Names())
    sidecar.traces.start()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as last:
            last.start_soon(sidecar.keeping.store.run)
            async with trio.open_nursery() as nursery:
                last.start_soon(ending.obey, signals, sidecar.reload.on_signal, nursery)
                _start_tasks(sidecar, nursery)
                await ending.over.wait()
                with trio.move_on_after(LAST_ANSWERS_S):
                    await opened.local_socket.answered()
                nursery.cancel_scope.cancel()
            await sidecar.traces.end()
            code = await _finish(sidecar)
            last.cancel_scope.cancel()
    if pump.stopped is not None:
        raise CannotStart(pump.stopped)
    return code


def _start_tasks(sidecar: Sidecar, nursery: trio.Nursery) -> None:
    """All that runs until the sidecar has left."""
    opened = sidecar.opened
    nursery.start_soon(_run_pump, sidecar)
    nursery.start_soon(sidecar.keeping.run, sidecar.node)
    nursery.start_soon(sidecar.history.run)
    nursery.start_soon(sidecar.services.health.checks.run)
    nursery.start_soon(sidecar.services.health.known.run)
    if opened.gateways:
        nursery.start_soon(run_gateways, opened.gateways, sidecar.api())
    nursery.start_soon(sidecar.orchestration.run)
    nursery.start_soon(sidecar.deliveries.run)
    nursery.start_soon(sidecar.addresses.run)
    nursery.start_soon(_keep_house, sidecar)
    reports = sidecar.reports
    nursery.start_soon(opened.local_socket.serve, sidecar.local_api, reports.crowded, reports.cannot_accept)
    nursery.start_soon(sidecar.seed_greeter.run, opened.seeds)
    nursery.start_soon(_say_ready, sidecar)


async def _finish(sidecar: Sidecar) -> int:
    """Write what waits for the disk, and the last lines of log and history. Returns the exit code."""
    found = [await finish([sidecar.keeping, sidecar.orchestration])]
    if sidecar.pump.stopped is not None:
        sidecar.history.note("stopped", f"sidecar stopped: {sidecar.pump.stopped}", level="error")
    else:
        sidecar.log.info("stopped", name=sidecar.opened.member.name)
    found.append(await finish([sidecar.history]))
    unwritten = "; ".join(filter(None, found))
    if not unwritten:
        return 0
    message = f"this sidecar has left, and its disk did not take all that it was to keep: {unwritten}"
    sidecar.log.error("not_finished", message=message)
    return NOT_FINISHED


async def _run_pump(sidecar: Sidecar) -> None:
    await sidecar.pump.run()
    sidecar.ending.over.set()


async def _say_ready(sidecar: Sidecar) -> None:
    print_ready(sidecar.opened, next(iter(sidecar.node.addresses), sidecar.opened.transport.local_addresses[0]))
    settle_memory()
    with settling(), trio.move_on_after(READY_AT_LATEST_S):
        await sidecar.reactions.synced.wait()
    notify(READY)
    await sidecar.reactions.synced.wait()
    settle_memory()  # what is known of 1,000 members takes a full search for garbage some 30 ms, each time


async def _keep_house(sidecar: Sidecar) -> None:
    while True:
        await trio.sleep(HOUSEKEEPING_S)
        sidecar.log.summarise()
        sidecar.history.look()
        sidecar.keeping.store.look()
        sidecar.reports.look_at_unsent(sidecar.pump.dropped)
        sidecar.orchestration.look()
        sidecar.traces.look()
        give_back_memory()
