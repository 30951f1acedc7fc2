"""The registry by the names and addresses that DNS knows: letters in any case, host addresses in bytes.

Owns: the maps from such names and addresses to the names in the catalog. The feed of changes keeps services up to date,
at a cost that depends only on the change. Each service has a revision, so that an answer can be kept until the service
changes. Questions about members and reverse names are rare. Their lists are made again by the first question after a
change, but never take more than a small share of the time, however many questions and changes there are.
"""

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gossipreg.core.knowledge import Knowledge
from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.row import Standing
from gossipreg.core.view import View
from gossipreg.model import CatalogInstance, Change, ChangeKind, Health, Member, present

LISTING_SHARE = 0.05
"""The largest share of the time in which lists are made. At 10,000 members one list takes some 20 ms, so a list can be
0.4 s old."""

T = TypeVar("T")


def folded(text: str) -> bytes:
    """The form in which names are compared: UTF-8, ASCII letters in lower case (RFC 4343)."""
    return text.encode(errors="replace").lower()


def packed_address(host: str) -> bytes | None:
    """4 or 16 bytes; None for a host name."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host.partition("%")[0])
    except (OSError, ValueError):  # ValueError: a NUL byte
        return None


class ServiceEntry:
    """A service. Its instances may write the name in different cases."""

    __slots__ = ("instances", "name", "revision")

    def __init__(self, name: str) -> None:
        self.name = name
        self.instances = 0
        """The number of its instances, passing or not."""
        self.revision = 0
        """Grows with each change; an answer of an older revision is not valid."""


class DnsServices:
    def __init__(self, catalog: Catalog) -> None:
        self._entries: dict[bytes, ServiceEntry] = {}
        self._inner: Counter[bytes] = Counter()
        """The ends of dotted names, with the number of services: `b.c` and `c` for a service called `a.b.c`."""
        self._dotted_changes = 0
        for summary in catalog.services():
            self._count(summary.name, summary.instances)

    def find(self, name: bytes) -> ServiceEntry | None:
        return self._entries.get(name)

    def is_inner(self, name: bytes) -> bool:
        """Whether the name is the end of a dotted service name, behind one of its dots."""
        return name in self._inner

    def changed(self, changes: Iterable[Change]) -> bool:
        """Follow changes of the catalog. True if services with dotted names came or went: then a question may have
        another meaning than before, so no kept answer is valid."""
        before = self._dotted_changes
        for change in changes:
            name = change.instance.service.name
            match change.kind:
                case ChangeKind.ADDED:
                    self._count(name, 1)
                case ChangeKind.REMOVED:
                    self._count(name, -1)
                case ChangeKind.UPDATED:
                    self._count(name, 0)
        return self._dotted_changes != before

    def _count(self, name: str, more: int) -> None:
        key = folded(name)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = ServiceEntry(name)
            self._note_inner(key, 1)
        entry.revision += 1
        entry.instances += more
        if entry.instances <= 0:
            del self._entries[key]
            self._note_inner(key, -1)

    def _note_inner(self, key: bytes, more: int) -> None:
        self._dotted_changes += b"." in key
        while b"." in key:
            key = key.partition(b".")[2]
            self._inner[key] += more
            if not self._inner[key]:
                del self._inner[key]


class Listing(Generic[T]):
    """A list that `get` makes again if its version has changed, but only as often as LISTING_SHARE allows."""

    def __init__(self, make: Callable[[], T], version: Callable[[], object], clock: Callable[[], float]) -> None:
        self._make = make
        self._version = version
        self._clock = clock
        self._made_for: object = None
        self._not_before = -1.0
        self._list: T | None = None

    def get(self) -> T:
        if self._list is None or self._clock() >= self._not_before:
            version = self._version()
            if self._list is None or version != self._made_for:
                start = self._clock()
                self._list, self._made_for = self._make(), version
                end = self._clock()
                self._not_before = end + (end - start) * (1 / LISTING_SHARE - 1)
        return self._list


@dataclass(slots=True)
class Members:
    """The members that live."""

    by_name: dict[bytes, list[Member]] = field(default_factory=dict)
    by_address: dict[bytes, list[str]] = field(default_factory=dict)
    """The names of the members at an address."""
    inner: dict[bytes, None] = field(default_factory=dict)
    """The ends of dotted member names."""
    zones: dict[bytes, None] = field(default_factory=dict)


def list_members(view: View) -> Members:
    members = Members()
    for id in view.row_ids():
        row = view.row(id)
        if row is None or row.member is None or view.standing(id) is not Standing.LIVES:
            continue
        name = folded(row.member.name)
        members.by_name.setdefault(name, []).append(row.member)
        shown = folded(view.names.shown(id) or "")
        if shown not in (b"", name):  # NAME.ID8: several members have this name
            members.by_name.setdefault(shown, []).append(row.member)
        members.zones[folded(row.member.zone)] = None
        while b"." in name:
            name = name.partition(b".")[2]
            members.inner[name] = None
        for address in present(row.member.addresses):
            packed = packed_address(address.host)
            if packed is not None:
                members.by_address.setdefault(packed, []).append(row.member.name)
    return members


def list_services_by_address(catalog: Catalog) -> dict[bytes, dict[str, None]]:
    """The names of the services that pass, by address."""
    found: dict[bytes, dict[str, None]] = {}
    for instance in catalog.instances():
        packed = packed_address(instance.service.address) if instance.health is Health.PASSING else None
        if packed is not None:
            found.setdefault(packed, {})[instance.service.name] = None
    return found


class Directory:
    """Services, members and reverse names. `clock` gives seconds that never go back."""

    def __init__(self, view: View, clock: Callable[[], float] = time.monotonic) -> None:
        catalog = view.catalog
        self._view = view
        self.catalog = catalog
        self.services = DnsServices(catalog)
        self._members_version = 0
        self._members = Listing(lambda: list_members(view), lambda: self._members_version, clock)
        self._at_address = Listing(lambda: list_services_by_address(catalog), catalog.index, clock)

    @property
    def knowledge(self) -> Knowledge:
        return self._view.knowledge

    def is_own(self, instance: CatalogInstance) -> bool:
        """Whether it is registered here."""
        return instance.node == self._view.id

    def members_changed(self) -> None:
        """Make the list of members again at the next question: members have changed."""
        self._members_version += 1

    def members(self) -> Members:
        return self._members.get()

    def services_at(self, address: bytes) -> tuple[str, ...]:
        return tuple(self._at_address.get().get(address, ()))
