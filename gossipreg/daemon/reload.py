"""Read keys, the services file and options again while the sidecar runs.

Owns the order of the parts, and the rule that a failed reading stays a trouble in `info` until that part is read
without a fault; meanwhile the part stays in use as it was read before. Each part is a function that reads and applies.
It returns the fields of a log line, and raises GossipregError if it applied nothing. SIGHUP asks for a reload, and so
does the method `reload`, which answers with what was read, or with the errors of all parts.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import trio

from gossipreg.core.node import Node
from gossipreg.daemon.in_force import OptionsInForce
from gossipreg.daemon.keys import read_keyring
from gossipreg.daemon.logs import Field, Log
from gossipreg.daemon.params import boolean, take_untrusted
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.services import Services
from gossipreg.daemon.settings import OptionInForce, Settings
from gossipreg.daemon.socket_client import Command, Params, SocketClient, pack
from gossipreg.daemon.troubles import Troubles
from gossipreg.errors import GossipregError, Refused
from gossipreg.wire.shapes import Shape

if TYPE_CHECKING:
    from gossipreg.wire.seal import Keyring

Fields = dict[str, Field]
Part = Callable[[], Awaitable[Fields]]


class Reload:
    def __init__(self, log: Log, troubles: Troubles, parts: Mapping[str, Part]) -> None:
        """`parts` by name, in the order in which they are read."""
        self._log = log
        self._troubles = troubles
        self._parts = parts
        self._reading = trio.Lock()
        """One reload at a time; a read from a pipe may take long."""

    async def read(self, overrides: Mapping[str, Part] | None = None, by: Fields | None = None) -> Shape:
        """Read all parts and return what was read, by part; `by` is the caller, for the log. Raises Refused with the
        faults of all parts that could not be read; the other parts are in use then."""
        found: Shape = {}
        faults: list[str] = []
        async with self._reading:
            self._log.info("reload", **(by or {}))
            for name, part in {**self._parts, **(overrides or {})}.items():
                try:
                    fields = await part()
                except GossipregError as error:
                    message = f"{error}; what was read before stays in use"
                    self._log.error(f"{name}_not_read", message=message)
                    self._troubles.saw(f"reload {name}", f"not read again: {message}", lasting=True)
                    faults.append(message)
                else:
                    self._log.info(f"{name}_read", **fields)
                    self._troubles.over(f"reload {name}")
                    found[name] = fields
        if faults:
            raise Refused("; ".join(faults))
        return found

    async def on_signal(self) -> None:
        """The same for SIGHUP: the faults are in the log and in `info`."""
        with suppress(Refused):
            await self.read()


def parts_of(
    settings: Settings, in_force: OptionsInForce, node: Node, pump: Pump, services: Services, *,
    rekeyed: "Callable[[Keyring], None]",
) -> dict[str, Part]:  # fmt: skip
    """The parts that this sidecar was started with. `rekeyed` gets new keys, for those who keep some."""
    parts: dict[str, Part] = {}
    if settings.key_file is not None or settings.key is not None:
        parts["keys"] = partial(_read_keys, settings, node, pump, rekeyed)
    if settings.services is not None:
        parts["services"] = services_part(settings.services, services, allow_empty=settings.allow_empty)
    if settings.config is not None and settings.read_options_again is not None:
        parts["options"] = partial(_read_options, in_force, settings.read_options_again)
    return parts


def services_part(path: str, services: Services, *, allow_empty: bool) -> Part:
    return partial(_read_services, path, services, allow_empty)


def reload_method(reload: Reload, settings: Settings, services: Services) -> Command:
    """The method `reload` {allow_empty} -> what was read, by part; `allow_empty` as --allow-empty, this time."""

    def method(params: Params, client: SocketClient) -> Awaitable[bytes]:
        given = take_untrusted("reload", params, {"allow_empty": boolean})
        overrides: dict[str, Part] = {}
        if given.get("allow_empty", False) and settings.services is not None:
            overrides["services"] = services_part(settings.services, services, allow_empty=True)
        return read(client, overrides)

    async def read(client: SocketClient, overrides: Mapping[str, Part]) -> bytes:
        return pack(await reload.read(overrides, services.audit.record("reload", "", client.caller)))

    return method


async def _read_keys(
    settings: Settings, node: Node, pump: Pump, rekeyed: "Callable[[Keyring], None]"
) -> Fields:  # fmt: skip
    keyring = await trio.to_thread.run_sync(read_keyring, settings, abandon_on_cancel=True)
    assert keyring is not None, "a key was given at the start"
    pump.order(lambda now: node.rekey(keyring, now))
    rekeyed(keyring)
    return {"keys": len(keyring.keys), "fingerprints": " ".join(keyring.fingerprints())}


async def _read_services(path: str, services: Services, allow_empty: bool) -> Fields:
    from gossipreg.daemon.services_file import read_services  # most sidecars have none

    file = await trio.to_thread.run_sync(read_services, path, abandon_on_cancel=True)
    try:
        changes = await services.follow_file(file, allow_empty=allow_empty)
    except GossipregError as error:
        raise Refused(f"--services {path}: {error}") from None
    if changes.failed:
        raise Refused(f"--services {path}: {changes.failed} of {len(file)} services could not be followed, see the log")
    return {"services": len(file), **changes._asdict()}


async def _read_options(in_force: OptionsInForce, read: Callable[[], tuple[OptionInForce, ...]]) -> Fields:
    """Apply what may change while the sidecar runs, and report the options that a restart would change."""
    applied, waiting = in_force.read_again(await trio.to_thread.run_sync(read, abandon_on_cancel=True))
    found = {"applied": " ".join(applied), "restart_needed_for": " ".join(waiting)}
    return {name: names for name, names in found.items() if names} or {"changed": 0}
