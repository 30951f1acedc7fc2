"""The reports on a service's checks for people: in `lookup --all`, in `info` and in the log. Never gossiped.

Owns the shape of a check's status and the line that says that a service's health changed. Never knows when checks run.
"""

from collections.abc import Iterable

from gossipreg.daemon.checks.schedule import Checks
from gossipreg.daemon.checks.spec import check_ids
from gossipreg.daemon.checks.state import CheckStatus
from gossipreg.daemon.logs import Field, Log
from gossipreg.model import Health
from gossipreg.wire.shapes import HEALTH_NAMES, Shape

LINES_A_MINUTE = 6
"""Lines about the health of one service; changes beyond that are counted, not written."""
ALL_LINES_A_MINUTE = 60
"""Lines of one kind for all services together; lines beyond that are counted, not written."""
SHOWN_MAX = 20
"""Failing checks that `info` lists, for people."""


def report(checks: Checks, id: str) -> list[Shape]:
    """The status of each check of a service that is registered here."""
    statuses = checks.statuses(id)
    ids = check_ids(id, [status.spec for status in statuses])
    return [_status_shape(called, status) for called, status in zip(ids, statuses, strict=True)]


def failing(checks: Checks, ids: Iterable[str]) -> list[Shape]:
    """The checks of these services, and ("") of the sidecar itself, that do not pass; at most SHOWN_MAX."""
    found: list[Shape] = []
    for id in ids:
        found += [{"service": id or None, **one} for one in report(checks, id) if one["health"] != "passing"]
        if len(found) >= SHOWN_MAX:
            return found[:SHOWN_MAX]
    return found


def log_health(log: Log, checks: Checks, id: str, health: Health, **fields: Field) -> None:
    """Log the health of a service, with the output of its failing checks."""
    if why := _why(checks, id):
        fields["message"] = why
    log.line(
        "info" if health is Health.PASSING else "warning", "service_health",
        {"id": id, "health": HEALTH_NAMES[health], **fields},
        repeat_key=f"service_health {id}", burst=LINES_A_MINUTE, kind_burst=ALL_LINES_A_MINUTE,
    )  # fmt: skip


def _why(checks: Checks, id: str) -> str:
    return "; ".join(
        f"{status.spec.shown}: {status.output}" for status in checks.statuses(id) if status.health is not Health.PASSING
    )


def _status_shape(id: str, status: CheckStatus) -> Shape:
    return {
        "check": status.spec.shown,
        "id": id,
        "name": status.spec.name,
        "notes": status.spec.notes,
        "type": status.spec.kind,
        "health": HEALTH_NAMES[status.health],
        "output": status.output,
        "since_s": round(status.since_s, 3),
        "checked_s": None if status.checked_s is None else round(status.checked_s, 3),
    }
