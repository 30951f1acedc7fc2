"""Journals, and streams to other members, as seen from the rest of the sidecar: nothing is loaded before it is needed.

They are needed where the data directory holds journals or groups of events, when the first connection comes to the
gossip port, and when something here asks (`wanted`). Owns: when that is, and what our row says of this machine. Never
knows: what a journal is for.
"""

import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import trio

from gossipreg.blake2 import blake2b
from gossipreg.core.node import Node
from gossipreg.core.table.layout import KIND_GROUP, KIND_JOURNAL_HOST
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.journals_file import has_journals
from gossipreg.daemon.kept import KeptEventGroup, keep_event_groups
from gossipreg.daemon.logs import Log
from gossipreg.daemon.orchestration_modules import load_modules
from gossipreg.daemon.params import boolean, take_untrusted, word
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.settings import Settings
from gossipreg.daemon.socket_client import Command, Handler, Params, SocketClient, pack
from gossipreg.daemon.start import OpenedSidecar
from gossipreg.daemon.store import Store, Write
from gossipreg.daemon.troubles import Troubles
from gossipreg.errors import BadParams, NotFound, Unavailable
from gossipreg.net.accepting import NoRoom, ignore
from gossipreg.tracing import NO_TRACER, Tracer
from gossipreg.wire.shapes import Shape

if TYPE_CHECKING:
    from gossipreg.daemon.events.local_events import LocalEvents
    from gossipreg.daemon.events.own_answers import OwnAnswer
    from gossipreg.daemon.events.row_announcements import RowAnnouncements
    from gossipreg.daemon.journals.follower import JournalFollower
    from gossipreg.daemon.journals.journals_shown import JournalsShown
    from gossipreg.daemon.journals.runtime import JournalRuntime
    from gossipreg.daemon.sagas.local_sagas import LocalSagas
    from gossipreg.events.effects import RanGroup
    from gossipreg.events.membership import KnownGroup
    from gossipreg.wire.seal import Keyring

KERNEL_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
HOST_BYTES = 16
T = TypeVar("T")
NOT_LOADED = (
    "journals and events could not be loaded, and this sidecar goes on without them: the log has the reason; "
    "restart it, as after every upgrade"
)
OPEN_S = 2.0
"""How long a question about the journals here waits until they are open, as just after the start."""
NOT_OPEN = (
    "the journals on the disk of this sidecar are not open, so it does not know which copies are here: see `gossipreg "
    "info`"
)
EVENT_METHODS = (
    "publish",
    "events-groups",
    "events-dead",
    "events-retry",
    "events-drop",
    "events-forget",
    "events-trace",
)
"""As `events/event_methods.py` has them, which is not loaded for their names."""
SAGA_METHODS = (
    *("saga-begin", "saga-run", "saga-step", "saga-after", "saga-commit", "saga-abort", "saga-show", "saga-list"),
    *("saga-wait", "saga-retry", "saga-skip", "saga-give-up", "saga-journal"),
)
"""As `sagas/saga_methods.py` has them."""


class Orchestration:
    def __init__(
        self, opened: OpenedSidecar, node: Node, pump: Pump, log: Log, troubles: Troubles, audit: Audit, *,
        store: Store | None = None, follower: "Callable[[], JournalFollower] | None" = None,
        tracer: Tracer = NO_TRACER, full: NoRoom = ignore,
    ) -> None:  # fmt: skip
        """`follower` makes what stands on the journals instead of events and sagas, once they are loaded; `audit` is
        told of what people decide about sagas; `store` writes which groups of events ran here; `full` hears of
        connections that the system has no room for."""
        self._opened = opened
        self._node = node
        self._pump = pump
        self._log = log
        self._troubles = troubles
        self._audit = audit
        self._store = store
        self._follower = follower
        self._tracer = tracer
        self._full = full
        self.own_answers: dict[str, OwnAnswer] = {}
        """What this sidecar itself answers to other members, by the name of the question."""
        self._wanted = trio.Event()
        self._started = trio.Event()
        self.runtime: JournalRuntime | None = None
        """None until it is loaded."""
        self.events: LocalEvents | None = None
        """None until they are loaded."""
        self.sagas: LocalSagas | None = None
        """As `events`."""
        self._shown: JournalsShown | None = None
        self._declared: tuple[KnownGroup, ...] = ()
        self._host = host_of(opened.settings)
        if opened.data is not None:
            pump.order(lambda now: node.announce(KIND_JOURNAL_HOST, 0, self._announced(), now))
        self._declare(opened.settings.groups)
        self._in_row: RowAnnouncements | None = None
        self._ran: Sequence[KeptEventGroup] = () if opened.data is None else opened.data.event_groups()
        self._remember()

    def _announced(self) -> bytes:
        from gossipreg.journal.announced import AnnouncedHost, encode_host  # not for a sidecar without a data directory

        return encode_host(AnnouncedHost(self._host, takes_copies=self._opened.settings.journal_space > 0))

    def _declare(self, groups: Sequence[str]) -> None:
        """Name these groups in our row. `events/group_announcements.py` keeps their slots, once it is loaded."""
        if not groups:
            return
        from gossipreg.events.announced import declared_groups, encode_group  # most sidecars declare none

        self._declared = declared_groups(groups)
        for slot, group in enumerate(self._declared):
            self._pump.order(partial(self._node.announce, KIND_GROUP, slot, encode_group(group)))

    def _remember(self) -> None:
        """Name the groups of the last run in our row, before anybody gets it."""
        if not self._ran:
            return
        from gossipreg.daemon.events.row_announcements import RowAnnouncements  # most sidecars remember none
        from gossipreg.events.announced import encode_group
        from gossipreg.events.effects import AnnounceSubscription, RanGroup
        from gossipreg.events.remembered_groups import announced_groups

        self._in_row = in_row = RowAnnouncements(self._node, self._pump, self._log, self._troubles)
        remembered = announced_groups(map(RanGroup._make, self._ran), self._declared)
        for slot, group in enumerate(remembered, len(self._declared)):
            in_row.announce(AnnounceSubscription(KIND_GROUP, slot, encode_group(group)))

    # -- loading -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        listeners, data = self._opened.stream_listeners, self._opened.data
        if data is None or not (self._ran or has_journals(data.path)):
            await self._wait_until_needed(listeners)
        try:
            self.runtime, self._shown = await self._load()
        except Exception as error:
            self._pump.bug("orchestration_load", error)
            self._fail()
            return
        async with trio.open_nursery() as nursery:
            if self.sagas is not None:
                await nursery.start(self.sagas.run)
            await nursery.start(self.runtime.run, listeners)
            if self.events is not None:
                nursery.start_soon(self.events.run)
            await self._wait_for_disk(self.runtime)
            self._started.set()

    async def _wait_for_disk(self, runtime: "JournalRuntime") -> None:
        """Until the journals on the disk are known, for OPEN_S at most: whoever asks before that could not be told."""
        if runtime.disk is not None and runtime.disk.needed:
            with trio.move_on_after(OPEN_S):
                await runtime.begun.wait()

    def _fail(self) -> None:
        """The modules cannot be loaded: another release was installed while this sidecar runs, or memory is short. The
        sidecar goes on without journals and events, and says so to whoever asks for them."""
        self._troubles.saw("journals_not_loaded", NOT_LOADED, lasting=True)
        self.events = self.sagas = None
        self._started.set()

    async def _wait_until_needed(self, listeners: Sequence[socket.socket]) -> None:
        async with trio.open_nursery() as nursery:

            async def then_go_on(wait: Callable[[], Awaitable[None]]) -> None:
                await wait()
                nursery.cancel_scope.cancel()

            for one in listeners:
                nursery.start_soon(then_go_on, partial(trio.lowlevel.wait_readable, one))
            nursery.start_soon(then_go_on, self._wanted.wait)

    async def _load(self) -> "tuple[JournalRuntime, JournalsShown]":
        load = await load_modules(self._full)
        about = self._node, self._pump, self._log, self._troubles
        if self._follower is not None:
            runtime = load.compose(self._opened, *about, host=self._host, follower=self._follower(), full=self._full)
            return runtime, load.shown(runtime, self._node)
        opened = self._opened
        self.events = load.events(
            *about, source=opened.member.name, declared=self._declared, ran=self._ran, keep=self._keep_groups,
            tracer=self._tracer, answers=self.own_answers, in_row=self._in_row,
        )  # fmt: skip
        self.sagas = load.sagas(
            *about, rights=opened.rights, audit=self._audit, secrets=opened.settings.secrets, tracer=self._tracer
        )
        both = load.both(self.events, self.sagas)
        runtime = load.compose(opened, *about, host=self._host, follower=both, full=self._full)
        both.begin(runtime)
        return runtime, load.shown(runtime, self._node)

    def _keep_groups(self, groups: "Sequence[RanGroup]") -> Write[bool] | None:
        if self._store is None:
            return None
        return self._store.apply_first("event_groups", partial(keep_event_groups, groups), lambda: None)

    async def wanted(self) -> "JournalRuntime":
        """The runtime, loaded if need be. Raises Unavailable if it cannot be."""
        self._wanted.set()
        await self._started.wait()
        if self.runtime is None:
            raise Unavailable(NOT_LOADED)
        return self.runtime

    async def wanted_events(self) -> "LocalEvents":
        """The events, loaded if need be. Raises Unavailable if they cannot be."""
        if self.events is None or not self._started.is_set():
            await self.wanted()
        assert self.events is not None, "another follower is for tests alone"
        return self.events

    async def wanted_sagas(self) -> "LocalSagas":
        """The sagas, loaded if need be. Raises Unavailable if they cannot be."""
        if self.sagas is None or not self._started.is_set():
            await self.wanted()
        assert self.sagas is not None, "another follower is for tests alone"
        return self.sagas

    def saga_method(self, name: str) -> Command:
        """A method about sagas (`sagas/saga_methods.py`), which is loaded with them."""

        async def call(params: Params, client: SocketClient) -> bytes:
            sagas = await self.wanted_sagas()
            return await sagas.call(name, params, client)

        return call

    def client_gone(self, client: SocketClient) -> None:
        """A connection to the local socket has ended: it may be the program of sagas."""
        if client.sagas and self.sagas is not None:
            self.sagas.client_gone(client)

    def method(self, name: str) -> Handler:
        """A method about events (`events/event_methods.py`), which is loaded with them."""

        async def call(params: Params) -> bytes:
            events = await self.wanted_events()
            return await events.call(name, params)

        return call

    # -- what people see ---------------------------------------------------------------------------------------------

    def section(self) -> Shape:
        """The fields `journals`, `events` and `sagas` of `info`; none as long as nothing is loaded."""
        journals = {} if self._shown is None else {"journals": self._shown.section()}
        events = {} if self.events is None else self.events.section()
        sagas = {} if self.sagas is None else self.sagas.section()
        return {**journals, **({"events": events} if events else {}), **({"sagas": sagas} if sagas else {})}

    def counts(self) -> dict[str, int]:
        journals = {} if self._shown is None else self._shown.counts()
        events = {} if self.events is None else self.events.figures()
        return {**journals, **events, **({} if self.sagas is None else self.sagas.figures())}

    def look(self) -> None:
        """See what an operator should know: now and then, and before troubles are shown."""
        if self.runtime is not None and self._shown is not None:
            now = self.runtime.now()
            self.runtime.reports.orphans(self._shown.orphaned())
            self.runtime.reports.leaderless(self._shown.leaderless(now), now)
        if self.events is not None and self._started.is_set():
            self.events.look()
        if self.sagas is not None and self._started.is_set():
            self.sagas.look()

    async def journals(self, params: Params) -> bytes:
        """The method `journals`: those of which a copy is here."""
        take_untrusted("journals", params, {})
        shown = await self._opened_journals()
        return pack([] if shown is None else await shown.proven())

    async def journal(self, params: Params) -> bytes:
        """The method `journal` {id}: one of them; the beginning of its id will do."""
        prefix = take_untrusted("journal", params, {"id": word}, "id")["id"].lower()
        shown = await self._opened_journals()
        return pack(_one(prefix, [] if shown is None else await shown.proven(prefix)))

    async def _opened_journals(self) -> "JournalsShown | None":
        """None: no journal is here, and nothing has asked for one. It is waited for OPEN_S until the disk's are open.
        Raises Unavailable where they are not: which copies are here is not known then."""
        data = self._opened.data
        if self._shown is None and (data is None or not has_journals(data.path)):
            return None
        with trio.move_on_after(OPEN_S):
            runtime = await self.wanted()
            if runtime.disk is not None and runtime.disk.needed:
                await runtime.begun.wait()
            return self._shown
        raise Unavailable(NOT_OPEN)

    def recover_method(self, audit: Audit) -> Command:
        """The method `journal-recover` {id, yes}: see `journals/recovering.py`."""

        async def recover(params: Params, client: SocketClient) -> bytes:
            given = take_untrusted("journal-recover", params, {"id": word, "yes": boolean}, "id")
            prefix = given["id"].lower()
            shown = await self._opened_journals()
            journal = _one(prefix, [] if shown is None else shown.ids(prefix))
            from gossipreg.daemon.journals.recovering import JournalRecovery  # a copy is here, so they are loaded

            assert self.runtime is not None, "a copy is here"
            recovery = JournalRecovery(self.runtime, self._node, self._log, audit)
            return pack(await recovery.recover(journal, client.caller, sure=given.get("yes", False)))

        return recover

    # -- what else happens to a sidecar ------------------------------------------------------------------------------

    async def leave_journals(self) -> None:
        """This sidecar is about to leave: hand over the journals that it leads, and stay while one needs it."""
        if self.runtime is not None:
            from gossipreg.daemon.journals.leaving import leave_journals

            if not await leave_journals(self.runtime):
                self._log.warning(
                    "journals_not_handed_over", message="leaving, though a journal still needs this sidecar"
                )

    async def finish(self) -> None:
        """Nothing to do: the journals are written when what runs is cancelled (`JournalDisk.run`)."""

    def unwritten(self) -> str:
        """What of the journals is not on the disk, in words."""
        disk = None if self.runtime is None else self.runtime.disk
        if disk is None or not disk.unfinished:
            return ""
        return "journals.db may lack what was not acknowledged yet"

    def rekeyed(self, keyring: "Keyring") -> None:
        """The cluster has these keys now: streams with another one end."""
        if self.runtime is not None:
            self.runtime.streams.rekey(keyring)


def _one(prefix: str, found: Sequence[T]) -> T:
    """The one journal that was found here. Raises NotFound, BadParams."""
    if not found:
        raise NotFound(f"no copy of a journal {prefix[:40]!r} is here: see `gossipreg journal list`")
    if len(found) > 1:
        raise BadParams(f"{len(found)} journals here begin with {prefix[:40]!r}: write more of the id")
    return found[0]


def host_of(settings: Settings) -> bytes:
    """Which machine this is, for the choice of copies: sidecars on one machine are lost together. The kernel's boot id
    is the same in all containers of a machine; hashed with the cluster's name, so that it says nothing elsewhere."""
    what = _kernel_boot_id() if settings.host_id is None else settings.host_id
    return blake2b(f"{what}\0{settings.cluster}".encode(), digest_size=HOST_BYTES).digest()


def _kernel_boot_id() -> str:
    """The machine's name where the kernel has no such id."""
    try:
        return KERNEL_BOOT_ID.read_text().strip()
    except OSError:
        return socket.gethostname()
