"""The group `gossipreg`, and how an exception becomes one line on stderr and an exit code.

0 done   1 a plain no   2 wrong usage   3 the sidecar cannot be reached   4 it refused   5 could not start
6 could not start for a reason that may mend itself   7 the result could not be written   130 interrupted
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

import click

from gossipreg import __version__
from gossipreg.cli.exit_codes import INTERRUPTED, READER_GONE, REFUSED, UNREACHABLE, USAGE, of_start
from gossipreg.cli.options import Chosen, client_options, in_flags
from gossipreg.cli.output import ReaderGone, flush, lost, say_error
from gossipreg.errors import BadConfig, BadParams, CannotStart, ChooseSocket, GossipregError, Unreachable

if TYPE_CHECKING:
    from gossipreg.cli.sidecar_line import SidecarLine

COMMANDS = (
    "join", "register", "deregister", "heartbeat", "lookup", "services", "members", "watch", "wait", "call", "info",
    "history", "events", "saga", "journal", "xds", "config", "reload", "maint", "drain", "leave", "force-leave",
    "keygen", "exec", "client", "demo", "docs", "help",
)  # fmt: skip
"""In the order of the help. Each is the function of its name in the module of its name."""


class Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"gossipreg.cli.{module}"), module)
        return command


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
    Example: two sidecars on one machine, a service, and where it is.
      gossipreg join --socket one.sock --bind 127.0.0.1:7940 --service web --port 8080 &
      gossipreg join --socket two.sock --bind 127.0.0.1:0 --seed 127.0.0.1:7940 &
      gossipreg --socket two.sock wait web; gossipreg --socket two.sock lookup web

    Shell completion: eval "$(_GOSSIPREG_COMPLETE=bash_source gossipreg)" (or zsh_source, fish_source).
    """,
)
@client_options
@click.version_option(__version__, message="%(prog)s %(version)s")
def gossipreg() -> None:
    """A service registry without a server: the sidecars of your services find each other and hold the registry."""


def run(args: list[str] | None = None, hand_over: "Callable[[SidecarLine], int] | None" = None) -> int:
    """Run one command line, that of the process if `args` is None, and return its exit code. Raises nothing.

    `hand_over` gets what the line of a `join` says, see `Chosen`.
    """
    chosen, stdout = Chosen(), sys.stdout
    chosen.hand_over = hand_over
    chosen.json = _asks_for_json(sys.argv[1:] if args is None else args)  # for errors before the options are known
    try:
        code = gossipreg.main(args, prog_name="gossipreg", standalone_mode=False, obj=chosen)
        flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        return _show_usage_error(error, chosen.json)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except ReaderGone:
        return READER_GONE
    except GossipregError as error:
        return show_error(error, json=chosen.json)
    except OSError as error:  # click writes help and completion by itself
        if "gossipreg.daemon.main" in sys.modules:
            raise
        return _show_usage_error(lost(error), chosen.json)
    except SystemExit as error:
        if sys.stdout is not stdout:  # click has replaced it, since nobody reads its help any more
            return READER_GONE
        return error.code if isinstance(error.code, int) else 1


def show_error(error: GossipregError, *, json: bool) -> int:
    """Print the error in one line, and return its exit code."""
    say_error("usage" if isinstance(error, ChooseSocket) else error.code, in_flags(str(error)), json=json)
    return _exit_code(error)


def _asks_for_json(args: list[str]) -> bool:
    """Whether --json is among the options. After `--` it belongs to the program of `exec`."""
    return "--json" in (args[: args.index("--")] if "--" in args else args)


def _exit_code(error: GossipregError) -> int:
    match error:
        case Unreachable():
            return UNREACHABLE
        case BadConfig() | BadParams():
            return USAGE
        case CannotStart():
            return of_start(error)
        case _:
            return REFUSED


def _show_usage_error(error: Exception, json: bool) -> int:
    """Show the error as click does, with the usage of the command. With `json`, print the JSON object only."""
    if not isinstance(error, click.ClickException):
        return READER_GONE
    if json:
        say_error("usage" if error.exit_code == USAGE else "output", error.format_message(), json=True)
    else:
        with suppress(OSError):  # if stderr cannot be written, only the exit code is left
            error.show()
    return error.exit_code
