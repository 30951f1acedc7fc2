"""The registrations with which a sidecar starts: those that were kept, those of the flags, those of the file.

At a start, a durable registration of a client takes precedence over the flags and the file, and the log says so.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from msgpack import unpackb

from gossipreg.daemon.entries import Entry
from gossipreg.daemon.file_services import FileServices
from gossipreg.daemon.kept import KeptService, KeptState
from gossipreg.daemon.node_checks import NODE
from gossipreg.daemon.registrar import Registrar
from gossipreg.errors import BadConfig, GossipregError, RequestError


def register_at_start(
    registrar: Registrar, file_services: FileServices, kept: KeptState, flags: Mapping[str, Any] | None,
    file: Sequence[Mapping[str, Any]],
) -> None:  # fmt: skip
    """Register what was kept, then the flags and the file. Raises BadConfig for a faulty flag or file."""
    registrar.maintenance.start(kept.maintenance)
    registrar.health.known.start(kept.healths, kept.hold)
    registrar.health.node_checks.start(
        kept.node_checks, registrar.admission.check, partial(registrar.health.known.restored, NODE)
    )
    before = {one.id: one for one in kept.services}
    for one in kept.services:
        if one.source == "socket":
            _restore(registrar, one)
    given = [(flags, "flags")] if flags is not None else []
    for params, source in [*given, *((params, "file") for params in file)]:
        _start_one(registrar, file_services, params, source)
    for id, one in before.items():
        if one.source != "socket" and id not in registrar.entries:
            registrar.records.write_later(id)
    registrar.health.known.started()


def _restore(registrar: Registrar, kept: KeptService) -> None:
    """Register a kept service again. One that cannot be registered stays on the disk, and is logged."""
    try:
        params = unpackb(kept.params)
        if type(params) is not dict:
            raise ValueError("its stored registration cannot be read: register it again")
        registration = registrar.admission.read(params, trusted=kept.trusted)
        entry = Entry(registration, "socket", kept.trusted, owner=kept.owner)
        registrar.apply(entry, registrar.restored(kept.id), registrar.sidecar)
    except (GossipregError, ValueError) as error:
        registrar.log.error("service_not_restored", id=kept.id, message=str(error))


def _start_one(registrar: Registrar, file_services: FileServices, params: Mapping[str, Any], source: str) -> None:
    try:
        registration = registrar.admission.read(params, trusted=True)
        id = registration.service.id
        if source == "file":
            file_services.params[id] = registration.params
        if id in registrar.entries:
            if registrar.entries[id].registration.params != registration.params:
                registrar.log.warning("service_kept", id=id, message="the registration through the socket is in "
                                  f"force, not that of the {source}: `gossipreg deregister {id}` and a restart "
                                  "change that")  # fmt: skip
            return
        entry = Entry(registration, source, True, owner=registrar.sidecar.uid)
        registrar.apply(entry, registrar.restored(id), registrar.sidecar)
    except RequestError as error:
        raise BadConfig(f"the service beside this sidecar: {error}") from None
    registrar.records.write_later(id)
