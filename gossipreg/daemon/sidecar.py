"""The parts of one sidecar, made of what `start.py` opened and joined to each other around the node.

Nothing runs yet when a Sidecar is made (see `running.py`), but its services are registered: those that were kept, those
of the flags and those of the file.
"""

import os
import random
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from gossipreg import __version__
from gossipreg.callers import Caller
from gossipreg.core.node import Node
from gossipreg.daemon.asked_member import AskedMember
from gossipreg.daemon.checks.check_spans import traced_runners
from gossipreg.daemon.checks.schedule import RUNNERS
from gossipreg.daemon.client_calls import LocalApi
from gossipreg.daemon.clock import boot_s, wall_ms
from gossipreg.daemon.deliveries.following import DeliveriesToServices
from gossipreg.daemon.ending import Ending
from gossipreg.daemon.finishing import end_at_once
from gossipreg.daemon.force_leave import ForceLeave
from gossipreg.daemon.gateways import TROUBLE_S, counts_of, questions_of, reread_parts, shown_addresses
from gossipreg.daemon.history.clock_watch import ClockWatch
from gossipreg.daemon.history.from_answers import AnswerNotes
from gossipreg.daemon.history.from_log import LogNotes
from gossipreg.daemon.history.history import History
from gossipreg.daemon.history.history_asked import HistoryAsked
from gossipreg.daemon.in_force import OptionsInForce, config_method
from gossipreg.daemon.keeping import Keeping
from gossipreg.daemon.known_health import boot_id
from gossipreg.daemon.logs import Log
from gossipreg.daemon.member_figures import QUESTION, MemberFigures
from gossipreg.daemon.mesh_keys import MeshKeys
from gossipreg.daemon.methods import Methods
from gossipreg.daemon.orchestration import EVENT_METHODS, SAGA_METHODS, Orchestration
from gossipreg.daemon.own_addresses import FollowAddresses
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.reactions import Reactions
from gossipreg.daemon.reload import Reload, parts_of, reload_method
from gossipreg.daemon.reports import Reports
from gossipreg.daemon.seed_greeter import SeedGreeter
from gossipreg.daemon.seeds import literals
from gossipreg.daemon.services import Services
from gossipreg.daemon.sidecar_state import StateFollowers
from gossipreg.daemon.start import OpenedSidecar
from gossipreg.daemon.traces import Traces
from gossipreg.daemon.troubles import Troubles
from gossipreg.daemon.watches import Watches
from gossipreg.history.history_line import NamedMember
from gossipreg.model import Address
from gossipreg.sidecar_api import SidecarApi
from gossipreg.wire.shapes import Shape

if TYPE_CHECKING:
    from gossipreg.wire.seal import Keyring

GATEWAY_LINES_A_MINUTE = 60


class Sidecar:
    def __init__(self, opened: OpenedSidecar, log: Log) -> None:
        """Raises BadConfig for a service of the flags or the file that cannot be registered."""
        settings, config = opened.settings, opened.config
        self.opened = opened
        self.log = log
        self.node = Node(
            config, member=opened.member, id=opened.identity.id, generation=opened.generation, keyring=opened.keyring,
            generation_before=opened.generation_before, own_generations=opened.own_generations, rng=_rng(),
            entropy=os.urandom, now=boot_s(), wall_ms=wall_ms(), address_fixed=opened.address_fixed,
            speaks=opened.transport.speaks,
        )  # fmt: skip
        self.pump = Pump(self.node, opened.transport, log, now=boot_s, stall_s=config.stall_s)
        self._troubles = Troubles(boot_s, conflict_round_s=3 * config.local.conflict_answer_max_s)
        self.reports = Reports(log, self._troubles)
        self.traces = Traces(opened, log, self._troubles)
        self.keeping = Keeping(opened.data, opened.generation, settings.cluster, log, self.reports)
        self.services = Services(
            self.node, self.pump, self.keeping.store, log, allow_cmd_checks=settings.allow_cmd_checks,
            rights=opened.rights, rng=_rng(), runners=traced_runners(RUNNERS, self.traces.tracer),
        )  # fmt: skip
        self.watches = Watches(self.node)
        self.state = StateFollowers(
            self.node, boot_s, cluster=settings.cluster, name=opened.member.name, zone=opened.member.zone,
            run=opened.member.boot_id.hex(),
        )  # fmt: skip
        self.history = self._history()
        self.orchestration = Orchestration(
            opened, self.node, self.pump, log, self._troubles, self.services.audit, store=self.keeping.store,
            tracer=self.traces.tracer, full=self.reports.cannot_accept,
        )  # fmt: skip
        self.ending = Ending(
            self.node, self.pump, self.services, self.keeping.store, log, leave_s=config.leave_s,
            hold_on_sigterm=settings.on_sigterm == "hold", leave_journals=self.orchestration.leave_journals,
            end_at_once=self.end_at_once,
        )  # fmt: skip
        self.addresses = FollowAddresses(
            opened.bind, opened.transport.local_addresses, fixed=opened.address_fixed, seeds=literals(opened.seeds),
            announced=lambda: self.node.addresses, announce=self._announce, moved=self.services.follow_address,
            known=self.reports.address_known,
        )  # fmt: skip
        self.seed_greeter = SeedGreeter(
            self.node, self.pump, self.reports, off_loopback=opened.keyring is not None or settings.insecure,
            found=self.addresses.seeds_found,
        )  # fmt: skip
        self._mesh_keys = MeshKeys(opened.keyring, settings.cluster)
        self._in_force = OptionsInForce(settings.options, log)
        self.deliveries = DeliveriesToServices(
            self.node, self.pump, self.services.entries, self.services.registered, log,
            wanted=self.orchestration.wanted_events, dapr_app=settings.dapr_app,
        )  # fmt: skip
        parts = parts_of(settings, self._in_force, self.node, self.pump, self.services, rekeyed=self._rekeyed)
        self.reload = Reload(log, self._troubles, {**parts, **reread_parts(opened.gateways)})
        self._force_leave = ForceLeave(self.node, self.pump, log, self.services.audit)
        self.methods = self._methods()
        self.local_api = LocalApi(
            self.methods, self.watches, self.state, self.pump.bug, self.orchestration.wanted_events,
            self.history,
        )  # fmt: skip
        self.reactions = Reactions(
            self.pump, self.local_api, self.services, self.addresses, self.keeping, self.ending, self._troubles, log,
            cluster=settings.cluster,
        )  # fmt: skip
        self.keeping.recall(self.node, self.pump, config.alone_s)
        self.services.start(self.keeping.state(), settings.service, opened.file)

    def _methods(self) -> Methods:
        opened, settings = self.opened, self.opened.settings
        return Methods(
            self.node,
            self.pump,
            self.services,
            leave=self.ending.leave,
            durable=self.keeping.durable,
            troubles=self._shown_troubles,
            about={
                "name": opened.member.name,
                "cluster": settings.cluster,
                "seeds": list(settings.seeds),
                **shown_addresses(opened.gateways),
            },
            more_counts=lambda: {
                "watches": len(self.watches),
                "clients": len(opened.local_socket.places),
                **counts_of(opened.gateways),
                **self.orchestration.counts(),
                **self.traces.counts(),
                **self.history.counts(),
            },
            more_fields=self.orchestration.section,
            more={
                "config": config_method(opened, self.node, self._in_force),
                "unmet": self.state.unmet,
                "history-everywhere": self._asked_history().everywhere,
                "journals": self.orchestration.journals,
                "journal": self.orchestration.journal,
                "ask-member": self._asked_member().method,
                **{name: self.orchestration.method(name) for name in EVENT_METHODS},
                **questions_of(opened.gateways),
            },
            more_commands={
                **{name: self.orchestration.saga_method(name) for name in SAGA_METHODS},
                "reload": reload_method(self.reload, settings, self.services),
                "force-leave": self._force_leave.method,
                "journal-recover": self.orchestration.recover_method(self.services.audit),
            },
            more_gone=self.orchestration.client_gone,
        )

    def _history(self) -> History:
        """The history, which hears what happens from now on."""
        opened, settings, clock = self.opened, self.opened.settings, ClockWatch()
        disk = None
        if opened.data is not None and settings.history_space:
            from gossipreg.daemon.history.history_disk import HistoryDisk  # else lines are kept in memory

            disk = HistoryDisk(
                opened.data.path, self.reports, space_bytes=settings.history_space, boot_id=boot_id(),
                keep_from=partial(clock.keep_from, settings.history_keep_s),
            )  # fmt: skip
        own = NamedMember(self.node.id.hex(), opened.member.name)
        history = History(own, self.pump.bug, disk=disk, clock=clock, clock_set=self.reports.clock_set)
        keyring = opened.keyring
        log_notes = LogNotes(history, self.node, () if keyring is None else keyring.fingerprints())
        answers = AnswerNotes(history, self.node, self.services.report, self.pump.now)
        log_notes.started(__version__)
        self.log.hears = history.safely("history_log", log_notes.line)
        self.pump.changes.follow("history", answers.look)
        return history

    def _asked_member(self) -> AskedMember:
        """The figures of this sidecar for other members, and theirs for clients here."""
        figures = MemberFigures(
            self.node, self.pump, self.services, troubles=self._shown_troubles, counts=self.orchestration.counts
        )  # fmt: skip
        self.orchestration.own_answers[QUESTION] = figures.answer
        return AskedMember(self.node, figures, self.pump.now, self.orchestration.wanted_events)

    def _asked_history(self) -> HistoryAsked:
        """What this sidecar saw for other members, and what all saw for clients here."""
        asked = HistoryAsked(self.node, self.history, self.pump.now, self.orchestration.wanted_events)
        self.orchestration.own_answers |= {"clock": asked.clock, "history": asked.lines}
        return asked

    def api(self) -> SidecarApi:
        """What gateways may ask of this sidecar."""
        from gossipreg.daemon.deliveries.gateway_events import GatewayEvents  # a plain sidecar has no gateway
        from gossipreg.daemon.gateway_calls import GatewayCalls

        return SidecarApi(
            view=self.node, changes=self.pump.changes, members=self.pump.members, registrations=self.services,
            registered=self.services.registered,            rights=self.opened.rights,
            cluster=self.opened.settings.cluster, version=__version__, now=self.pump.now, leave=self.ending.leave,
            force_leave=self._force_leave.declare, reload=self._reload_for, greet=self.seed_greeter.greet,
            figures=self.methods.info.figures, note=self._note, bug=self.pump.bug,
            full=self.reports.cannot_accept, trouble=partial(self._troubles.saw, for_s=TROUBLE_S),
            events=GatewayEvents(self.orchestration.wanted_events, self.deliveries.dapr_subscriptions),
            history=self.history,
            ask=GatewayCalls(self.methods, self.pump.bug).ask,
            dapr_app=self.opened.settings.dapr_app, mesh_secrets=self._mesh_keys.secrets, tracer=self.traces.tracer,
        )  # fmt: skip

    def end_at_once(self, code: int) -> NoReturn:
        """End the process, without waiting for the disk or for anybody."""
        self.opened.close_sockets()
        end_at_once(code)

    def _rekeyed(self, keyring: "Keyring") -> None:
        self.orchestration.rekeyed(keyring)
        self._mesh_keys.rekeyed(keyring)

    def _announce(self, addresses: tuple[Address, ...]) -> None:
        self.pump.order(lambda now: self.node.reachable_at(addresses, now))

    async def _reload_for(self, by: Caller) -> None:
        await self.reload.read(by=self.services.audit.record("reload", "", by))

    def _note(self, message: str) -> None:
        self.log.line("info", "gateway", {"message": message}, kind_burst=GATEWAY_LINES_A_MINUTE)

    def _shown_troubles(self) -> list[Shape]:
        if self.opened.local_socket.places.has_room:
            self.reports.has_room()
        self.keeping.store.look()
        self.orchestration.look()
        self.traces.look()
        return self._troubles.shapes()


def _rng() -> random.Random:
    return random.Random(os.urandom(16))
