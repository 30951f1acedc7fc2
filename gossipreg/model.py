"""The values that everything else speaks of: frozen, without behaviour beyond their own rules.

Nothing here knows of bytes, time or I/O. The order of the tuples Version and Liveness *is* the protocol's precedence:
the larger wins (see `core/table/table.py`).
"""

from enum import IntEnum
from typing import NamedTuple, NewType

from gossipreg.quick_dataclass import dataclass

NodeId = NewType("NodeId", bytes)
"""16 bytes: the truncated SHA-256 of the member's Ed25519 public key. Names a member for ever."""

BootId = NewType("BootId", bytes)
"""8 random bytes, drawn by each process: the sender's short name in a datagram's header."""

NODE_ID_BYTES = 16
BOOT_ID_BYTES = 8

MAX_NAME_BYTES = 255
MAX_TAG_BYTES = 1024
"""Of UTF-8. Proxies' rules are tags, and take a few hundred bytes."""
MAX_VALUE_BYTES = 64 * 1024
MAX_SERVICES_A_ROW = 4096
MAX_ROW_BYTES = 4 * 1024 * 1024
MAX_ROWS = 100_000
MAX_TABLE_BYTES = 256 * 1024 * 1024
"""Limits of the registry. Each is enforced where the value enters, with an error to whoever is at fault."""


class Address(NamedTuple):
    """Where datagrams go: a literal IP address (v4 or v6, never a host name) and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.is_v6 else f"{self.host}:{self.port}"

    @property
    def is_v6(self) -> bool:
        return ":" in self.host


def is_loopback_host(host: str) -> bool:
    """Whether this is a loopback address, in the form that `Address` has (normalised, IPv4-mapped ones as IPv4)."""
    return host.startswith("127.") or host == "::1"


def present(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    """The first address of each family, in order. Members of earlier releases list former addresses after it."""
    if len(addresses) < 2:
        return addresses
    first: dict[bool, Address] = {}
    for address in addresses:
        first.setdefault(address.is_v6, address)
    return tuple(first.values())


class Version(NamedTuple):
    """Of a row's content: which start of its owner wrote it, and the number of the change. Tuple order is
    precedence."""

    generation: int
    """New and larger at each start: see `generation.py`."""
    counter: int
    """Goes up by at least one with each change that the owner makes."""


NOTHING = Version(0, 0)


class ProtocolRange(NamedTuple):
    """The oldest and the newest version of the protocol that a member speaks. Two members can speak with each other if
    their ranges meet."""

    oldest: int
    newest: int

    def __str__(self) -> str:
        return str(self.oldest) if self.oldest == self.newest else f"{self.oldest} to {self.newest}"

    def meets(self, other: "ProtocolRange") -> bool:
        """Whether there is a version in both ranges."""
        return self.oldest <= other.newest and other.oldest <= self.newest


FIRST_PROTOCOL = ProtocolRange(1, 1)
"""That of the first release. A message that names no range is from a member with this one."""
PROTOCOL = ProtocolRange(1, 1)
"""The range of this release."""


class Rank(IntEnum):
    """What is claimed of a member's life. The order is precedence within one incarnation."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2


class Liveness(NamedTuple):
    """A claim about a member's life; tuple order is precedence. Only the owner raises the incarnation."""

    generation: int
    incarnation: int
    rank: Rank


class Status(IntEnum):
    """What a member says of itself, in its own row."""

    UP = 0
    DRAINING = 1
    RESTARTING = 2
    LEFT = 3


class Health(IntEnum):
    """Of a service, written by its own member. The order is from best to worst."""

    PASSING = 0
    WARNING = 1
    CRITICAL = 2
    MAINTENANCE = 3


@dataclass(frozen=True, slots=True)
class Member:
    """What a member writes about itself. It changes rarely: at the start, on leaving, on moving."""

    name: str
    boot_id: BootId
    addresses: tuple[Address, ...]
    """Where it can be reached, best first; at least one but for a member that has not yet learned its own."""
    public_key: bytes = b""
    """32 bytes, Ed25519; empty where rows are not to be signed."""
    zone: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    """Sorted by key."""
    protocol: ProtocolRange = PROTOCOL
    durable: bool = False
    """Whether it keeps its identity over a restart (it has a data directory)."""
    status: Status = Status.UP
    hold_s: float = 0.0
    """With RESTARTING: for how long others make no verdict about it."""
    reason: str = ""
    """With DRAINING: the operator's reason; "" if none was given."""
    keys: tuple[bytes, ...] | None = None
    """Ids of the cluster's keys that it opens, 4 bytes each; it seals with the first. None: it does not say. Empty: it
    has no key."""
    software: str = ""
    """The release of gossipreg that it runs; "" if it does not say."""


@dataclass(frozen=True, slots=True)
class RegisteredService:
    """A service as its member registered it; `id` is unique on its member."""

    id: str
    name: str
    address: str
    """Host name or IP literal, given out as it is."""
    port: int
    """0: the service has no port."""
    tags: tuple[str, ...] = ()
    """In the order in which they were given, without duplicates."""
    meta: tuple[tuple[str, str], ...] = ()
    """Sorted by key."""
    weight: int = 1


def fold_name(name: str) -> str:
    """The form in which names are compared: the letters A to Z in lower case (RFC 4343), all others unchanged."""
    if name.islower():
        return name  # the usual case, and no copy to keep
    return name.lower() if name.isascii() else name.translate(_FOLDED)


_FOLDED = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


@dataclass(frozen=True, slots=True)
class CatalogInstance:
    """A registered service as a lookup gives it out: with its health and its member. Programs get `client.Instance`."""

    service: RegisteredService
    health: Health
    node: NodeId
    node_name: str
    zone: str
    generation: int
    counter: int
    """Of the last change of this instance, at its service or health entry. Two numbers that others hold too take 40
    bytes less than a Version."""
    stale: bool = False
    """True while this sidecar hears nobody and answers with what it knew last."""
    reason: str = ""
    """The operator's reason for its maintenance; "" if it is in none, or no reason was given."""

    @property
    def version(self) -> Version:
        """Of the last change of this instance."""
        return Version(self.generation, self.counter)


class ChangeKind(IntEnum):
    ADDED = 0
    UPDATED = 1
    REMOVED = 2


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the change feed. For REMOVED the instance is as it was last."""

    kind: ChangeKind
    instance: CatalogInstance


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """A member as an operator sees it from here."""

    id: NodeId
    name: str
    address: Address | None
    state: str
    """alive, suspect (held here, or gossiped), dead or left"""
    zone: str
    labels: tuple[tuple[str, str], ...]
    rtt_ms: float | None
    """Smoothed round trip, where this sidecar has measured it."""
    services: int
    version: Version
    since_s: float
    """How long it has been in this state, seconds."""
    reason: str = ""
    """Why it is not alive, and who said so; empty where it is."""
    maintenance: str | None = None
    """The operator's reason for its maintenance; "" if none was given. None: it is not in maintenance."""
    keys: tuple[bytes, ...] | None = None
    """Ids of the cluster's keys that it opens; it seals with the first. None: it does not say."""
    software: str = ""
    """The release of gossipreg that it runs; "" if it does not say."""


@dataclass(frozen=True, slots=True)
class ServiceSummary:
    name: str
    instances: int
    passing: int
    tags: tuple[str, ...]
    """All tags of its instances, sorted."""
    warning: int = 0
    critical: int = 0
    maintenance: int = 0
    stale: int = 0
