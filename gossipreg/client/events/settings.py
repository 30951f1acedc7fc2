"""The parameters of a subscription, checked before anything is sent. The sidecar checks the rest."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from gossipreg.client.checks import check_bool, check_count, check_number
from gossipreg.errors import BadParams

ACK_TIMEOUT_S = 30.0
WINDOW = 64
THREADS = 8
"""Of a subscription, unless it says."""


class SubscriptionSettings(NamedTuple):
    params: dict[str, Any]
    """Of the method `subscribe`."""
    window: int
    ack_timeout_s: float
    name: str
    """For people: the pattern and the group."""


def subscription_settings(
    pattern: str | Iterable[str], group: str | None, window: int | None, on_dead: str | None,
    max_attempts: int | None, ack_timeout: float | None, broadcast: bool, past: bool,
) -> SubscriptionSettings:  # fmt: skip
    """See `Registry.subscribe`. Raises BadParams."""
    patterns = [pattern] if isinstance(pattern, str) else list(pattern) if isinstance(pattern, Iterable) else []
    if not patterns or not all(isinstance(one, str) for one in patterns):
        raise BadParams(f"pattern {pattern!r} is no text: give a pattern such as order.*, or a list of them")
    check_bool("broadcast", broadcast, "whether every instance gets every event")
    if broadcast == (group is not None):
        raise BadParams(f"group is {group!r} and broadcast is {broadcast}: give the name of a group, or broadcast=True")
    check_bool("past", past, "whether a new group begins with the events that are kept")
    if broadcast and past:
        raise BadParams("a broadcast subscription gets events from now on: leave out past, or give a group")
    if group is not None and not isinstance(group, str):
        raise BadParams(f"group {group!r} is no text: give the name of the group that shares the events")
    for name, count in (("window", window), ("max_attempts", max_attempts)):
        if count is not None:
            check_count(name, count, "a number from 1 on")
    if ack_timeout is not None:
        check_number("ack_timeout", ack_timeout, "seconds")
        if not ack_timeout > 0:
            raise BadParams(f"ack_timeout {ack_timeout!r} is not more than 0: give seconds")
    given = {"group": group, "window": window, "on_dead": on_dead, "max_attempts": max_attempts}
    params: dict[str, Any] = {"pattern": patterns, "ack_timeout": ack_timeout or ACK_TIMEOUT_S}
    params |= {name: value for name, value in given.items() if value is not None}
    if broadcast:
        params["broadcast"] = True
    if past:
        params["past"] = True
    name = f"{', '.join(patterns)} ({f'group {group}' if group is not None else 'broadcast'})"
    return SubscriptionSettings(params, window or WINDOW, params["ack_timeout"], name)
