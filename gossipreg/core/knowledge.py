"""How much of the whole table this member knows.

The answer "there is none" is only true if the table is known. So each interface (the local socket, HTTP, DNS, ...)
reads `View.knowledge` before it gives an empty answer.
"""

from enum import Enum


class Knowledge(Enum):
    """The values are the words that users see."""

    SYNCED = "synced"
    """The table is known: an empty answer means that there is none."""
    ISOLATED = "isolated"
    """This member was synced, and receives nothing from anybody now. The answers are those known last, and instances of
    other members are marked stale. An empty answer means that there was none."""
    LAST_KNOWN = "last_known"
    """This member has not been synced since its start, or only with a member that had just started itself. Answers come
    from the table kept from the last run, marked stale, unless something newer is known. An empty answer means
    nothing."""
    NOT_SYNCED = "not_synced"
    """This member has not been synced since its start and has no kept table, or it has been isolated for so long that
    the last known answers are too old. It knows only what is registered here and which members have answered. Requests
    for answers about the whole cluster are refused, and an empty answer means nothing."""

    @property
    def refuses(self) -> bool:
        """Whether requests about the whole cluster are refused."""
        return self is Knowledge.NOT_SYNCED

    @property
    def partial(self) -> bool:
        """Whether there may be more than an answer contains. Mark such an answer, and never give an empty one."""
        return self in (Knowledge.NOT_SYNCED, Knowledge.LAST_KNOWN)

    @property
    def current(self) -> bool:
        """Whether answers are up to date. Consul's `KnownLeader` header says this."""
        return self is Knowledge.SYNCED
