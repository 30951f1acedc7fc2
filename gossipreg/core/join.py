"""Joining: a member with an empty table lists a whole one, and pulls. And the other side of it.

Owns: the listing under way, what of it is still missing, and whether this member is in step (`synced`). Never knows:
how a row is fetched (`fetch.py`).

    joiner -> member   List(after)             the versions of all rows, in order of id, a page at a time
    member -> joiner   Versions(rows, next)    pulled as they come; next is b"" on the last page

A page that does not come is asked for again, of another member where there is one, from the same place: ids are in the
same order everywhere. A busy member names others, and whichever of them answers first is listed instead. In step is who
holds every version that was listed, or has found that nobody gives it; and whoever has no seed but itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gossipreg.core.commons import Commons
from gossipreg.core.fetch import Fetch
from gossipreg.core.outbox import Class
from gossipreg.core.rumours import Rumours
from gossipreg.model import NOTHING, NodeId, Version
from gossipreg.wire.messages import List, Peers, Versions

VERSION_BYTES = 38
"""An upper bound of one (id, generation, counter) in Versions."""
_LISTS_AT_ONCE = 8
"""Members listing our table within a period; further ones are sent to others as well."""
_LIST_AGAIN_S = 1.0
_OFFERED = 8
_TRIED = 2
"""So many of the others that a busy member names are called."""


@dataclass(frozen=True, slots=True)
class ListAgain:
    """Timer: the listing made no progress."""


@dataclass(slots=True)
class _Listing:
    peer: NodeId
    after: bytes = b""
    busy: bool = False
    """The member named others instead of answering."""


class Joining:
    def __init__(self, commons: Commons, rumours: Rumours, fetch: Fetch) -> None:
        self._commons = commons
        self._rumours = rumours
        self._fetch = fetch
        self._listing: _Listing | None = None
        self._listed = False
        self._missing: dict[NodeId, Version] = {}
        """What was listed and is not here yet."""
        self._served: dict[NodeId, float] = {}
        self.has_joined: Callable[[], None]
        """We are in step. Set by the node, once who needs us is made."""

    @property
    def synced(self) -> bool:
        return self._commons.in_step

    @property
    def progress(self) -> str:
        """What is missing before this member is synced, in words; empty where it is."""
        if self.synced:
            return ""
        if self._missing:
            return f"{len(self._missing)} rows that a member listed are not here yet"
        if self._listing is not None:
            return f"the member at {self._commons.address(self._listing.peer)} has not listed its whole table yet"
        return "no other member has answered yet"

    # -- the joiner ------------------------------------------------------------------------------------------------

    def list_from(self, peer: NodeId) -> None:
        """This member answers: list its table, unless we are in step, or on the way."""
        if self.synced or self._listed or (self._listing is not None and not self._listing.busy):
            return
        after = b"" if self._listing is None else self._listing.after
        self._listing = _Listing(peer, after)
        self._ask()

    def without_others(self) -> None:
        """No seed but ourselves: there is nothing to be in step with."""
        if not self.synced and self._listing is None:
            self._become_synced()

    def on_page(self, peer: NodeId, page: Versions) -> None:
        """A page of the list; its rows have been weighed, and are on their way where we lacked them."""
        listing, following = self._listing, page.next
        if listing is None or listing.peer != peer or following is None:
            return
        if following and following <= listing.after:
            self._commons.count("list_pages_late")
            return
        for id, generation, counter in page.rows:
            if self._fetch.wants(id):
                self._missing[id] = Version(generation, counter)
        listing.after = following
        if following:
            self._ask()
        else:
            self._listing, self._listed = None, True
            self._commons.timers.cancel(ListAgain())
            self._look()

    def on_peers(self) -> None:
        """The member is busy and names others."""
        if self._listing is not None:
            self._listing.busy = True

    @property
    def seeks(self) -> bool:
        """Whether another member to list would help."""
        return not self.synced and not self._listed

    def arrived(self, id: NodeId) -> None:
        """Something of this row came, or its pull was given up."""
        goal = self._missing.get(id)
        if goal is not None:
            row = self._commons.replica.rows.get(id)
            if not self._fetch.wants(id) or (row is not None and row.told >= goal):
                del self._missing[id]
                self._look()

    def on_list_again(self) -> None:
        """No page for a while."""
        if self._listing is None:
            return
        others = self._commons.ring.sample(self._commons.rng, 1, [self._listing.peer])
        if others:
            self._listing = _Listing(others[0], self._listing.after)
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
            self._commons.to(self._listing.peer, List(self._listing.after))
            self._commons.timers.set(ListAgain(), self._commons.now + _LIST_AGAIN_S)

    def _look(self) -> None:
        if not self._fetch.busy:
            self._missing.clear()
        if self._listed and not self._missing and not self.synced:
            self._become_synced()

    def _become_synced(self) -> None:
        self._commons.in_step = True
        self._listing = None
        self._commons.timers.cancel(ListAgain())
        self._commons.event("synced")
        self._rumours.tell_row(self._commons.id, NOTHING)
        self.has_joined()

    # -- the member that is listed ---------------------------------------------------------------------------------

    def on_list(self, peer: NodeId, message: List) -> None:
        """Somebody lists our table; where we are busy it is given others to ask."""
        commons = self._commons
        if not commons.outbox.room(Class.PAGE, commons.now) or self._too_many(peer, message):
            others = [
                (id, address)
                for id in commons.ring.sample(commons.rng, _OFFERED, [peer])
                if (address := commons.address(id)) is not None
            ]
            if others:
                commons.to(peer, Peers(tuple(others)))
                return
        most = (commons.outbox.message_limit - 64) // VERSION_BYTES
        ids = commons.ring.after(message.after, most + 1)
        rows = [(id, *commons.replica.rows[id].version) for id in ids[:most]]
        commons.to(peer, Versions(tuple(rows), ids[most - 1] if len(ids) > most else b""))

    def _too_many(self, peer: NodeId, message: List) -> bool:
        """Whether others began to list our table just now. Who has begun may go on."""
        now = self._commons.now
        self._served = {id: at for id, at in self._served.items() if at >= now - self._commons.config.period_s}
        if message.after or peer in self._served:
            return False
        if len(self._served) >= _LISTS_AT_ONCE:
            return True
        self._served[peer] = now
        return False
