"""One sidecar from its start to its end: what is opened in `start`, put together around a node and run under trio.

Order of the start: everything opened, the node made, the service beside it registered; then the pump and the local
socket run, the ready line is printed, and the seeds are called. Order of the end: systemd is told, the node takes its
leave of the cluster, clients that still wait get their answers, and all is closed.
"""

import gc
import os
import random
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import trio

from gossipreg import __version__
from gossipreg.callers import Caller
from gossipreg.core.effects import Event
from gossipreg.core.node import Node
from gossipreg.daemon.clock import boot_s, wall_ms
from gossipreg.daemon.data_directory import TRIAL, keep_generation
from gossipreg.daemon.ending import Ending
from gossipreg.daemon.events import in_words, log_event
from gossipreg.daemon.force_leave import ForceLeave
from gossipreg.daemon.gateways import TROUBLE_S, counts_of, reread_parts, run_gateways, shown_addresses
from gossipreg.daemon.in_force import config_method
from gossipreg.daemon.kept import KeptState
from gossipreg.daemon.kept_peers import keep_known_peers
from gossipreg.daemon.kept_table import KeptTable
from gossipreg.daemon.keys import exposed
from gossipreg.daemon.logs import Log, text_value
from gossipreg.daemon.methods import Methods
from gossipreg.daemon.names import Names
from gossipreg.daemon.notify import READY, notify
from gossipreg.daemon.own_addresses import UNKNOWN, FollowAddresses
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.reload import Reload, parts_of, reload_method
from gossipreg.daemon.seeds import Seed, Unresolved, certainly_loopback, keep_resolving, literals, parse_seed, resolve
from gossipreg.daemon.services import Services
from gossipreg.daemon.settings import Settings
from gossipreg.daemon.start import OpenedSidecar, opened
from gossipreg.daemon.store import Store
from gossipreg.daemon.troubles import Troubles
from gossipreg.daemon.watches import Watches
from gossipreg.errors import BadConfig, BadParams, CannotStart, Refused
from gossipreg.feed import Feed
from gossipreg.model import Address, Change
from gossipreg.sidecar_api import GatewayOptions, SidecarApi
from gossipreg.systemd_job import run_by_systemd
from gossipreg.wire.messages import Delta
from gossipreg.wire.shapes import Shape

READY_AT_LATEST_S = 10.0
"""systemd is told READY by then, in step or not: a first member whose seed is down must not be killed for it."""
HOUSEKEEPING_S = 10.0
"""The interval at which omitted log lines are summed up and memory is given back; it takes a millisecond."""
GATEWAY_LINES_A_MINUTE = 60
LAST_ANSWERS_S = 1.0
"""The time that clients have at the end to receive the answer for which they wait."""


def run(settings: Settings, *gateways: GatewayOptions) -> int:
    """Run one sidecar, and these gateways to it, until it leaves; returns the exit code: 0, or 128 and the signal that
    stopped it at once.

    Raises CannotStart or BadConfig: one line for the user, and nothing runs.
    """
    log = Log(settings.log_format, settings.log_level)
    with opened(settings, gateways) as open_things:
        return trio.run(_run, open_things, log)


async def _run(open_things: OpenedSidecar, log: Log) -> int:
    return await Sidecar(open_things, log).run()


def settle_memory() -> None:
    """Give back the memory that only the start needed, about 1 MiB. All other objects stay, so later collections need
    not look at them."""
    gc.collect()
    gc.freeze()
    give_back_memory()


def give_back_memory() -> None:
    """Free memory between what is in use goes back to the system: after a crowd of clients it can be a lot."""
    if sys.platform == "linux":
        import ctypes  # trio has loaded it

        with suppress(AttributeError, OSError):  # not glibc
            ctypes.CDLL(None).malloc_trim(0)


class Sidecar:
    def __init__(self, open_things: OpenedSidecar, log: Log) -> None:
        """Raises BadConfig for a service beside it that cannot be registered."""
        self._open = open_things
        self._settings = settings = open_things.settings
        self._log = log
        self._name = open_things.member.name
        self._synced = trio.Event()
        self._node = Node(
            open_things.config,
            member=open_things.member,
            id=open_things.identity.id,
            generation=open_things.generation,
            keyring=open_things.keyring,
            rng=random.Random(os.urandom(16)),
            entropy=os.urandom,
            now=boot_s(),
            wall_ms=wall_ms(),
            address_fixed=open_things.address_fixed,
            speaks=open_things.transport.speaks,
        )
        self._watches = Watches(self._node)
        self._pump = Pump(
            self._node,
            open_things.transport,
            log,
            now=boot_s,
            stall_s=open_things.config.stall_s,
            changed=self._changed,
            event=self._event,
        )
        data = open_things.data
        self._troubles = Troubles(boot_s)
        self._store = Store(data, self._not_kept, self._kept_again, TRIAL)
        if data is not None and data.unwritten:
            self._not_kept(data.unwritten)
            self._store.commit_later("generation", lambda: [keep_generation(open_things.generation)])
        self._services = Services(
            self._node, self._pump, self._store, log, allow_cmd_checks=settings.allow_cmd_checks,
            rights=open_things.rights, rng=random.Random(os.urandom(16)),
        )  # fmt: skip
        self._ending = Ending(
            self._node, self._pump, self._services, self._store, log,
            leave_s=open_things.config.leave_s, hold_on_sigterm=settings.on_sigterm == "hold",
        )  # fmt: skip
        self._force_leave = ForceLeave(self._node, self._pump, log, self._services.audit)
        self._gateways = open_things.gateways
        self._gateway_changes = Feed[tuple[Change, ...]](self._pump.bug)
        parts = {**parts_of(settings, self._node, self._pump, self._services), **reread_parts(self._gateways)}
        self._reload = Reload(log, self._troubles, parts)
        self._methods = Methods(
            self._node,
            self._pump,
            self._services,
            leave=self._ending.leave,
            durable=data is not None,
            troubles=self._troubles_now,
            about={
                "name": self._name,
                "cluster": settings.cluster,
                "seeds": list(settings.seeds),
                **shown_addresses(self._gateways),
            },
            more_counts=self._more_counts,
            more={"config": config_method(settings, self._came_to, self._key_fingerprints)},
            more_commands={
                "reload": reload_method(self._reload, settings, self._services),
                "force-leave": self._force_leave.method,
            },
        )
        if data is not None:
            self._pump.order(lambda now: self._node.remember(data.peers(), now))
        self._kept_table = None if data is None else KeptTable(data.path, settings.cluster, log)
        if self._kept_table is not None:
            self._kept_table.recall(open_things.config.alone_s, self._recall)
        self._addresses = FollowAddresses(
            open_things.bind,
            open_things.transport.local_addresses,
            fixed=open_things.address_fixed,
            seeds=literals(open_things.seeds),
            announced=lambda: self._node.addresses,
            announce=self._announce,
            moved=self._services.follow_address,
            known=self._address_known,
        )
        self._services.start(KeptState() if data is None else data.kept(), settings.service, open_things.file)

    async def run(self) -> int:
        self._log.info(
            "start", version=__version__, pid=os.getpid(), name=self._name, cluster=self._settings.cluster,
            sealed=self._open.keyring is not None, seeds=" ".join(self._settings.seeds),
            data_dir=self._settings.data_dir or "none",
        )  # fmt: skip
        if self._open.data is not None and (aside := self._open.data.set_aside()):
            self._log.warning(
                "data_set_aside", files=" ".join(aside),
                message="what was kept before they were damaged is not in use: put a backup back, or remove them",
            )  # fmt: skip
        for variable, why in self._settings.ignored_variables:
            self._log.warning("variable_ignored", variable=variable, message=why)
        if self._settings.on_sigterm == "hold" and not run_by_systemd():
            self._log.warning("no_hold", message="--on-sigterm hold: no unit of systemd runs this process, so SIGTERM "
                              "will be a plain leave; `gossipreg leave --hold 30s` holds")  # fmt: skip
        if fault := exposed(self._settings.key_file):
            self._log.warning("key_exposed", message=fault)
        for fault in (fault for one in self._gateways for fault in one.warnings()):
            self._log.warning("http_tokens", message=fault)
        trio.socket.set_custom_hostname_resolver(Names())
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._run_pump)
                nursery.start_soon(self._store.run)
                nursery.start_soon(self._services.health.checks.run)
                nursery.start_soon(self._services.health.known.run)
                nursery.start_soon(run_gateways, self._gateways, self._api())
                nursery.start_soon(self._addresses.run)
                if self._kept_table is not None:
                    nursery.start_soon(keep_known_peers, self._node, self._store)
                    nursery.start_soon(self._kept_table.run, self._node)
                nursery.start_soon(self._keep_house)
                nursery.start_soon(
                    self._open.local_socket.serve, self._methods, self._watches, self._pump.bug, self._crowded
                )
                nursery.start_soon(self._ending.obey, signals, self._reload.on_signal, nursery)
                nursery.start_soon(self._seek)
                nursery.start_soon(self._tell_ready)
                await self._ending.over.wait()
                if self._ending.exit_code == 0:
                    with trio.move_on_after(LAST_ANSWERS_S):
                        await self._open.local_socket.answered()
                nursery.cancel_scope.cancel()
        if self._pump.stopped is not None:
            raise CannotStart(self._pump.stopped)
        self._log.info("stopped", name=self._name)
        return self._ending.exit_code

    # -- tasks ---------------------------------------------------------------------------------------------------------

    async def _run_pump(self) -> None:
        await self._pump.run()
        self._ending.over.set()

    async def _seek(self) -> None:
        if not self._open.seeds:
            self._pump.order(lambda now: self._node.seek((), now))
        await keep_resolving(
            self._open.seeds,
            found=self._found,
            failed=self._unresolved,
            resolved=lambda seed: self._troubles.over(f"seed_unresolved {seed}"),
            content=lambda: self._node.synced and not self._node.alone,
        )

    async def _tell_ready(self) -> None:
        self._print_ready()
        settle_memory()
        with trio.move_on_after(READY_AT_LATEST_S):
            await self._synced.wait()
        notify(READY)

    # -- what they do --------------------------------------------------------------------------------------------------

    def _api(self) -> SidecarApi:
        return SidecarApi(
            view=self._node, changes=self._gateway_changes, registrations=self._services, rights=self._open.rights,
            cluster=self._settings.cluster, version=__version__,
            now=self._pump.now, leave=self._ending.leave, force_leave=self._force_leave.declare,
            reload=self._reload_for, seek=self._call, figures=self._methods.figures, note=self._note,
            bug=self._pump.bug,            trouble=partial(self._troubles.saw, for_s=TROUBLE_S),
        )  # fmt: skip

    def _note(self, message: str) -> None:
        self._log.line("info", "gateway", {"message": message}, kind_burst=GATEWAY_LINES_A_MINUTE)

    async def _reload_for(self, by: Caller) -> None:
        await self._reload.read(by=self._services.audit.record("reload", "", by))

    def _more_counts(self) -> dict[str, int]:
        return {"watches": len(self._watches), **counts_of(self._gateways)}

    async def _call(self, text: str) -> None:
        """Call one more seed. Raises BadParams or Refused."""
        try:
            seed = parse_seed(text)
        except BadConfig as error:
            raise BadParams(str(error)) from None
        if self._open.keyring is None and not self._settings.insecure and not certainly_loopback(seed):
            raise Refused(f"no key, and {text} is not loopback: start this sidecar with --key-file")
        try:
            addresses = await resolve(seed)
        except Unresolved as error:
            raise Refused(str(error)) from None
        self._found(tuple(addresses))

    def _came_to(self) -> dict[str, Any]:
        """The values to which options that were left at their default resolved."""
        bind = self._open.bind
        return {
            "name": self._name,
            "bind": [str(Address(host, self._open.transport.local_addresses[0].port)) for host in bind.hosts],
            "advertise": next(map(str, self._node.addresses), None),
            "socket": str(self._open.local_socket.path),
        }

    def _key_fingerprints(self) -> list[str]:
        return [] if self._node.keyring is None else self._node.keyring.fingerprints()

    def _recall(self, deltas: Iterable[Delta], counts_s: float) -> None:
        self._pump.order(lambda now: self._node.recall(deltas, counts_s, now))

    def _changed(self, changes: tuple[Change, ...]) -> None:
        self._gateway_changes.publish(changes)
        self._watches.publish(changes)
        self._services.health.look_at_aliases(changes)

    def _event(self, event: Event) -> None:
        if event.kind == "synced":
            self._synced.set()
        elif event.kind == "moved":
            self._addresses.changed()
        elif event.kind == "generation_raised":
            self._keep_generation(int(dict(event.fields)["generation"]))
        self._troubles.on_event(event, in_words(event, cluster=self._settings.cluster))
        log_event(self._log, event, cluster=self._settings.cluster, leaving=self._ending.leaving)

    def _found(self, addresses: tuple[Address, ...]) -> None:
        """The seeds' names gave new addresses."""
        self._addresses.seeds_found(addresses)
        self._pump.order(lambda now: self._node.seek(addresses, now))

    def _announce(self, addresses: tuple[Address, ...]) -> None:
        self._pump.order(lambda now: self._node.reachable_at(addresses, now))

    def _address_known(self, known: bool) -> None:
        if known:
            self._troubles.over("no_address")
        else:
            self._troubles.saw("no_address", UNKNOWN, lasting=True)
            self._log.warning("no_address", message=UNKNOWN)

    async def _keep_house(self) -> None:
        while True:
            await trio.sleep(HOUSEKEEPING_S)
            self._log.summarise()
            if unsent := self._troubles.look_at_unsent(self._pump.dropped):
                self._log.line("warning", "cannot_send", {"message": unsent}, repeat_key="cannot_send")
            give_back_memory()

    def _keep_generation(self, generation: int) -> None:
        if self._open.data is not None:
            try:
                self._open.data.keep_generation(generation)
            except Refused as error:
                self._not_kept(str(error))

    def _troubles_now(self) -> list[Shape]:
        if self._open.local_socket.has_room:
            self._troubles.over("crowded")
        return self._troubles.shapes()

    def _crowded(self, message: str) -> None:
        self._troubles.saw("crowded", message)
        self._log.line("warning", "clients_crowded", {"message": message}, repeat_key="clients_crowded")

    def _not_kept(self, why: str) -> None:
        self._troubles.saw(
            "not_kept", f"{why}: registrations are refused until it can be written; deregistering works", lasting=True
        )
        self._log.line("error", "not_kept", {"message": f"{why}: trying again"}, repeat_key="not_kept")

    def _kept_again(self) -> None:
        self._troubles.over("not_kept")
        self._log.info("kept_again", message="the data directory can be written again, and is up to date")

    def _unresolved(self, seed: Seed, why: str) -> None:
        self._troubles.saw(f"seed_unresolved {seed}", f"the seed {seed} is not resolved: {why}")
        fields = {"seed": str(seed), "reason": why, "message": "trying again"}
        self._log.line("warning", "seed_unresolved", {**fields}, repeat_key=f"seed {seed}")

    def _print_ready(self) -> None:
        """The line that says on stdout that the socket answers."""
        fields = {
            "name": self._name,
            "id": self._open.identity.id.hex(),
            "gossip": str(next(iter(self._node.addresses), self._open.transport.local_addresses[0])),
            "socket": str(self._open.local_socket.path),
            **shown_addresses(self._gateways),
        }
        if self._settings.log_format == "json":
            import json

            line = json.dumps({"event": "ready", **fields})
        else:
            line = " ".join(["ready", *(f"{key}={text_value(value)}" for key, value in fields.items())])
        try:
            print(line, flush=True)  # noqa: T201  # the one thing that join says on stdout
        except OSError:
            sys.stdout = None  # its reader is gone; do not fail again at the exit
