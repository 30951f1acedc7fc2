"""The registrations of this sidecar: one entry per service, with its holder and its checks."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from msgpack import unpackb

from gossipreg.daemon.checks.parse import Table, parse_check_untrusted, relabelled, with_id
from gossipreg.daemon.checks.spec import check_ids
from gossipreg.daemon.kept import KeptService
from gossipreg.daemon.params import Registration
from gossipreg.errors import NotFound
from gossipreg.model import Health, Version
from gossipreg.quick_dataclass import dataclass

CheckGiven = str | Table
"""A check as `register` takes it."""


class Holder(Protocol):
    """The connection on which an attached registration lives; compared by identity."""

    gone: bool
    """Its connection has ended."""

    def lost(self, id: str, why: str) -> None:
        """This service no longer belongs to the connection, although the connection is open."""
        ...


class Answer(NamedTuple):
    id: str
    version: Version


class FileChanges(NamedTuple):
    registered: int = 0
    deregistered: int = 0
    failed: int = 0


@dataclass(slots=True)
class Entry:
    registration: Registration
    source: str
    """`socket`, `attached`, `flags` or `file`: see `services.py`."""
    trusted: bool
    """Whether the user who registered it may have commands run without --allow-cmd-checks."""
    health: Health = Health.CRITICAL
    """The worst of its checks. Maintenance and the sidecar's own checks come on top."""
    holder: Holder | None = None
    owner: int | None = None
    """The uid that registered it: see `rights.py`."""

    @property
    def id(self) -> str:
        return self.registration.service.id

    @property
    def must_be_durable(self) -> bool:
        """Whether it must be on the disk before the client is answered: after a restart nothing else brings it back."""
        return self.source == "socket"

    def kept(self) -> KeptService:
        return KeptService(self.id, self.source, self.trusted, self.registration.params, self.owner)

    def tell_holder(self, why: str) -> None:
        if self.holder is not None and not self.holder.gone:
            self.holder.lost(self.id, why)


IDS_SHOWN = 5
"""Ids that an error names."""


def not_registered(id: str, entries: Mapping[str, Entry]) -> NotFound:
    """The error for an id that is not registered here. If it is the name of services here, it gives their ids."""
    ids = sorted(one.id for one in entries.values() if one.registration.service.name.lower() == id.lower())
    if ids:
        more = ", ..." if len(ids) > IDS_SHOWN else ""
        hint = f"that is a name, its ids here are {', '.join(map(repr, ids[:IDS_SHOWN]))}{more}"
    else:
        hint = "`gossipreg lookup NAME --all --json` shows the ids of a service"
    return NotFound(f"no service of this id is registered here: {id!r}; {hint}")


def entry_of(entries: Mapping[str, Entry], id: str) -> Entry:
    """The service that is registered under this id. Raises NotFound."""
    entry = entries.get(id)
    if entry is None:
        raise not_registered(id, entries)
    return entry


# -- the checks of a registration, as they were given ------------------------------------------------------------------


def given_checks(registration: Registration) -> dict[str, CheckGiven]:
    """By id."""
    given = list({parse_check_untrusted("checks", one).text: one for one in _given(registration)}.values())
    return dict(zip(check_ids(registration.service.id, registration.checks), given, strict=True))


def _given(registration: Registration) -> list[Any]:
    return unpackb(registration.params).get("checks") or []


def named(given: CheckGiven, id: str) -> CheckGiven:
    """The check under this id, where it has none."""
    return given if parse_check_untrusted("check", given).id else with_id(given, id)


def with_checks(params: dict[str, Any], before: Registration) -> dict[str, Any]:
    """These parameters of `register`, with the checks that the service had before added, each under its id. A check
    whose id is given anew is replaced."""
    new = params.get("checks") or []
    ids = check_ids(before.service.id, [parse_check_untrusted("checks", one) for one in new])
    old = [named(given, id) for id, given in given_checks(before).items() if id not in ids]
    return {**params, "checks": [*old, *(named(one, id) for one, id in zip(new, ids, strict=True))]}


def with_check_labels(before: Registration, id: str, name: str, notes: str) -> dict[str, Any]:
    """The parameters of this registration with another name and other notes of one of its checks."""
    checks = [
        relabelled(named(given, one), name, notes) if one == id else named(given, one)
        for one, given in given_checks(before).items()
    ]
    return {**unpackb(before.params), "checks": checks}


def without_check(before: Registration, id: str) -> dict[str, Any]:
    """The parameters of this registration without one of its checks; the others keep the ids that they have."""
    checks = [named(given, one) for one, given in given_checks(before).items() if one != id]
    return {**unpackb(before.params), "checks": checks}
