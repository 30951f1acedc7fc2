"""What a reader of the history wants to see.

Owns: the filter, and which lines pass it. Never knows: where lines are kept; the database filters by the same rules
(`daemon/history/history_database.py`), which a property test holds against `fits`.
"""

from gossipreg.history.history_line import HistoryLine
from gossipreg.model import fold_name
from gossipreg.quick_dataclass import dataclass

LIMIT_DEFAULT = 500
LIMIT_MAX = 5000
"""Lines of one answer: some 2 MB."""


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    since: float | None = None
    """Wall time, seconds since 1970; with it and `until` the reader chooses by what the clock said."""
    until: float | None = None
    """Before this time."""
    member: str | None = None
    """The name of a member in any case, or its id or the beginning of it (4 digits at least)."""
    service: str | None = None
    """The name of a service in any case, or the id of an instance."""
    kind: str | None = None
    """A kind, or the beginning of some that ends with `*`: `member_*`; several with commas between."""
    after: int | None = None
    """Lines with a higher `seq`, the oldest first: to go on."""
    before: int | None = None
    """The newest of the lines with a lower `seq`: to go back."""
    limit: int = LIMIT_DEFAULT

    @property
    def newest(self) -> bool:
        """Whether the newest lines are wanted where there are more than the limit; otherwise the oldest."""
        return self.before is not None or (self.after is None and self.since is None)


ID_DIGITS_MIN = 4


def fits(line: HistoryLine, query: HistoryQuery) -> bool:
    """Whether the reader wants to see this line; the limit aside."""
    if query.after is not None and line.seq <= query.after:
        return False
    if query.before is not None and line.seq >= query.before:
        return False
    if query.since is not None and line.at < query.since:
        return False
    if query.until is not None and line.at >= query.until:
        return False
    if query.kind is not None and not _of_kind(line.kind, query.kind):
        return False
    if query.member is not None and not _of_member(line, query.member):
        return False
    return query.service is None or _of_service(line, query.service)


def _of_kind(kind: str, wanted: str) -> bool:
    return any(kind.startswith(one[:-1]) if one.endswith("*") else kind == one for one in wanted.split(","))


def _of_member(line: HistoryLine, wanted: str) -> bool:
    if line.member is None:
        return False
    if fold_name(line.member.name) == fold_name(wanted):
        return True
    return len(wanted) >= ID_DIGITS_MIN and line.member.id.startswith(wanted.lower())


def _of_service(line: HistoryLine, wanted: str) -> bool:
    return line.instance == wanted or (bool(line.service) and fold_name(line.service) == fold_name(wanted))
