"""The kept table: rows from the last run, which answer lookups until this member is synced.

Owns: for how long the kept rows answer. Meanwhile this member does not become a cluster of its own. Never knows: where
the rows are kept, or the wall clock.

The kept rows are no part of the table: they are not gossiped, not probed and in no fingerprint. They only make answers,
which are marked stale (`Catalog.recall`). A kept row is dropped when a whole row of that member comes, when another
member reports that it is dead or has left, when this member is synced, or when the time is over. If the whole cluster
starts at once, the first member that was listed may have just started too, and may know no other member. In that case
the kept rows answer for another `provisional_s`.
"""

from collections.abc import Iterable
from math import inf

from gossipreg.core.context import Context
from gossipreg.core.session.reconnect import Reconnect
from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.kept_rows import rows_of_pages_untrusted
from gossipreg.core.table.membership import MembershipIndex
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.messages import Delta


@dataclass(frozen=True, slots=True)
class LastKnownOver:
    """Timer: from now on the kept rows do not answer."""


class LastKnown:
    def __init__(self, context: Context, catalog: Catalog, membership: MembershipIndex, reconnect: Reconnect) -> None:
        self._context = context
        self._catalog = catalog
        self._membership = membership
        self._reconnect = reconnect

    def recall(self, deltas: Iterable[Delta], counts_s: float) -> None:
        """Answer with these pages of other members' rows for `counts_s` seconds at most. Rows that cannot be read are
        left out.

        A member without a seed waits for its former peers for the same time before it becomes a cluster of its own. If
        there were `small_members` of them or more, so that hardly all can be gone, it waits without a limit.
        """
        rows = rows_of_pages_untrusted(deltas, self._context.id, self._context.now)
        if not rows or counts_s <= 0:
            return
        self._membership.recall(rows)
        few = len(rows) < self._context.config.failure.small_members
        self._reconnect.wait_for_remembered(counts_s if few else inf)
        self._context.timers.set(LastKnownOver(), self._context.now + counts_s)
        self._context.event("last_known", members=len(rows), counts_s=round(counts_s, 1))

    def on_synced(self, *, first_was_synced: bool) -> None:
        """This member is synced, and kept rows still answer. `first_was_synced`: so was the member that it became
        synced with."""
        if self._context.sync_provisional:
            return
        if first_was_synced:
            self._membership.forget_recalled()
        else:
            self._context.sync_provisional = True
            self._context.timers.set_earlier(
                LastKnownOver(), self._context.now + self._context.config.local.provisional_s
            )

    def on_over(self) -> None:
        """Forget the kept rows: their time is over."""
        self._context.sync_provisional = False
        if self._catalog.recalled:
            self._membership.forget_recalled()
            if not self._context.synced:
                self._context.event("last_known_over")
