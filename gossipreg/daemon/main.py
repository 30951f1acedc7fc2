"""One sidecar from its start to its end: opened (`start.py`), composed (`sidecar.py`), and run (`running.py`)."""

import trio

from gossipreg.daemon.finishing import NOT_FINISHED, end_at_once
from gossipreg.daemon.logs import Log
from gossipreg.daemon.running import run_sidecar
from gossipreg.daemon.settings import Settings
from gossipreg.daemon.sidecar import Sidecar
from gossipreg.daemon.start import OpenedSidecar, opened
from gossipreg.sidecar_api import GatewayOptions


def run(settings: Settings, *gateways: GatewayOptions) -> int:
    """Run one sidecar, and these gateways to it, until it leaves; returns the exit code, 0. If a second signal ends it,
    or its disk did not take all, the process ends here, with 128 and the number of the signal, or NOT_FINISHED.

    Raises CannotStart or BadConfig: one line for the user, and nothing runs.
    """
    log = Log(settings.log_format, settings.log_level)
    with opened(settings, gateways) as open_things:
        code = trio.run(_run, open_things, log)
        if code == NOT_FINISHED:
            open_things.close_sockets()
            end_at_once(code)
        return code


async def _run(open_things: OpenedSidecar, log: Log) -> int:
    return await run_sidecar(Sidecar(open_things, log))
