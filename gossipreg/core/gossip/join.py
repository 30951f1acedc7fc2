"""Join: a member with an empty table lists the table of another member and pulls its rows. Both sides are here.

Owns: the listing in progress, which listed versions are missing here, and whether this member is synced. Never knows:
how a row is pulled (`pulls.py`).

    joiner -> member   List(after)             request the versions of the rows of all living members, in order of id
    member -> joiner   Versions(rows, next)    one page of them, and whether the member is synced; next is b"" on the
                                               last page. The joiner pulls the rows

If a page does not come, the joiner requests it again, from another member if there is one. The ids are in the same
order at every member, so the listing continues there. A busy member names other members, and the joiner lists the one
of them that answers first.

A list counts if each page of it came from a member that was synced then: another one may have just started itself, and
know few rows. After a list that does not count, the joiner pulls its rows too, and lists another member after a short
wait, then after longer ones; the silent seeds are greeted again, too. Of the members that have not said that they are
not synced, it takes one that has run for long. If nobody says that it is synced, the cluster probably starts as a
whole. So after the last of these waits, or once members have been silent for too long, the lists that came count.

A member is synced once it holds every version that was listed. If it has no seed but itself, it is synced at once. It
is not synced while the first member that it listed has a version that could not be pulled. Meanwhile it lists the table
again at growing intervals and pulls the missing rows again. A row is not missing any more once its member is known to
have died or left, or once a whole new list that counts does not name it. The new list comes from the first member. It
comes from another member if the first one is silent, is not synced, has started again, or is no member any more.
"""

from dataclasses import field

from gossipreg.core.context import Context
from gossipreg.core.gossip.answered_requests import AnsweredRequests
from gossipreg.core.gossip.dissemination import Dissemination
from gossipreg.core.gossip.pulls import Pulls
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import Class
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import NOTHING, BootId, NodeId, Version
from gossipreg.quick_dataclass import dataclass
from gossipreg.retry import Retry
from gossipreg.wire import sizes
from gossipreg.wire.messages import List, Peers, Versions


@dataclass(frozen=True, slots=True)
class ListAgain:
    """Timer: no page of the listing came for `list_again_s`."""


@dataclass(frozen=True, slots=True)
class ListAnother:
    """Timer: the list that came does not count. List another member."""


@dataclass(frozen=True, slots=True)
class MissingAgain:
    """Timer: listed versions are still missing. If nothing is being pulled, list again."""


@dataclass(slots=True)
class _Listing:
    peer: NodeId
    """The member that is listed."""
    after: bytes = b""
    """The id at which the last page ended."""
    busy: bool = False
    """The member named others instead of answering."""
    whole: bool = True
    """All pages so far came from this member."""
    synced: bool = True
    """All pages so far came from members that were synced then."""
    named: dict[NodeId, None] = field(default_factory=dict)
    """The rows on these pages."""


class Joining:
    def __init__(
        self,
        context: Context,
        table: Table,
        ring: Ring,
        channel: Channel,
        dissemination: Dissemination,
        pulls: Pulls,
        requests: AnsweredRequests,
    ) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._channel = channel
        self._dissemination = dissemination
        self._pulls = pulls
        self._listing: _Listing | None = None
        """The listing in progress."""
        self._listed = False
        """Whether a whole list that counts has come."""
        self._listed_by_synced = False
        """Whether a whole list of synced members has come."""
        self._unsynced: dict[NodeId, None] = {}
        """The members that said with their last page that they are not synced."""
        self._unsynced_since: float | None = None
        """When the first list came that was not all of synced members, since the last one that was."""
        self._first: NodeId | None = None
        """The first member that gave a page of its list, or the one that took its place. One that was only requested to
        give a list is not meant: it may have started itself since then, so its list may lack what others listed."""
        self._first_boot: BootId | None = None
        """The process of the first member that gave a page; None: it has given none since it was taken as the first."""
        self._missing: dict[NodeId, Version] = {}
        """The versions that were listed and are not here yet."""
        self._tuning = tuning = context.config.gossip
        self._waits = Retry(tuning.list_missing_first_s, tuning.list_missing_max_s)
        """Between two lists while versions are missing."""
        self._another_s = tuning.list_unsynced_first_s
        """How long to wait before another member is listed after a list that does not count."""
        self._wait_s = self._waits.first_s
        """How long to wait before the table is listed again."""
        self._served: dict[NodeId, float] = {}
        """When each member began to list our table, in the last period."""
        self._requests = requests

    @property
    def synced(self) -> bool:
        return self._context.synced

    @property
    def first_was_synced(self) -> bool:
        """Whether a member that was synced itself has listed its whole table. True if no member was listed."""
        return self._first is None or self._listed_by_synced

    @property
    def progress(self) -> str:
        """What this member waits for before it is synced, in words; empty once it is."""
        if self.synced:
            return ""
        if self._missing and self._first is not None:
            whose = " at ".join(filter(None, self._channel.named_at(self._first)))
            return f"{len(self._missing)} rows that {whose} listed have not arrived yet"
        if self._listing is not None:
            return f"the member at {self._channel.address(self._listing.peer)} has not listed its whole table yet"
        if self._unsynced:
            return "the members that have answered are not synced themselves"
        return "no other member has answered yet"

    # -- the joiner ------------------------------------------------------------------------------------------------

    def list_from(self, peer: NodeId) -> None:
        """List the table of this member, with which we have a session now. Do nothing if we are synced or if another
        member's table is being listed."""
        if self.synced or self._listed or (self._listing is not None and not self._listing.busy):
            return
        self._continue_with(peer)
        self._request_page()

    def _continue_with(self, peer: NodeId) -> None:
        """Continue the listing with this member, after the last page that came."""
        before = self._listing
        if before is None or not before.after:
            self._listing = _Listing(peer)
        elif before.peer != peer:
            self._listing = _Listing(peer, before.after, whole=False)

    def start_alone(self) -> None:
        """Be synced at once, as the first member of the cluster: there is no other member to list."""
        if not self.synced and self._listing is None and not self._listed and not self._missing:
            self._become_synced()

    def on_page(self, peer: NodeId, page: Versions) -> None:
        """Note a page of the list. Anti-entropy has read it before this and pulls the rows in which we are behind."""
        listing, following = self._listing, page.next
        if listing is None or listing.peer != peer or following is None:
            return
        if following and following <= listing.after:
            self._context.count("list_pages_late")
            return
        self._first = self._first or peer
        if peer == self._first and self._first_boot is None:
            self._first_boot = self._boot_of(peer)
        if page.synced:  # also sent by a release that does not say it
            self._unsynced.pop(peer, None)
        else:
            self._unsynced[peer], listing.synced = None, False
        for id, generation, counter in page.rows:
            listing.named[id] = None
            goal = Version(generation, counter)
            if not self._is_here(id, goal):
                self._missing[id] = goal
        listing.after = following
        if following:
            self._request_page()
            return
        counts = self._counts(listing)
        replaces = self._first_is_silent or (peer == self._first and not self._first_restarted)
        if counts and listing.whole and replaces:
            for id in [id for id in self._missing if id not in listing.named]:
                del self._missing[id]
        self._end_listing(counts=counts)

    def _counts(self, listing: _Listing) -> bool:
        """Whether this list, which is complete, counts."""
        if listing.synced:
            self._listed_by_synced, self._unsynced_since = True, None
            self._another_s = self._tuning.list_unsynced_first_s
            return True
        if self._unsynced_since is None:
            self._unsynced_since = self._context.now
        return self._another_s > self._tuning.list_unsynced_max_s or self._unsynced_for_long

    @property
    def _unsynced_for_long(self) -> bool:
        """Whether no synced member has given a list for as long as the first member may be silent, though others
        have."""
        since = self._unsynced_since
        return since is not None and self._context.now - since >= self._tuning.first_silent_s

    def _end_listing(self, *, counts: bool) -> None:
        """The listing is over. If it does not count, and none did before, list another member soon."""
        timers = self._context.timers
        self._listing, self._listed = None, self._listed or counts
        timers.cancel(ListAgain())
        if not self._listed and ListAnother() not in timers:
            timers.set(ListAnother(), self._context.now + self._another_s)
        self._check_synced()

    @property
    def _first_is_silent(self) -> bool:
        """Whether the first member has been silent for so long that another member's list replaces its own."""
        peer = None if self._first is None else self._channel.session(self._first)
        return peer is None or self._context.now - peer.heard_at >= self._tuning.first_silent_s

    @property
    def _first_restarted(self) -> bool:
        """Whether the first member has started again since it listed its table: its list may lack what it knew."""
        boot = None if self._first is None else self._boot_of(self._first)
        return boot is not None and self._first_boot is not None and boot != self._first_boot

    def _boot_of(self, peer: NodeId) -> BootId | None:
        session = self._channel.session(peer)
        return None if session is None else session.boot_id

    def _is_here(self, id: NodeId, goal: Version) -> bool:
        """Whether this row is not missing: it is here at `goal`, or its member died or left since it was listed."""
        row = self._table.rows.get(id)
        if row is None:
            return False
        gone = (row.dead or row.left) and goal.generation <= row.liveness.generation
        return id == self._context.id or gone or row.content_version >= goal

    def on_peers(self) -> None:
        """The listed member is busy and has named other members."""
        if self._listing is not None:
            self._listing.busy = True

    @property
    def wants_another(self) -> bool:
        """Whether another member to list would help."""
        return not self.synced and not self._listed

    def on_row(self, id: NodeId) -> None:
        """A page of this row or the claim that its member is dead came, or its pull was given up: check whether it is
        still missing. The claim alone does not end that: the member may have refuted it, so a new list decides."""
        goal = self._missing.get(id)
        if goal is not None:
            row = self._table.rows.get(id)
            if row is not None and row.content_version >= goal:
                del self._missing[id]
            self._check_synced()

    def on_missing_again(self) -> None:
        """List the table again if nothing is being listed or pulled any more and versions are still missing."""
        if self._missing and self._first is not None and self._listing is None and not self._pulls.busy:
            row = self._table.rows.get(self._first)
            gone = row is not None and (row.dead or row.left)
            if gone or self._first_restarted or self._first in self._unsynced:
                self._first = self._another(self._first) or self._first
                self._first_boot = None
            self._wait_s = self._waits.after(self._wait_s)
            self._continue_with(self._first)
            self._request_page()
        self._check_synced()

    def missing(self) -> dict[NodeId, NodeId]:
        """The rows whose listed version is not here, each with the member that listed it."""
        return {} if self._first is None else dict.fromkeys(self._missing, self._first)

    def on_list_again(self) -> None:
        """Request the page that has not come, from another member if there is one."""
        if self._listing is None:
            return
        if not self._listed and not self._listing.after and self._unsynced_for_long:
            self._end_listing(counts=True)
            return
        other = self._another(self._listing.peer)
        if other is not None:
            self._continue_with(other)
        self._request_page()

    def on_list_another(self) -> None:
        """List another member: the list that came does not count."""
        self._another_s *= 2
        if self._listing is None and self._first is not None:
            self._continue_with(self._another() or self._first)
            self._request_page()

    def _another(self, *excluded: NodeId) -> NodeId | None:
        """A member to list, none of `excluded`. If some have said that they are not synced, one that has not, if there
        is one."""
        rng, rows = self._context.rng, self._table.rows
        if self._unsynced:  # of two, the one that started first: it is more probably synced
            others = self._ring.sample(rng, 2, [*excluded, *self._unsynced])
            if others:
                return min(others, key=lambda other: rows[other].liveness.generation)
        return next(iter(self._ring.sample(rng, 1, excluded)), None)

    def on_dropped(self, peer: NodeId) -> None:
        """Send our request to this member again at once: it had no session with us, so it dropped it."""
        if self._listing is not None and self._listing.peer == peer:
            self._request_page()

    def forget(self, id: NodeId) -> None:
        self._unsynced.pop(id, None)
        if self._listing is not None and self._listing.peer == id:
            self.on_list_again()

    def _request_page(self) -> None:
        if self._listing is not None:
            self._channel.to(self._listing.peer, List(self._listing.after))
            self._context.timers.set(ListAgain(), self._context.now + self._tuning.list_again_s)

    def _check_synced(self) -> None:
        if not self._listed or self.synced:
            return
        # A dead member may refute that as long as we are not synced, so it stays in `_missing` until all rows are here.
        if all(self._is_here(id, goal) for id, goal in self._missing.items()):
            self._missing.clear()
            self._become_synced()
        elif MissingAgain() not in self._context.timers:
            self._context.timers.set(MissingAgain(), self._context.now + self._wait_s)

    def _become_synced(self) -> None:
        self._context.synced = True
        self._table.changes.note_other()
        self._listing = None
        self._unsynced.clear()
        self._context.timers.cancel(ListAgain())
        self._context.timers.cancel(ListAnother())
        self._context.timers.cancel(MissingAgain())
        self._context.event("synced")
        self._dissemination.queue_row(self._context.id, NOTHING)

    # -- the member that is listed ---------------------------------------------------------------------------------

    def on_list(self, peer: NodeId, message: List) -> None:
        """Answer with the next page of our table's list. If this member is busy, answer with other members to list."""
        context = self._context
        if not self._channel.room(Class.PAGE) or self._too_many(peer, message):
            others = [
                (id, address)
                for id in self._ring.sample(context.rng, self._tuning.offered_members, [peer])
                if (address := self._channel.address(id)) is not None
            ]
            if others:
                self._channel.to(peer, Peers(tuple(others)))
                return
        self._requests.received(peer, message.after)
        most = sizes.versions_in(self._channel.limit(peer), with_next=True)
        ids = self._ring.after(message.after, most + 1)
        rows = [(id, *self._table.rows[id].version) for id in ids[:most]]
        following = ids[most - 1] if len(ids) > most else b""
        self._channel.to(peer, Versions(tuple(rows), following, context.fully_synced))
        self._requests.answered(peer, message.after)

    def _too_many(self, peer: NodeId, message: List) -> bool:
        """Whether too many members began to list our table within this period. A member that has begun may go on."""
        now = self._context.now
        self._served = {id: at for id, at in self._served.items() if at >= now - self._context.config.period_s}
        if message.after or peer in self._served:
            return False
        if len(self._served) >= self._tuning.lists_at_once:
            return True
        self._served[peer] = now
        return False
