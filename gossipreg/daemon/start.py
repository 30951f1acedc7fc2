"""Opening: everything that a sidecar reads, locks and binds before it runs, in the order in which it may fail.

Values, keys and seeds come first: they cost nothing and are most often wrong. Then come the things that only one
process can have: the data directory, the local socket, the gossip port, the gateways' ports. Each failure raises
CannotStart or BadConfig with one line, and everything opened before is closed.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossipreg import __version__
from gossipreg.config import PROFILES, Config
from gossipreg.daemon import params
from gossipreg.daemon.addresses import advertise_rule, bind_rule, refuse_clear_text
from gossipreg.daemon.clock import wall_ms
from gossipreg.daemon.data_directory import DataDirectory
from gossipreg.daemon.gossip_sockets import bind_gossip
from gossipreg.daemon.identity import Identity, draw_generation, draw_identity
from gossipreg.daemon.interfaces import local_addresses
from gossipreg.daemon.journals_file import note_forgetting
from gossipreg.daemon.keys import read_keyring
from gossipreg.daemon.local_socket import LocalSocket
from gossipreg.daemon.own_addresses import own_addresses
from gossipreg.daemon.places import limits_for
from gossipreg.daemon.seeds import Seed, certainly_loopback, literals, parse_seed
from gossipreg.daemon.settings import Settings
from gossipreg.daemon.udp import UdpTransport
from gossipreg.errors import BadConfig, BadParams, CannotStart, cannot_start
from gossipreg.model import BOOT_ID_BYTES, BootId, Member
from gossipreg.net import descriptors
from gossipreg.net.addresses import Bind
from gossipreg.net.groups import group_id
from gossipreg.net.socket_file import SocketFile, bind_socket_file
from gossipreg.quick_dataclass import dataclass
from gossipreg.rights import Rights
from gossipreg.sidecar_api import Gateway, GatewayOptions
from gossipreg.sizes import shown_size
from gossipreg.socket_path import default_socket, path_fault, prepare_folder

if TYPE_CHECKING:
    from gossipreg.otlp.otlp_post import Collector
    from gossipreg.otlp.otlp_settings import OtlpSettings
    from gossipreg.wire.seal import Keyring

MAX_LABELS = 64
HISTORY_SPACE_MIN_BYTES = 4 << 20
"""Some 15,000 lines."""


@dataclass(frozen=True, slots=True)
class SpanExport:
    """Where spans go: the collector of --otlp."""

    settings: "OtlpSettings"
    collector: "Collector"


@dataclass(frozen=True, slots=True)
class OpenedSidecar:
    settings: Settings
    config: Config
    keyring: "Keyring | None"
    seeds: tuple[Seed, ...]
    bind: Bind
    identity: Identity
    generation: int
    member: Member
    """Our own entry, as it is announced first."""
    address_fixed: bool
    """The user named our address, so it does not follow what others see."""
    transport: UdpTransport
    stream_listeners: tuple[socket.socket, ...]
    """TCP, on the gossip port."""
    local_socket: LocalSocket
    data: DataDirectory | None
    file: tuple[dict[str, Any], ...]
    """The services of `--services`."""
    gateways: tuple[Gateway, ...]
    rights: Rights
    generation_before: int = 0
    own_generations: frozenset[int] = frozenset()
    """See `DataDirectory`."""
    otlp: SpanExport | None = None

    def close_sockets(self) -> None:
        """Close what others see of this sidecar, where the process ends without an orderly end."""
        listeners = (one.close for one in self.stream_listeners)
        gateways = (one.close for one in self.gateways)
        for close in (self.transport.close, *listeners, *gateways, self.local_socket.close):
            with suppress(OSError):
                close()


@contextmanager
def opened(settings: Settings, gateways: tuple[GatewayOptions, ...] = ()) -> Iterator[OpenedSidecar]:
    config = _config(settings)
    name, zone, labels = _who(settings)
    seeds = tuple(parse_seed(text) for text in settings.seeds)
    file = () if settings.services is None else _read_services(settings.services)
    keyring = read_keyring(settings)
    otlp = _otlp(settings)
    rights = _rights(settings)
    bind = bind_rule(settings.bind, everywhere=keyring is not None or settings.insecure)
    if keyring is None and not settings.insecure:
        refuse_clear_text(bind, tuple(str(seed) for seed in seeds if not certainly_loopback(seed)))
    if settings.data_dir is not None and not settings.data_dir.strip():
        raise BadConfig("--data-dir is empty: name a directory, or leave it out")
    with ExitStack() as stack:
        data = None if settings.data_dir is None else DataDirectory(settings.data_dir)
        if data is not None:
            stack.callback(data.close)
            _forget_journals(settings, data)
        clients = descriptors.for_local_clients(descriptors.raise_descriptors())
        local_socket = LocalSocket(_bind_socket_file(settings), limits_for(clients))
        stack.callback(local_socket.close)
        transport, stream_listeners = bind_gossip(bind)
        stack.callback(transport.close)
        for listener in stream_listeners:
            stack.callback(listener.close)
        open_gateways: list[Gateway] = []
        for chosen in gateways:
            open_gateways.append(chosen.open())
            stack.callback(open_gateways[-1].close)
        if settings.advertise is None:
            addresses = own_addresses(bind, transport.local_addresses, literals(seeds), local_addresses())
        else:
            addresses = (advertise_rule(settings.advertise, transport.local_addresses[0].port),)
        identity = draw_identity() if data is None else data.identity()
        generation = draw_generation(wall_ms()) if data is None else data.next_generation(wall_ms())
        member = Member(
            name=name,
            boot_id=BootId(os.urandom(BOOT_ID_BYTES)),
            addresses=addresses,
            public_key=identity.public_key,
            zone=zone,
            labels=labels,
            durable=data is not None,
            keys=() if keyring is None else keyring.ids(),
            software=__version__,
        )
        yield OpenedSidecar(
            settings, config, keyring, seeds, bind, identity, generation, member,
            settings.advertise is not None or not bind.wildcard, transport,
            tuple(stream_listeners), local_socket, data, file, tuple(open_gateways), rights,
            generation_before=0 if data is None else data.generation_before,
            own_generations=frozenset() if data is None else data.own_generations, otlp=otlp,
        )  # fmt: skip


def _config(settings: Settings) -> Config:
    profile = PROFILES.get(settings.profile)
    if profile is None:
        raise BadConfig(f"profile {settings.profile!r}: choose from {', '.join(PROFILES)}")
    if settings.on_sigterm not in ("leave", "hold"):
        raise BadConfig(f"--on-sigterm {settings.on_sigterm!r}: choose leave or hold")
    if settings.on_sigterm == "hold" and settings.data_dir is None:
        raise BadConfig("--on-sigterm hold needs --data-dir: without it this sidecar comes back as another member")
    if settings.forget_journals and settings.data_dir is None:
        raise BadConfig("--forget-journals needs --data-dir: without it there are none")
    if settings.min_copies > settings.copies:
        raise BadConfig(f"--min-copies {settings.min_copies} is more than --copies {settings.copies}")
    _check_history(settings)
    _check_groups(settings)
    if settings.secrets is not None and not Path(settings.secrets).is_dir():
        raise CannotStart(f"--secrets {settings.secrets}: there is no such directory")
    return replace(profile, cluster=settings.cluster)


def _check_history(settings: Settings) -> None:
    if settings.history_space and settings.history_space < HISTORY_SPACE_MIN_BYTES:
        least = shown_size(HISTORY_SPACE_MIN_BYTES)
        raise BadConfig(
            f"--history-space {shown_size(settings.history_space)}: give {least} or more, or 0 to keep it in memory"
        )
    if settings.history_keep_s <= 0:
        raise BadConfig(
            f"--history-keep {settings.history_keep_s:g}: give more than 0; --history-space 0 keeps no file"
        )


def _check_groups(settings: Settings) -> None:
    if not settings.groups and settings.dapr_app is None:
        return
    from gossipreg.events.announced import declared_groups  # most sidecars declare none
    from gossipreg.events.patterns import check_group

    try:
        declared_groups(settings.groups)
    except BadParams as error:
        raise BadConfig(f"--group: {error}") from None
    try:
        if settings.dapr_app is not None:
            check_group(settings.dapr_app)
    except BadParams as error:
        raise BadConfig(f"--dapr-app: its name is that of its group, and {error}") from None


def _otlp(settings: Settings) -> SpanExport | None:
    if settings.otlp is None:
        if settings.otlp_sample is not None:
            raise BadConfig("--otlp-sample is about traces: say where to send them with --otlp URL")
        return None
    from gossipreg.otlp.otlp_post import Collector  # most sidecars export none
    from gossipreg.otlp.otlp_settings import otlp_settings

    found = otlp_settings(settings.otlp, settings.otlp_sample, os.environ)
    return SpanExport(found, Collector(found, f"gossipreg/{__version__}"))


def _forget_journals(settings: Settings, data: DataDirectory) -> None:
    if not settings.forget_journals:
        return
    try:
        note_forgetting(data.path)
    except OSError as error:
        raise cannot_start(f"--forget-journals: cannot write {data.path}: {error.strerror}", error.errno) from None


def _read_services(path: str) -> tuple[dict[str, Any], ...]:
    from gossipreg.daemon.services_file import read_services  # most sidecars have none

    return read_services(path)


def _who(settings: Settings) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    host = socket.gethostname() or "localhost"
    default = host if settings.service is None else f"{settings.service['name']}-{host}"
    try:
        name = params.text("--name", default if settings.name is None else settings.name)
        zone = params.text("--zone", settings.zone, least_bytes=0)
        params.text("--cluster", settings.cluster)  # two that look the same would never meet, and nobody would see why
        if settings.host_id is not None:
            params.text("--host-id", settings.host_id)
        for key, value in settings.labels:
            params.text("--label", key)
            params.text(f"--label {key}", value, least_bytes=0)
    except BadParams as error:
        raise BadConfig(str(error)) from None
    if len(settings.labels) > MAX_LABELS:
        raise BadConfig(f"{len(settings.labels)} labels: at most {MAX_LABELS}")
    return name, zone, tuple(sorted(dict(settings.labels).items()))


def _rights(settings: Settings) -> Rights:
    group = settings.socket_admin_group
    return Rights(os.geteuid(), None if group is None else group_id(group, "--socket-admin-group"))


def socket_group(settings: Settings) -> tuple[str, str | None]:
    """The group that owns the local socket's file, and the flag that names it. If only the operators' group is named,
    only operators may connect."""
    if settings.socket_group is None and settings.socket_admin_group is not None:
        return "--socket-admin-group", settings.socket_admin_group
    return "--socket-group", settings.socket_group


def _bind_socket_file(settings: Settings) -> SocketFile:
    flag, name = socket_group(settings)
    group = None if name is None else group_id(name, flag)
    if settings.socket is not None:
        if not Path(settings.socket).name:
            raise BadConfig(f"--socket {settings.socket!r}: that is a folder, name a file in it")
        if fault := path_fault(settings.socket):
            raise CannotStart(fault)
        return bind_socket_file(Path(settings.socket), group=group)
    path = default_socket(settings.name)
    prepare_folder(path.parent)
    if group is not None:
        try:
            os.chown(path.parent, -1, group)
            path.parent.chmod(0o710)  # the group has to get through, and no more
        except OSError as error:
            message = f"cannot give {path.parent} to the group {name}: {error.strerror}"
            raise cannot_start(message, error.errno) from None
    return bind_socket_file(path, group=group)
