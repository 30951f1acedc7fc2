"""How much this member knows of the whole cluster: what every interface asks before it answers.

An answer that says "there is none" is only true where the table is known. So each interface (the local socket, HTTP,
DNS, ...) asks `View.knowledge`, and treats an empty answer by it.
"""

from enum import Enum


class Knowledge(Enum):
    """The values are the words that users meet."""

    SYNCED = "synced"
    """The table is known: an empty answer means that there is none."""
    ISOLATED = "isolated"
    """It was synced, and no other member is heard now. Answers are those known last, and instances of others are
    marked stale; an empty answer means that there was none."""
    LAST_KNOWN = "last_known"
    """Not synced since this start, or only with a member that had just started itself; answers come from the table that
    was kept at the last run, marked stale, where nothing newer is known. An empty answer means nothing."""
    NOT_SYNCED = "not_synced"
    """Nothing is known but what is registered here and which members have answered so far: not synced since this start
    and no table kept, or cut off for so long that what was known last is worth nothing. Questions about the whole
    cluster are refused, and an empty answer means nothing."""

    @property
    def refuses(self) -> bool:
        """Questions about the whole cluster have no answer at all."""
        return self is Knowledge.NOT_SYNCED

    @property
    def partial(self) -> bool:
        """There may be more than an answer says: mark it, and do not give an empty one."""
        return self in (Knowledge.NOT_SYNCED, Knowledge.LAST_KNOWN)

    @property
    def current(self) -> bool:
        """An answer is what the cluster says now: Consul's `KnownLeader`."""
        return self is Knowledge.SYNCED
