"""A check as a value, and the result of one run. `parse.py` makes the value from what a user wrote."""

from collections.abc import Sequence
from dataclasses import field
from typing import Literal, get_args

from gossipreg.model import Health
from gossipreg.quick_dataclass import dataclass

Kind = Literal["http", "https", "tcp", "cmd", "ttl", "grpc", "grpcs", "alias"]
KINDS: tuple[Kind, ...] = get_args(Kind)

DEFAULT_INTERVAL_S = 10.0
DEFAULT_TIMEOUT_S = 5.0
ALIAS_INTERVAL_S, ALIAS_TIMEOUT_S = 1.0, 60.0
"""An alias only reads this sidecar's table, so it runs often; its timeout leaves time for the table to be synced."""
OUTPUT_MAX = 512
"""Characters of a check's output that are kept, for people."""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """Two checks are equal if all their fields are. `asked` tells whether they ask the same question."""

    text: str = field(repr=False)
    """As it was given. Header values and bodies may be secrets: show `shown` instead."""
    kind: Kind
    target: str
    """A URL, host:port, host:port/service (gRPC), a command line, a service's id (alias), or nothing (ttl)."""
    interval_s: float = DEFAULT_INTERVAL_S
    """The time between runs. For a ttl check: the greatest age of the last heartbeat."""
    timeout_s: float = DEFAULT_TIMEOUT_S
    """It may be longer than the interval: the next run then begins when this one is over."""
    passes: int = 1
    """It passes after this many passing results in a row."""
    fails: int = 1
    """It warns or is critical after this many such results in a row."""
    deregister_after_s: float | None = None
    """The service is deregistered when the check was critical for this long without a break."""
    verify: bool = True
    """For TLS: whether the certificate must be valid."""
    server_name: str = ""
    """For TLS: the server name that is sent (SNI), and that the certificate must have. Empty: the target's host."""
    id: str = ""
    """Empty: see `check_ids`."""
    name: str = ""
    notes: str = ""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """In the order given; a name may occur more than once."""
    body: str = field(default="", repr=False)
    node: str = ""
    """Of an alias: the name of the node that has the service. Empty: this one."""
    shown: str = field(default="", compare=False)
    """`text` without the values of headers and without the body: for answers, logs and errors."""

    @property
    def asked(self) -> tuple[object, ...]:
        """The question that a run asks. A check keeps its health through an edit that leaves this as it is."""
        return (
            self.kind, self.target, self.method, self.headers, self.body, self.verify, self.server_name, self.node,
        )  # fmt: skip


@dataclass(slots=True)
class Progress:
    """What is known of a run before it is over."""

    text: str = ""
    """Its output so far: where it is cut off at its timeout, that is its output."""
    service: str = ""
    """The id of the service whose check it is."""


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    health: Health
    output: str


def check_ids(service_id: str, checks: Sequence[CheckSpec]) -> list[str]:
    """The ids of a service's checks: as they were given, else `service:ID`, or `service:ID:1` and so on where there
    are several."""
    alone = len(checks) == 1
    return [
        check.id or (f"service:{service_id}" if alone else f"service:{service_id}:{number}")
        for number, check in enumerate(checks, 1)
    ]


def shortened(text: str) -> str:
    """A check's output, fit to be shown: printable, on one line, at most OUTPUT_MAX characters."""
    shown = "".join(char if char.isprintable() else " " for char in text[: 4 * OUTPUT_MAX])
    shown = " ".join(shown.split())
    return shown if len(shown) <= OUTPUT_MAX else shown[: OUTPUT_MAX - 3] + "..."
