"""What a sidecar says when it starts: lines of the log, and the ready line on stdout."""

import os
import sys

from gossipreg import __version__
from gossipreg.daemon.gateways import shown_addresses
from gossipreg.daemon.keys import exposed
from gossipreg.daemon.logs import Log, text_value
from gossipreg.daemon.start import OpenedSidecar
from gossipreg.model import Address
from gossipreg.net import descriptors
from gossipreg.systemd_job import run_by_systemd


def log_start(opened: OpenedSidecar, log: Log) -> None:
    """Write how this sidecar is started, and a warning for everything about it that is unsafe or has no effect."""
    settings = opened.settings
    log.info(
        "start", version=__version__, pid=os.getpid(), name=opened.member.name, cluster=settings.cluster,
        sealed=opened.keyring is not None, seeds=" ".join(settings.seeds), data_dir=settings.data_dir or "none",
    )  # fmt: skip
    log.debug(
        "open_files", limit=descriptors.descriptors_limit() or "none", clients=opened.local_socket.places.limits.all,
        message="the limit of open files was raised as far as the system lets it, since each client takes one",
    )  # fmt: skip
    if opened.data is not None and (aside := opened.data.set_aside()):
        log.warning(
            "data_set_aside", files=" ".join(aside),
            message="these damaged files were set aside, and what they held is not in use: restore a backup, or "
            "remove them",
        )  # fmt: skip
    for variable, why in settings.ignored_variables:
        log.warning("variable_ignored", variable=variable, message=why)
    if settings.on_sigterm == "hold" and not run_by_systemd():
        log.warning("no_hold", message="--on-sigterm hold has no effect, since this process is not run by a "
                    "systemd unit: to hold, use `gossipreg leave --hold 30s`")  # fmt: skip
    if fault := exposed(settings.key_file):
        log.warning("key_exposed", message=fault)
    for gateway in opened.gateways:
        for fault in gateway.warnings():
            log.warning("http_tokens", message=fault)


def print_ready(opened: OpenedSidecar, gossip: Address) -> None:
    """Print the line that says on stdout that the socket answers; `gossip` is the address for other members."""
    fields = {
        "name": opened.member.name,
        "id": opened.identity.id.hex(),
        "gossip": str(gossip),
        "socket": str(opened.local_socket.path),
        **shown_addresses(opened.gateways),
    }
    if opened.settings.log_format == "json":
        import json

        line = json.dumps({"event": "ready", **fields})
    else:
        line = " ".join(["ready", *(f"{key}={text_value(value)}" for key, value in fields.items())])
    try:
        print(line, flush=True)  # noqa: T201  # the one thing that join says on stdout
    except OSError:
        sys.stdout = None  # its reader is gone; do not fail again at the exit
