"""Options that several commands share, and how a command gets its client."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from gossipreg.errors import RequestError, Unreachable

if TYPE_CHECKING:
    from gossipreg.cli.sidecar_line import SidecarLine
    from gossipreg.client import Client


DEFAULT_MAP = ParameterSource.DEFAULT_MAP
"""The source of values from a variable or the file of `join`. A flag before the command goes before it."""


ALIVE_S = 10.0
"""A sidecar that is alive answers within this, whatever its machine does; so long a call waits that has no time of its
own."""


class Chosen:
    """The values of the global options, which may stand anywhere on the line. Passed on as click's `obj`."""

    def __init__(self) -> None:
        self.socket: str | None = None
        self.json = False
        self.hand_over: Callable[[SidecarLine], int] | None = None
        """Takes what the line of `join` says, and returns the exit code. None: the sidecar runs in this process."""

    def client(self, timeout_s: float = ALIVE_S) -> "Client":
        """A client of the chosen sidecar; nothing is opened yet."""
        from gossipreg.client import Client  # `join`, which stays in memory, has no use for it

        client = Client(self.socket, timeout_s=timeout_s)
        client.choice = "--socket"
        return client

    def patient_client(self, timeout_s: float, alive_s: float = ALIVE_S) -> "Client":
        """A client for a call that may take this long, once the sidecar has shown within `alive_s` that it answers at
        all: the command would be silent for as long beside one that hangs. Raises Unreachable."""
        try:
            with self.client(min(timeout_s, alive_s, ALIVE_S)) as client, suppress(RequestError):  # that is an answer
                client.call("registered")
        except Unreachable as error:  # nobody asked for the method that it names
            raise Unreachable(str(error).replace(" registered", "")) from error
        return self.client(timeout_s)


pass_chosen = click.make_pass_decorator(Chosen)


def _choose_socket(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value == "":
        raise click.UsageError("--socket is empty: name a path, or leave it out.")
    chosen = ctx.ensure_object(Chosen)
    if value is not None and (chosen.socket is None or ctx.get_parameter_source("socket") is not DEFAULT_MAP):
        chosen.socket = value


def _choose_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Chosen).json = True


def client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--socket and --json: of the group, and of each command as well."""
    command = click.option(
        "--json", is_flag=True, expose_value=False, callback=_choose_json, help="Print JSON, errors too."
    )(command)
    return click.option(
        "--socket",
        metavar="PATH",
        expose_value=False,
        callback=_choose_socket,
        type=click.Path(readable=False),  # the connection reports whether it can be used
        help="The sidecar's socket ($GOSSIPREG_SOCKET).",
    )(command)


def maintenance_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that `maint` and `drain` share."""
    for option in (
        click.option("--reason", metavar="TEXT", help="The reason, which lookup --all, members and info show."),
        click.option("--off", is_flag=True, help="End the maintenance."),
        click.option(
            "--service", metavar="ID", shell_complete=_ids, help="The id of the service (all services of this sidecar)."
        ),
    ):
        command = option(command)
    return command


def _ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from gossipreg.cli.complete import complete_id

    return complete_id(ctx, param, incomplete)


def maintenance_params(service: str | None, off: bool, reason: str | None) -> dict[str, Any]:
    """The options as parameters of the methods `maint` and `drain`. Raises UsageError."""
    if off and reason is not None:
        raise click.UsageError("--off takes no --reason.")
    if service == "":
        raise click.UsageError("--service is empty: name an id, or leave it out for the whole sidecar.")
    given = {"service": service, "off": off or None, "reason": reason}
    return {name: value for name, value in given.items() if value is not None}


def pairs(_ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Callback of options that take K=V."""
    found = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{value!r} is not of the form KEY=VALUE", param=param)
        if key in found:
            raise click.BadParameter(f"{key!r} is given twice: it has one value", param=param)
        found[key] = text
    return found


def routes(_ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Callback of options that take PATTERN=/PATH."""
    found: dict[str, str] = {}
    for value in values:
        pattern, equals, path = value.partition("=")
        if not pattern or not equals or not path.startswith("/"):
            raise click.BadParameter(f"{value!r} is not of the form PATTERN=/PATH", param=param)
        if pattern in found:
            raise click.BadParameter(f"the pattern {pattern!r} is given twice: a pattern has one path", param=param)
        found[pattern] = path
    return found


PORT = click.IntRange(0, 65535)
CHECK_FORMS = (
    "http(s)://URL, tcp://HOST:PORT, grpc(s)://HOST:PORT/SERVICE, cmd:LINE, ttl:30s or alias:ID; after commas: "
    "interval=5s timeout=1s passes=2 fails=3 deregister_after=1h method=HEAD header=NAME:VALUE body=TEXT "
    "server_name=NAME verify=no (`gossipreg docs checks`)"
)
BESIDE = "the service beside this sidecar: "
SERVICE_FLAGS = ("port", "address", "id", "tags", "meta", "weight", "checks", "subscribe")


FLAGS = {"checks": "--check", "tags": "--tag"}
"""Of the parameters of the local socket whose flag has another name."""


def in_flags(message: str) -> str:
    """Return this error text with the flag that the user gave in place of the name of the parameter."""
    for name, flag in FLAGS.items():
        for before in ("", BESIDE):
            if message.startswith((f"{before}{name} ", f"{before}{name}:")):
                return before + flag + message[len(before) + len(name) :]
    return message


def service_params(flags: dict[str, Any]) -> dict[str, Any]:
    """Remove the flags of the service from `flags`; return those that were given as the parameters of `register`."""
    given = {key: flags.pop(key) for key in SERVICE_FLAGS}
    given |= {key: list(given[key]) for key in ("tags", "checks")}
    return {key: value for key, value in given.items() if value not in (None, [], {})}


def service_options(*, required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The flags that `register`, `exec` and `join --service` share."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option(
                "--subscribe",
                metavar="PATTERN=/PATH",
                multiple=True,
                callback=routes,
                help="Post events of these types to this path of it; its name is the group; repeatable.",
            ),
            click.option("--check", "checks", metavar="SPEC", multiple=True, help=f"{CHECK_FORMS}; repeatable."),
            click.option(
                "--weight",
                metavar="N",
                type=click.IntRange(0, 65535),
                help="Its share for clients that balance load (1).",
            ),
            click.option(
                "--meta", metavar="K=V", multiple=True, callback=pairs, help="Further data for clients; repeatable."
            ),
            click.option("--tag", "tags", metavar="T", multiple=True, help="A tag to look it up by; repeatable."),
            click.option("--id", metavar="ID", help="Its id, unique on this node (NAME-PORT, or NAME without a port)."),
            click.option("--address", metavar="HOST", help="The address that it listens on (the advertised host)."),
            click.option(
                "--port",
                metavar="P",
                type=PORT,
                required=required,
                help="The port that it listens on (0: it has no port).",
            ),
        ):
            command = option(command)
        return command

    return decorate
