"""`gossipreg join`: its options, and what only a command line can get wrong. `sidecar_line.py` runs the sidecar."""

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from gossipreg.cli.options import Chosen, client_options, pairs, pass_chosen, service_options, service_params
from gossipreg.cli.pid_one import split_where_pid_one
from gossipreg.cli.sidecar_line import SidecarLine, run_sidecar
from gossipreg.cli.sources import ConfiguredCommand, config_option, in_force, reread, sources_of
from gossipreg.cli.units import Duration, OneOf, Size

if TYPE_CHECKING:
    from gossipreg.daemon.settings import OptionInForce


class _File(click.Path):
    """A path that is not empty. The daemon finds out whether it can be read, and has an exit code for that."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty: name a path, or leave it out", param, ctx)
        return super().convert(value, param, ctx)


FILE = _File(readable=False)


@click.command(
    cls=ConfiguredCommand,
    epilog="""\b
    Example:
      gossipreg join --name web-1 --service web --port 8080
      gossipreg join --seed 10.0.0.5:7940 --key-file cluster.key --data-dir /var/lib/gossipreg

    Every flag is also a variable (--key-file: GOSSIPREG_KEY_FILE) and a key of the file of --config (key-file = "k").
    The flag goes before the variable, the variable before the file. A repeatable flag is a variable with white space
    between its values, or a list in the file. --no-SWITCH turns off a switch that a variable or the file turns on.
    The command `config` shows the options in force.
    """,
)
@config_option
@click.option(
    "--seed", "seeds", metavar="HOST[:PORT]", multiple=True, help="A member to join through (port 7940); repeatable."
)
@click.option(
    "--bind", metavar="HOST:PORT", help="The address to gossip on (port 7940; all addresses if there is a key)."
)
@click.option(
    "--advertise", metavar="HOST[:PORT]", help="The address that others reach it at (the one towards the seed)."
)
@click.option(
    "--name", metavar="NAME", help="Its name for people; members may share one (HOSTNAME, or SERVICE-HOSTNAME)."
)
@click.option(
    "--cluster", metavar="NAME", default="default", help="The cluster to join; members of others are refused (default)."
)
@click.option("--zone", metavar="Z", default="", help="The zone that it stands in, for lookup --zone.")
@click.option(
    "--label",
    "labels",
    metavar="K=V",
    multiple=True,
    callback=pairs,
    help="A label, shown with the member; repeatable.",
)
@click.option(
    "--key-file",
    metavar="FILE",
    type=FILE,
    help="Keys in base64, one a line (or $GOSSIPREG_KEY).",
)
@click.option("--insecure", is_flag=True, help="Allow clear text off loopback.")
@click.option("--data-dir", metavar="DIR", type=FILE, help="Keep the identity and the services here over restarts.")
@click.option(
    "--profile",
    type=click.Choice(["local", "lan", "wan"]),
    default="lan",
    help="Timeouts for this kind of network (lan).",
)
@click.option("--socket-group", metavar="GROUP", help="The group that may use the socket, too.")
@click.option(
    "--socket-admin-group", metavar="GROUP", help="The group that may operate, too: leave, reload, others' services."
)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), help="The format of the log and the ready line (text)."
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    help="Log this severity and above (info).",
)
@click.option(
    "--on-sigterm",
    type=click.Choice(["leave", "hold"]),
    default="leave",
    help="hold: leave --hold 30s where systemd restarts the unit (with --data-dir).",
)
@click.option(
    "--services",
    metavar="FILE",
    type=FILE,
    help="A file of several services, in TOML; read again on SIGHUP.",
)
@click.option("--allow-empty", is_flag=True, help="Let a reload deregister all if the file of --services names none.")
@click.option("--allow-cmd-checks", is_flag=True, help="Run cmd: checks of every user who may use the socket.")
@click.option(
    "--copies",
    type=OneOf(1, 3),
    metavar="1|3",
    default=3,
    help="The copies of its journal, where there are so many hosts (3).",
)
@click.option(
    "--min-copies",
    type=OneOf(1, 2, 3),
    metavar="N",
    default=1,
    help="Its journal takes nothing while it has fewer (1).",
)
@click.option(
    "--history-keep",
    "history_keep_s",
    metavar="DURATION",
    type=Duration(),
    default="14d",
    help="How long --data-dir keeps what happened, for `gossipreg history` (14d).",
)
@click.option(
    "--history-space",
    metavar="SIZE",
    type=Size(),
    default="64MiB",
    help="Disk space for it; the oldest lines make room; 0: in memory (64MiB).",
)
@click.option(
    "--journal-space",
    metavar="SIZE",
    type=Size(),
    default="1GiB",
    help="Disk space for copies of others' journals; 0: it takes none (1GiB).",
)
@click.option(
    "--host-id", metavar="TEXT", help="Names the machine: journals have copies on several (the kernel's boot id)."
)
@click.option("--forget-journals", is_flag=True, help="Give up the copies of journals in --data-dir at the start.")
@click.option(
    "--group",
    "groups",
    metavar="NAME=PATTERN",
    multiple=True,
    help="A group that gets events before it first subscribes; repeatable.",
)
@click.option("--secrets", metavar="DIR", type=FILE, help="Files with secrets that steps of sagas name: secret:NAME.")
@click.option("--dns", metavar="HOST:PORT", help="Answer DNS on this address, as Consul does (port 8600).")
@click.option("--dns-domain", metavar="NAME", help="Answer the same names under this domain, beside consul.")
@click.option("--dns-ttl", metavar="TIME", type=Duration(), help="How long resolvers may keep records (0).")
@click.option(
    "--dns-negative-ttl", metavar="TIME", type=Duration(), help="How long resolvers may keep 'no such name' (0)."
)
@click.option(
    "--http", metavar="HOST:PORT|unix:PATH", multiple=True, help="Answer HTTP as Consul and Eureka do (port 8500)."
)
@click.option(
    "--http-token-file", metavar="FILE", type=FILE, help="Tokens for --http, one a line (required off loopback)."
)
@click.option("--insecure-http", is_flag=True, help="Open --http off loopback without a token, reads only.")
@click.option("--http-host", metavar="NAME", multiple=True, help="A host name under which --http answers; repeatable.")
@click.option(
    "--ui-writes", is_flag=True, help="Let the page at /ui/ begin and end maintenance, drain, deregister and retry."
)
@click.option(
    "--xds",
    metavar="HOST:PORT|unix:PATH",
    multiple=True,
    help="Be the xDS control plane of gRPC clients and Envoy (port 18000).",
)
@click.option("--insecure-xds", is_flag=True, help="Open --xds off loopback: others can see all services.")
@click.option(
    "--xds-policy",
    metavar="FILE",
    type=FILE,
    help="What --xds says of each service: timeouts, retries, splits, ..., in TOML.",
)
@click.option(
    "--xds-tls",
    is_flag=True,
    help="On --xds unix:PATH hand out certificates made of the cluster key, for mutual TLS between Envoys.",
)
@click.option(
    "--dapr-app",
    metavar="SERVICE",
    help="The service here that is written for Dapr; it is asked for its subscriptions.",
)
@click.option("--otlp", metavar="URL", help="Send traces to the OpenTelemetry collector at this base, by OTLP/HTTP.")
@click.option(
    "--otlp-sample",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    help="The share of the traces beginning here that --otlp sends, 0 to 1 (OTEL_TRACES_SAMPLER, or 1).",
)
@click.option("--service", metavar="NAME", help="A service to register at once; the next eight options describe it.")
@service_options(required=False)
@client_options
@pass_chosen
@click.pass_context
def join(ctx: click.Context, chosen: Chosen, /, **flags: Any) -> int:
    """Run the sidecar in the foreground, until SIGTERM, SIGINT or `gossipreg leave`.

    Prints one line, `ready ...`, when its socket answers. Without --seed it is the first member of a cluster.
    """
    service = _take_service(flags)
    dns = {key.removeprefix("dns_"): flags.pop(key) for key in ("dns", "dns_domain", "dns_ttl", "dns_negative_ttl")}
    http = {key: flags.pop(key) for key in ("http", "http_host", "http_token_file", "insecure_http", "ui_writes")}
    xds = {key: flags.pop(key) for key in ("xds", "xds_policy", "insecure_xds", "xds_tls")}
    flags["log_format"] = flags["log_format"] or ("json" if chosen.json else "text")
    flags["labels"] = tuple(sorted(flags["labels"].items()))
    sources, key = sources_of(ctx), os.environ.get("GOSSIPREG_KEY") or None
    if key is not None and sources.found_in.get("key_file", ("", ""))[0] == "file":
        flags["key_file"] = None  # a variable goes before the file
    _refuse_without_place(dns, http, xds)
    _refuse_same_places({"--http": http["http"], "--xds": xds["xds"]}, {"--dns": dns["dns"], "--socket": chosen.socket})
    if xds["xds_tls"] and xds["xds"]:
        _check_mesh(xds["xds"], flags["cluster"], flags["key_file"] or key)
    settings = flags | {"key": key, "socket": chosen.socket, "service": service, "config": sources.file}
    settings["ignored_variables"] = tuple(sources.ignored)
    line = SidecarLine(settings, tuple(map(tuple, in_force(ctx))), dns, http, xds, chosen.json)
    if chosen.hand_over is not None:
        return chosen.hand_over(line)
    split_where_pid_one()
    return run_sidecar(line, partial(reread, ctx))


def read_line_again(arguments: list[str], file: str | None) -> "tuple[OptionInForce, ...]":
    """`reread` for a command line, and the file of its --config, that another process has read."""
    with join.make_context("join", list(arguments), resilient_parsing=True) as ctx:
        sources_of(ctx).file = file
        return reread(ctx)


def _refuse_without_place(dns: dict[str, Any], http: dict[str, Any], xds: dict[str, Any]) -> None:
    """Raise UsageError for a flag about a gateway that is not asked for."""
    if dns["dns"] is None:
        for key in ("domain", "ttl", "negative_ttl"):
            if dns[key] is not None:
                flag = key.replace("_", "-")
                raise click.UsageError(f"--dns-{flag} is about DNS: say where to answer it with --dns HOST:PORT.")
    if not http["http"]:
        for key in ("http_host", "http_token_file", "insecure_http", "ui_writes"):
            if http[key]:
                flag = f"--{key.replace('_', '-')}"
                raise click.UsageError(f"{flag} is about HTTP: say where to answer it with --http HOST:PORT.")
    if not xds["xds"]:
        for key in ("xds_policy", "insecure_xds", "xds_tls"):
            if xds[key]:
                flag = f"--{key.replace('_', '-')}"
                place = "unix:PATH" if key == "xds_tls" else "HOST:PORT"
                raise click.UsageError(f"{flag} is about xDS: say where to answer it with --xds {place}.")


def _refuse_same_places(repeatable: dict[str, tuple[str, ...]], single: dict[str, str | None]) -> None:
    """Each place can be listened at once: `repeatable` and `single` are what these flags name. Raises UsageError."""
    taken: dict[str, str] = {}
    for flag, places in {**{flag: (text,) for flag, text in single.items() if text}, **repeatable}.items():
        for text in places:
            if places.count(text) > 1 and not text.endswith(":0"):
                raise click.UsageError(f"{flag} {text} is given twice.")
            place = f"unix:{text}" if flag == "--socket" else text
            if place.startswith("unix:") or _has_port(flag, place):
                if place in taken:
                    what = "path" if place.startswith("unix:") else "place"
                    raise click.UsageError(f"{flag} {text} is the {what} of {taken[place]}, too: choose another one.")
                taken[place] = flag


def _has_port(flag: str, text: str) -> bool:
    """Whether it names one port: 0 is any that is free, and each flag has a port of its own where it names none."""
    from gossipreg.net.addresses import split_host_port

    return bool(text.strip()) and split_host_port(text, what=flag)[1] not in (None, 0)


def _check_mesh(places: tuple[str, ...], cluster: str, key: str | None) -> None:
    """Raise UsageError if --xds-tls cannot be had."""
    from gossipreg.gateway.xds.resources.mesh_ids import fault_of_cluster

    if not any(place.startswith("unix:") for place in places):
        raise click.UsageError("--xds-tls hands out certificates on a unix socket alone: add --xds unix:PATH.")
    if key is None:
        raise click.UsageError(
            "--xds-tls makes certificates of the cluster key, and there is none: make one with `gossipreg keygen`, "
            "and give it with --key-file."
        )
    if fault := fault_of_cluster(cluster):
        raise click.UsageError(f"--xds-tls: {fault}.")


def _take_service(flags: dict[str, Any]) -> dict[str, Any] | None:
    """Remove the options of the service beside the sidecar from `flags`; return them as the parameters of `register`.
    None without --service."""
    name, params = flags.pop("service"), service_params(flags)
    if name is None:
        for key in params:
            raise click.UsageError(f"--{key.removesuffix('s')} describes a service: name it with --service NAME.")
        return None
    if "port" not in params:
        raise click.UsageError("--service needs --port P.")
    return {"name": name, **params}
