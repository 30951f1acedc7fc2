"""What the command line of `join` says, as plain values, and the sidecar that is made of it. Nothing here needs click.

`join.py` declares the options, and checks what only a command line can get wrong.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from gossipreg.cli.exit_codes import of_start
from gossipreg.errors import BadConfig, CannotStart

if TYPE_CHECKING:
    from pathlib import Path

    from gossipreg.daemon.settings import OptionInForce
    from gossipreg.net.addresses import Bind
    from gossipreg.sidecar_api import GatewayOptions


class SidecarLine(NamedTuple):
    """Lists, dictionaries, tuples, texts and numbers alone, so `marshal` can write it."""

    settings: dict[str, Any]
    """The fields of `Settings` by name, but `options` and `read_options_again`."""
    options: tuple[tuple[Any, ...], ...]
    """The fields of each `OptionInForce`."""
    dns: dict[str, Any]
    http: dict[str, Any]
    xds: dict[str, Any]
    json: bool
    """Whether --json was given."""


def load_sidecar() -> None:
    """Load what every sidecar needs, of trio as little as possible."""
    from gossipreg.daemon.lean_trio import load_trio
    from gossipreg.daemon.memory import collect_seldom

    collect_seldom()
    load_trio()
    import gossipreg.daemon.main  # noqa: F401


def run_sidecar(line: SidecarLine, read_again: "Callable[[], tuple[OptionInForce, ...]]") -> int:
    """Run the sidecar and return its exit code. `read_again` gives the options as they would be after a restart.

    Raises BadConfig or CannotStart, unless they are in the log already.
    """
    load_sidecar()
    from gossipreg.daemon.logs import Log
    from gossipreg.daemon.main import run
    from gossipreg.daemon.settings import OptionInForce, Settings

    log_format = line.settings["log_format"]
    try:
        settings = Settings(
            **line.settings,
            options=tuple(OptionInForce(*one) for one in line.options),
            read_options_again=read_again,
        )
        group = settings.socket_group or settings.socket_admin_group
        http, dns, xds = _http_gateway(line.http, group), _dns_gateway(line.dns), _xds_gateway(line, group)
        return run(settings, *dns, *http, *xds)
    except (BadConfig, CannotStart) as error:
        if log_format == "text" or line.json:
            raise
        from gossipreg.cli.options import in_flags

        Log(log_format).error(error.code, message=in_flags(str(error)))  # a program that reads JSON reads nothing else
        return of_start(error)


def _dns_gateway(dns: dict[str, Any]) -> "list[GatewayOptions]":
    """Make the DNS gateway, if --dns was given. Its modules are loaded only then."""
    if dns["dns"] is None:
        return []
    from gossipreg.gateway.dns.gateway import DEFAULT_PORT, DnsOptions
    from gossipreg.net.addresses import listen_rule

    where = listen_rule(dns["dns"], what="--dns", default_port=DEFAULT_PORT)
    return [DnsOptions(where, domain=dns["domain"], ttl_s=dns["ttl"] or 0.0, negative_ttl_s=dns["negative_ttl"] or 0.0)]


def _http_gateway(flags: dict[str, Any], group: str | None) -> "list[GatewayOptions]":
    if not flags["http"]:
        return []
    from gossipreg.gateway.http.gateway import DEFAULT_PORT, HttpOptions

    tcp, unix = _places("--http", flags["http"], DEFAULT_PORT)
    return [
        HttpOptions(
            tcp, unix, socket_group=group, names=flags["http_host"], token_file=flags["http_token_file"],
            open_reads=flags["insecure_http"], page_writes=flags["ui_writes"],
        )
    ]  # fmt: skip


def _xds_gateway(line: SidecarLine, group: str | None) -> "list[GatewayOptions]":
    """Make the xDS gateway, if --xds was given. Its modules, and the libraries of the extra, are loaded only then."""
    flags = line.xds
    if not flags["xds"]:
        return []
    try:
        from gossipreg.gateway.xds.gateway import DEFAULT_PORT, XdsOptions
    except ModuleNotFoundError as error:
        from gossipreg.extras import install_command

        library = (error.name or "").partition(".")[0]
        if library == "gossipreg":
            raise
        lacks = f"--xds needs libraries that are not installed here ({library})"
        raise BadConfig(f"{lacks}: {install_command('xds')}") from None
    tcp, unix = _places("--xds", flags["xds"], DEFAULT_PORT)
    return [
        XdsOptions(
            tcp, unix, socket_group=group, insecure=flags["insecure_xds"], policy_file=flags["xds_policy"],
            domain=line.dns["domain"], tls=flags["xds_tls"],
        )
    ]  # fmt: skip


def _places(flag: str, places: tuple[str, ...], default_port: int) -> "tuple[list[Bind], list[Path]]":
    """The addresses and the paths among these."""
    from pathlib import Path

    from gossipreg.net.addresses import listen_rule

    tcp = [listen_rule(text, what=flag, default_port=default_port) for text in places if not text.startswith("unix:")]
    return tcp, [Path(text.removeprefix("unix:")) for text in places if text.startswith("unix:")]
