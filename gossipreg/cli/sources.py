"""Where the options of a command come from: its flags, variables of the environment, and a file.

The options that click declares are the only table: variables and keys of the file are derived from it. So a new flag is
a variable and a key as well, and shows in `gossipreg config` and in the manual. An option is taken whole from
the first source that has it, in this order: the flag, the variable GOSSIPREG_FLAG, the key `flag` of the file, the
default. A repeatable option is a text with white space between its values in a variable, and a list in the file.
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Any

import click
from click.core import ParameterSource

from gossipreg.cli.options import Chosen, pairs
from gossipreg.cli.units import Duration, Size
from gossipreg.daemon.settings import OptionInForce
from gossipreg.durations import shown_duration
from gossipreg.errors import BadConfig, cannot_start
from gossipreg.quick_dataclass import dataclass
from gossipreg.sizes import shown_size

PREFIX = "GOSSIPREG_"
WITHOUT_FLAG = {"GOSSIPREG_KEY": "keys in base64, one a line; --key-file and its variable go before it"}
"""Variables that no flag stands for, and what they hold."""
NOT_IN_FILE = ("config", "help")
MAX_FILE_BYTES = 1024 * 1024
_FOR_A_SERVICE = re.compile(r"(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")
"""What Kubernetes adds to the environment for a Service, behind its name."""
_ADDRESS_OF_A_SERVICE = re.compile(r"(tcp|udp|sctp)://")


@dataclass(slots=True)
class Sources:
    """The values in the variables and in the file, by the name of the parameter in click."""

    file: str | None = None
    """The path of the file, as it was given."""
    values: dict[str, Any] = field(default_factory=dict)
    found_in: dict[str, tuple[str, str]] = field(default_factory=dict)
    """(`variable` or `file`, the variable's name or the file's path) of each value."""
    ignored: list[tuple[str, str]] = field(default_factory=list)
    """Variables that begin like ours and are not used, and why."""


class ConfiguredCommand(click.Command):
    """A command whose options may come from variables and a file too, with the option that `config_option` adds.

    Each switch `--x` also has `--no-x`, for what a variable or the file turns on.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            name = error.param.name if error.param is not None else None
            if name in (sources := sources_of(ctx)).found_in and not _on_the_line(ctx, name):
                kind, where = sources.found_in[name]
                error.param_hint = where if kind == "variable" else f"{flag_name(error.param)} in {where}"
            raise

    def make_parser(self, ctx: click.Context) -> Any:
        parser = super().make_parser(ctx)
        for option in options_of(self):
            if option.is_bool_flag and not option.secondary_opts and option.name not in NOT_IN_FILE:
                parser.add_option(
                    option, [f"--no-{flag_name(option)}"], dest=option.name, action="store_const", const=False
                )
        return parser


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--config, read before every other option."""
    return click.option(
        "--config", metavar="FILE", is_eager=True, expose_value=False, callback=_read_sources, type=click.Path(),
        help="Options in TOML: keys are the flags' names.",
    )(command)  # fmt: skip


def sources_of(ctx: click.Context) -> Sources:
    found: Sources = ctx.meta.setdefault(__name__, Sources())
    return found


def options_of(command: click.Command) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option)]


def flag_name(option: click.Parameter | None) -> str:
    """`key-file` of `--key-file`: the key in the file."""
    return "" if option is None else max(option.opts, key=len).removeprefix("--")


def variable_name(option: click.Option) -> str:
    return PREFIX + flag_name(option).replace("-", "_").upper()


def in_force(ctx: click.Context) -> tuple[OptionInForce, ...]:
    """Every option of this command line with its value and where that is from."""
    return _in_force(ctx, sources_of(ctx))


def reread(ctx: click.Context) -> tuple[OptionInForce, ...]:
    """The same with the file read again, as a restart would have it. Raises BadConfig or CannotStart."""
    before = sources_of(ctx)
    now = _read(ctx.command, before.file)
    try:
        return _in_force(ctx, now)
    except click.BadParameter as error:
        raise BadConfig(error.format_message()) from None


# -- reading -----------------------------------------------------------------------------------------------------------


def _read_sources(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if ctx.resilient_parsing:
        return
    path = value if _on_the_line(ctx, param.name) else os.environ.get(PREFIX + "CONFIG") or None
    if path == "":
        raise click.BadParameter("it is empty: name a file, or leave it out", param=param)
    sources = _read(ctx.command, path)
    ctx.meta[__name__] = sources
    ctx.default_map = sources.values


def _read(command: click.Command, path: str | None) -> Sources:
    options = {flag_name(option): option for option in options_of(command) if option.name not in NOT_IN_FILE}
    sources = Sources(path)
    if path is not None:
        for key, value in _toml(path).items():
            option = options.get(key)
            if option is None:
                raise BadConfig(f"config file {path}: {key[:80]!r} is not an option of {command.name}"
                                f"{_suggest(key.replace('_', '-'), options)}")  # fmt: skip
            _put(sources, option, _from_file(option, value, f"config file {path}"), "file", path)
    named = {variable_name(option): option for option in options.values()}
    for variable, text in sorted(os.environ.items()):
        if not variable.startswith(PREFIX) or not text or variable in (*WITHOUT_FLAG, PREFIX + "CONFIG"):
            continue
        option = named.get(variable)
        if option is not None and not (variable == PREFIX + "PORT" and _ADDRESS_OF_A_SERVICE.match(text)):
            _put(sources, option, text.split() if option.multiple else text, "variable", variable)
        elif _FOR_A_SERVICE.fullmatch(variable.removeprefix(PREFIX)):
            sources.ignored.append((variable, "Kubernetes sets it for a Service of that name"))
        else:
            sources.ignored.append((variable, f"it is not an option of {command.name}{_suggest(variable, named)}"))
    return sources


def _put(sources: Sources, option: click.Option, value: Any, kind: str, where: str) -> None:
    assert option.name is not None
    sources.values[option.name] = value
    sources.found_in[option.name] = kind, where


def _toml(path: str) -> dict[str, Any]:
    import tomllib  # not for a sidecar without such a file

    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        number, why = (error.errno, error.strerror) if isinstance(error, OSError) else (None, error)
        raise cannot_start(f"config file {path}: {why}", number) from None
    if len(data) > MAX_FILE_BYTES:
        raise BadConfig(f"config file {path}: over {MAX_FILE_BYTES} bytes")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadConfig(f"config file {path}: not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise BadConfig(f"config file {path}: not TOML: {' '.join(str(error).split())[:200]}") from None


def _from_file(option: click.Option, value: Any, where: str) -> Any:
    """The value in the form that click takes. Raises BadConfig for one of another type."""
    key = flag_name(option)
    if option.callback is pairs and type(value) is dict and all(type(text) is str for text in value.values()):
        value = [f"{name}={text}" for name, text in value.items()]  # label = { rack = "7" }
    takes, wanted = _wanted(option)
    values = value if option.multiple and type(value) is list else [value]
    if not all(type(one) in takes and "\0" not in str(one) for one in values):  # no path and no name has a zero byte
        raise BadConfig(f"{where}: {key} is {str(value)[:80]!r}, and it takes {wanted}")
    return values if option.multiple else value


def _wanted(option: click.Option) -> tuple[tuple[type, ...], str]:
    if option.is_bool_flag:
        return (bool,), "true or false"
    if isinstance(option.type, click.types.IntParamType):
        return (int,), "a whole number"
    if isinstance(option.type, Duration):
        return (str, int, float), 'a duration as "5s"'
    if isinstance(option.type, Size):
        return (str, int), 'a size as "1GiB"'
    return (str,), "texts in quotes" if option.multiple else "a text in quotes"


def _suggest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # needed only after a mistake

    close = get_close_matches(name, list(known), n=1)
    return f": did you mean {close[0]}?" if close else ""


# -- what is in force --------------------------------------------------------------------------------------------------


def _in_force(ctx: click.Context, sources: Sources) -> tuple[OptionInForce, ...]:
    return tuple(
        _one_in_force(ctx, option, sources) for option in options_of(ctx.command) if option.name not in NOT_IN_FILE
    )


def _one_in_force(ctx: click.Context, option: click.Option, sources: Sources) -> OptionInForce:
    assert option.name is not None
    if _on_the_line(ctx, option.name):
        given, found_in = ctx.params.get(option.name), ("flag", f"--{flag_name(option)}")
    elif option.name in sources.values:
        given = option.type_cast_value(ctx, sources.values[option.name])
        found_in = sources.found_in[option.name]
    else:
        default = option.get_default(ctx)
        given, found_in = default if isinstance(default, str | int | float) else None, ("default", "")
    if option.name in ("socket", "json"):  # they stand before the command too, and are no parameters of it
        given = getattr(ctx.ensure_object(Chosen), option.name)
        if given and given != sources.values.get(option.name):
            found_in = "flag", f"--{option.name}"
    return OptionInForce(flag_name(option), _shown(option, given), *found_in)


def _shown(option: click.Option, value: Any) -> Any:
    """As it is written in a file."""
    if isinstance(value, dict):
        return [f"{key}={text}" for key, text in value.items()]
    if isinstance(value, tuple | list):
        return [str(one) for one in value]
    if isinstance(option.type, Duration) and value is not None:
        return value if isinstance(value, str) else shown_duration(value)
    if isinstance(option.type, Size) and isinstance(value, int):
        return shown_size(value)
    if option.is_bool_flag:
        return bool(value)
    return [] if option.multiple and value is None else value


def _on_the_line(ctx: click.Context, name: str | None) -> bool:
    return name is not None and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
