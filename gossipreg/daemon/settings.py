"""Settings: what the user chose for one sidecar, as text, before anything is opened, read or resolved.

The command line fills it in. It knows the names and defaults of `join` and no rules: the code that uses a value checks
it, with an error that names it.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, NamedTuple

from gossipreg.quick_dataclass import dataclass


class OptionInForce(NamedTuple):
    """An option as the user chose it, and where."""

    name: str
    """The flag without its dashes."""
    value: Any
    """As it is written in a file; None where nothing is chosen."""
    source: str
    """`flag`, `variable`, `file` or `default`."""
    where: str
    """The flag, the variable's name or the file's path; empty for a default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    seeds: tuple[str, ...] = ()
    """`host[:port]`, `[v6]:port` or `srv:_name._udp.domain`; none: the first member of a cluster."""
    bind: str | None = None
    """`HOST:PORT`, `[V6]:PORT`, `HOST`, `:PORT` or `*:PORT`. None: all addresses with a key, else loopback."""
    advertise: str | None = None
    """`HOST[:PORT]`. None: the address that the route to the seed would use."""
    name: str | None = None
    """None: HOSTNAME, or SERVICE-HOSTNAME with a service."""
    cluster: str = "default"
    zone: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    key_file: str | None = None
    key: str | None = None
    """The text of GOSSIPREG_KEY, keys in base64. `key_file` goes before it."""
    insecure: bool = False
    """Allows clear text off loopback."""
    data_dir: str | None = None
    """None: nothing is kept."""
    profile: str = "lan"
    socket: str | None = None
    """Path of the local socket. None: see `gossipreg.socket_path`."""
    socket_group: str | None = None
    """Name or number of a group that may use the local socket as well."""
    socket_admin_group: str | None = None
    """Name or number of a group whose members may operate: see `gossipreg.rights`."""
    log_format: str = "text"
    log_level: str = "info"
    service: Mapping[str, Any] | None = None
    """The service beside it, as the parameters of `register`."""
    services: str | None = None
    """Path of a file with several: see `services_file.py`."""
    allow_empty: bool = False
    """Whether a reload may take out all services of the file because it names none any more."""
    allow_cmd_checks: bool = False
    """Whether users of the socket other than ours and root may have commands run as checks."""
    on_sigterm: str = "leave"
    """`leave`, or `hold`: SIGTERM is a leave that holds the services for 30 s."""
    copies: int = 3
    """Voters of a journal of this sidecar: 1 or 3."""
    min_copies: int = 1
    """With fewer voters its journal takes nothing."""
    history_keep_s: float = 14 * 86_400.0
    """How long lines of the history are kept in the data directory."""
    history_space: int = 64 << 20
    """Bytes of the file of the history; 0: it is kept in memory."""
    journal_space: int = 1 << 30
    """Bytes for copies of other members' journals; 0: it takes none."""
    host_id: str | None = None
    """Names the machine, for tests with several on one. None: the kernel's boot id."""
    forget_journals: bool = False
    """Give up the copies of journals in the data directory at the start."""
    secrets: str | None = None
    """A folder with a file for each secret that steps of sagas name."""
    dapr_app: str | None = None
    """The service here that is written for Dapr."""
    otlp: str | None = None
    """The base of the URL of a collector of spans."""
    otlp_sample: float | None = None
    """The share of the traces beginning here that is recorded. None: as OpenTelemetry's variables say."""
    groups: tuple[str, ...] = ()
    """Groups of events that are known before they subscribe, as `NAME=PATTERN`."""
    options: tuple[OptionInForce, ...] = field(default=(), compare=False)
    """Every option and where it is from, for people."""
    ignored_variables: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """Variables that begin like ours and are not used, and why."""
    config: str | None = field(default=None, compare=False)
    """Path of the file with options."""
    read_options_again: Callable[[], tuple[OptionInForce, ...]] | None = field(default=None, compare=False)
    """`options` as they would be after a restart. Raises BadConfig or CannotStart."""
