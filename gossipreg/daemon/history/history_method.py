"""The method `history`: its parameters, checked.

    {since | since_s, until, member, service, kind, after, before, limit}
        -> {lines: [line ...], more, kept_from, kept_in: "disk" or "memory"}

Lines are in the order of their `seq`. With `since` or `after` they are the oldest that fit, else the newest; `more`
says that there are others on that side.
"""

from functools import partial
from typing import Any

from gossipreg.daemon.params import Check, Whole, take_untrusted, text
from gossipreg.errors import BadParams
from gossipreg.history.history_query import LIMIT_DEFAULT, LIMIT_MAX, HistoryQuery

SEQ_MAX = 1 << 53
WALL_MAX_S = 1e11
"""The year 5138."""


def wall_seconds(name: str, value: Any) -> float:
    if type(value) in (int, float) and 0 <= value <= WALL_MAX_S:
        return float(value)
    raise BadParams(f"{name} is {str(value)[:32]!r}: give seconds, and for a time those since 1970")


def check_span(since: float | None, until: float | None) -> None:
    """Raises BadParams where no line can be in it: that is a mistake, and no night without events."""
    if since is not None and until is not None and since >= until:
        raise BadParams("since is not before until, so no line can be between them: give the earlier moment as since")


FILTERS: dict[str, Check] = {
    "since": wall_seconds, "since_s": wall_seconds, "until": wall_seconds, "member": text, "service": text,
    "kind": text,
}  # fmt: skip
HISTORY: dict[str, Check] = {
    **FILTERS, "after": Whole(0, SEQ_MAX), "before": Whole(0, SEQ_MAX), "limit": Whole(1, LIMIT_MAX),
}  # fmt: skip
_take = partial(take_untrusted, "history")


def history_query_untrusted(params: dict[str, Any], now: float) -> HistoryQuery:
    """What the reader wants; `now` is wall time. Raises BadParams."""
    given = _take(params, HISTORY)
    if "since" in given and "since_s" in given:
        raise BadParams("history has since and since_s: give one of them")
    if "after" in given and "before" in given:
        raise BadParams("history has after and before: give one of them")
    since = given.get("since", now - given["since_s"] if "since_s" in given else None)
    check_span(since, given.get("until"))
    return HistoryQuery(
        since, given.get("until"), given.get("member"), given.get("service"), given.get("kind"), given.get("after"),
        given.get("before"), given.get("limit", LIMIT_DEFAULT),
    )  # fmt: skip
