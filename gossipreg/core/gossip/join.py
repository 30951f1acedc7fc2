"""Joining: a member with an empty table lists the table of another member and pulls its rows. Also the other side.

Owns: the listing under way, which listed versions are missing here, and whether this member is synced. Never knows: how
a row is fetched (`pulls.py`).

    joiner -> member   List(after)             the versions of the rows of all living members, in order of id, by pages
    member -> joiner   Versions(rows, next)    pulled as they come; next is b"" on the last page

A page that does not come is asked for again from the same place, of another member if there is one: ids are in the same
order everywhere. A busy member names others, and whichever of them answers first is listed instead.

A member is synced once it holds every version that was listed. If it has no seed but itself, it is synced at once. A
version that cannot be fetched keeps it from being synced for as long as the first member that it listed has that
version. Meanwhile it lists the table again at growing intervals and pulls the missing rows again. A row is not missing
any more once its member is known to have died or left, or once a whole new list does not name it. The new list comes
from the first member, or from another one if the first is silent or no member any more.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from gossipreg.core.context import Context
from gossipreg.core.gossip.asked_again import AskedAgain
from gossipreg.core.gossip.dissemination import Dissemination
from gossipreg.core.gossip.pulls import Pulls
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import Class
from gossipreg.core.session.path_mtu import PathMtu
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import NOTHING, NodeId, Version
from gossipreg.wire.messages import List, Peers, Versions

VERSION_BYTES = 38
"""An upper bound of one (id, generation, counter) in Versions."""
_LISTS_AT_ONCE = 8
"""Members listing our table within a period; further ones are sent to others as well."""
_LIST_AGAIN_S = 1.0
_MISSING_AGAIN_S, _MISSING_AGAIN_MAX_S = 1.0, 16.0
"""How long to wait before the table is listed again while versions are missing. The wait begins with the first value
and doubles up to the second. A list of 10,000 rows takes 380 KB."""
_FIRST_SILENT_S = 5.0
_OFFERED = 8


@dataclass(frozen=True, slots=True)
class ListAgain:
    """Timer: the listing made no progress."""


@dataclass(frozen=True, slots=True)
class MissingAgain:
    """Timer: listed versions are still missing. If nothing is being fetched, list again."""


@dataclass(slots=True)
class _Listing:
    peer: NodeId
    after: bytes = b""
    busy: bool = False
    """The member named others instead of answering."""
    whole: bool = True
    """All pages so far came from this member."""
    named: dict[NodeId, None] = field(default_factory=dict)
    """The rows on these pages."""


class Joining:
    def __init__(
        self,
        context: Context,
        table: Table,
        ring: Ring,
        channel: Channel,
        paths: PathMtu,
        rumours: Dissemination,
        fetch: Pulls,
    ) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._channel = channel
        self._paths = paths
        self._dissemination = rumours
        self._pulls = fetch
        self._listing: _Listing | None = None
        self._listed = False
        self._first: NodeId | None = None
        """The first member whose table was listed, or the one that took its place."""
        self._missing: dict[NodeId, Version] = {}
        """The versions that were listed and are not here yet."""
        self._again_s = _MISSING_AGAIN_S
        self._served: dict[NodeId, float] = {}
        self._answers = AskedAgain()
        self.has_joined: Callable[[], None]
        """We are in step. Set by the node, once who needs us is made."""

    @property
    def synced(self) -> bool:
        return self._context.in_step

    @property
    def first_was_synced(self) -> bool:
        """Whether the first member that was listed was synced itself. True if there was none to list."""
        peer = None if self._first is None else self._channel.session(self._first)
        return peer is None or peer.in_step

    @property
    def progress(self) -> str:
        """What this member waits for before it is synced, in words; empty once it is."""
        if self.synced:
            return ""
        if self._missing and self._first is not None:
            whose = " at ".join(filter(None, self._channel.named_at(self._first)))
            return f"{len(self._missing)} rows that {whose} listed are not here yet"
        if self._listing is not None:
            return f"the member at {self._channel.address(self._listing.peer)} has not listed its whole table yet"
        return "no other member has answered yet"

    # -- the joiner ------------------------------------------------------------------------------------------------

    def list_from(self, peer: NodeId) -> None:
        """This member answers: list its table, unless we are in step, or on the way."""
        if self.synced or self._listed or (self._listing is not None and not self._listing.busy):
            return
        self._first = self._first or peer
        self._go_on_with(peer)
        self._ask()

    def _go_on_with(self, peer: NodeId) -> None:
        """Continue the listing with this member, from the place that it has reached."""
        before = self._listing
        if before is None or not before.after:
            self._listing = _Listing(peer)
        elif before.peer != peer:
            self._listing = _Listing(peer, before.after, whole=False)

    def without_others(self) -> None:
        """Be synced at once: there is no seed but ourselves, so there is nobody to sync with."""
        if not self.synced and self._listing is None and not self._listed:
            self._become_synced()

    def on_page(self, peer: NodeId, page: Versions) -> None:
        """A page of the list; its rows have been weighed, and are on their way where we lacked them."""
        listing, following = self._listing, page.next
        if listing is None or listing.peer != peer or following is None:
            return
        if following and following <= listing.after:
            self._context.count("list_pages_late")
            return
        for id, generation, counter in page.rows:
            listing.named[id] = None
            goal = Version(generation, counter)
            if not self._settled(id, goal):
                self._missing[id] = goal
        listing.after = following
        if following:
            self._ask()
            return
        if listing.whole and (peer == self._first or self._first_is_silent):
            for id in [id for id in self._missing if id not in listing.named]:
                del self._missing[id]
        self._listing, self._listed = None, True
        self._context.timers.cancel(ListAgain())
        self._look()

    @property
    def _first_is_silent(self) -> bool:
        """Whether the first member has been silent for so long that another member's list replaces its own."""
        peer = None if self._first is None else self._channel.session(self._first)
        return peer is None or self._context.now - peer.heard_at >= _FIRST_SILENT_S

    def _settled(self, id: NodeId, goal: Version) -> bool:
        """Whether nothing of this row is missing: it is here, or its member died or left since it was listed."""
        row = self._table.rows.get(id)
        if row is None:
            return False
        gone = (row.dead or row.left) and goal.generation <= row.liveness.generation
        return id == self._context.id or gone or row.told >= goal

    def on_peers(self) -> None:
        """The member is busy and names others."""
        if self._listing is not None:
            self._listing.busy = True

    @property
    def seeks(self) -> bool:
        """Whether another member to list would help."""
        return not self.synced and not self._listed

    def arrived(self, id: NodeId) -> None:
        """Something of this row came, or that its member is dead, or its pull was given up. That a member is dead whose
        row is not here does not settle it: it may have refuted that, so a new list has the word."""
        goal = self._missing.get(id)
        if goal is not None:
            row = self._table.rows.get(id)
            if row is not None and row.told >= goal:
                del self._missing[id]
            self._look()

    def on_missing_again(self) -> None:
        """List the table again, if nothing more comes by itself."""
        context = self._context
        if self._missing and self._first is not None and self._listing is None and not self._pulls.busy:
            row = self._table.rows.get(self._first)
            if row is not None and (row.dead or row.left):
                self._first = next(iter(self._ring.sample(context.rng, 1)), self._first)
            self._again_s = min(2 * self._again_s, _MISSING_AGAIN_MAX_S)
            self._go_on_with(self._first)
            self._ask()
        self._look()

    def missing(self) -> dict[NodeId, NodeId]:
        """The rows whose listed version is not here, each with the member that listed it."""
        return {} if self._first is None else dict.fromkeys(self._missing, self._first)

    def on_list_again(self) -> None:
        """No page for a while."""
        if self._listing is None:
            return
        others = self._ring.sample(self._context.rng, 1, [self._listing.peer])
        if others:
            self._go_on_with(others[0])
        self._ask()

    def on_not_understood(self, peer: NodeId) -> None:
        """It had to ask who we are, so it dropped our question: ask again at once."""
        if self._listing is not None and self._listing.peer == peer:
            self._ask()

    def forget(self, id: NodeId) -> None:
        if self._listing is not None and self._listing.peer == id:
            self.on_list_again()

    def _ask(self) -> None:
        if self._listing is not None:
            self._channel.to(self._listing.peer, List(self._listing.after))
            self._context.timers.set(ListAgain(), self._context.now + _LIST_AGAIN_S)

    def _look(self) -> None:
        if not self._listed or self.synced:
            return
        if all(self._settled(id, goal) for id, goal in self._missing.items()):  # a dead one may refute that until then
            self._missing.clear()
            self._become_synced()
        elif MissingAgain() not in self._context.timers:
            self._context.timers.set(MissingAgain(), self._context.now + self._again_s)

    def _become_synced(self) -> None:
        self._context.in_step = True
        self._listing = None
        self._context.timers.cancel(ListAgain())
        self._context.timers.cancel(MissingAgain())
        self._context.event("synced")
        self._dissemination.tell_row(self._context.id, NOTHING)
        self.has_joined()

    # -- the member that is listed ---------------------------------------------------------------------------------

    def on_list(self, peer: NodeId, message: List) -> None:
        """Somebody lists our table; where we are busy it is given others to ask."""
        context = self._context
        if not self._channel.room(Class.PAGE) or self._too_many(peer, message):
            others = [
                (id, address)
                for id in self._ring.sample(context.rng, _OFFERED, [peer])
                if (address := self._channel.address(id)) is not None
            ]
            if others:
                self._channel.to(peer, Peers(tuple(others)))
                return
        if self._answers.again(peer, message.after):
            self._paths.doubt(peer)
        most = (self._channel.limit(peer) - 64) // VERSION_BYTES
        ids = self._ring.after(message.after, most + 1)
        rows = [(id, *self._table.rows[id].version) for id in ids[:most]]
        self._channel.to(peer, Versions(tuple(rows), ids[most - 1] if len(ids) > most else b""))
        if peer in self._channel.large:
            self._answers.answered(peer, message.after)

    def _too_many(self, peer: NodeId, message: List) -> bool:
        """Whether others began to list our table just now. Who has begun may go on."""
        now = self._context.now
        self._served = {id: at for id, at in self._served.items() if at >= now - self._context.config.period_s}
        if message.after or peer in self._served:
            return False
        if len(self._served) >= _LISTS_AT_ONCE:
            return True
        self._served[peer] = now
        return False
