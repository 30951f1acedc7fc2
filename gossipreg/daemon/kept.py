"""Registrations and checks as the data directory keeps them: the values, and the statements that write them.
`data_directory.py` has the tables and reads them."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from gossipreg.model import Health

Statement = tuple[str, tuple[object, ...]]


class KeptService(NamedTuple):
    id: str
    source: str
    """The source of the registration: `socket`, `flags` or `file`."""
    trusted: bool
    """Whether the user who registered it may have commands run."""
    params: bytes
    """The parameters of `register`, in MessagePack."""
    owner: int | None = None
    """The uid that registered it, -1 for one that came over TCP; None: written by a release that did not keep it."""


class Moment(NamedTuple):
    """A moment by two clocks, with the boot of the machine in which it was."""

    wall_ms: int
    boot_s: float
    boot_id: str


class KeptHealth(NamedTuple):
    service: str
    """Its id; empty: the sidecar's own checks."""
    key: bytes
    """The check, by the question that it asks (see `known_health.py`)."""
    health: Health
    known: Moment


class Hold(NamedTuple):
    """An announced restart: this sidecar will be back within `hold_s`."""

    since: Moment
    hold_s: float


class KeptNodeCheck(NamedTuple):
    id: str
    trusted: bool
    given: bytes
    """The check as it was given, text or table, in MessagePack."""


class KeptEventGroup(NamedTuple):
    """A pattern of a group that ran here (`events/remembered_groups.py`)."""

    name: str
    pattern: str
    idle_s: float


class KeptState(NamedTuple):
    """All services and checks that a start restores."""

    services: Sequence[KeptService] = ()
    healths: Sequence[KeptHealth] = ()
    hold: Hold | None = None
    node_checks: Sequence[KeptNodeCheck] = ()
    maintenance: Mapping[str, str] = MappingProxyType({})


def keep_service(kept: KeptService) -> Statement:
    values = (kept.id, kept.source, int(kept.trusted), kept.params, kept.owner)
    columns = ("source", "trusted", "params", "owner")
    kept_over = ", ".join(f"{column} = excluded.{column}" for column in columns)  # its place in the order stays
    statement = f"INSERT INTO services (id, {', '.join(columns)}) VALUES (?, ?, ?, ?, ?)"
    return f"{statement} ON CONFLICT (id) DO UPDATE SET {kept_over}", values


def drop_service(id: str) -> Statement:
    return "DELETE FROM services WHERE id = ?", (id,)


def keep_health(kept: KeptHealth) -> Statement:
    values = (kept.service, kept.key, int(kept.health), *kept.known)
    return "INSERT OR REPLACE INTO check_health VALUES (?, ?, ?, ?, ?, ?)", values


def drop_healths(service: str) -> Statement:
    return "DELETE FROM check_health WHERE service = ?", (service,)


def keep_hold(hold: Hold) -> Statement:
    return "INSERT INTO hold VALUES (1, ?, ?, ?, ?)", (*hold.since, hold.hold_s)


def drop_hold() -> Statement:
    return "DELETE FROM hold", ()


def keep_node_check(kept: KeptNodeCheck) -> Statement:
    return "INSERT OR REPLACE INTO node_checks VALUES (?, ?, ?)", (kept.id, int(kept.trusted), kept.given)


def drop_node_check(id: str) -> Statement:
    return "DELETE FROM node_checks WHERE id = ?", (id,)


def keep_event_groups(groups: Iterable[tuple[str, str, float]]) -> list[Statement]:
    """Replace all kept groups by these: name, pattern, idle_s."""
    rows = (("INSERT INTO event_groups VALUES (?, ?, ?)", group) for group in groups)
    return [("DELETE FROM event_groups", ()), *rows]
