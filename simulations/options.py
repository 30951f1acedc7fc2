"""The options that `run` and `sweep` share: how they are declared, and which values a scenario takes.

Owns: the checks of one option, of several together, and against one scenario. They raise click.UsageError, whose
message is one line for the user. Never knows: how a case is run.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from gossipreg.config import lan
from gossipreg.errors import BadConfig
from simulations import plots
from simulations.scenario import DETECTORS, Case, Scenario
from simulations.settings import applied

_F = TypeVar("_F", bound=Callable[..., object])


def _share(_: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Parse a share: 0.05, or 5%."""
    if value is None:
        return None
    try:
        share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise click.BadParameter(f"{value!r} is not a share from 0 to 1: say 0.05 or 5%", param=param)
    return share


def _label(_: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Parse key=value key=value; `check` tests the values once the scenario is known."""
    if value is None:
        return None
    for part in value.split():
        key, _equals, said = part.partition("=")
        if not (key and said):
            raise click.BadParameter(f"{part!r} is not KEY=NUMBER", param=param)
    return " ".join(value.split())


def _settings(_: click.Context, param: click.Parameter, value: tuple[str, ...]) -> str | None:
    """Parse field=value field=value."""
    text = " ".join("".join(one.split()) for one in value)
    try:
        applied(lan, text)
    except BadConfig as error:
        raise click.BadParameter(str(error), param=param) from None
    return text or None


def finite(_: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value!r} is not a finite number", param=param)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The options that `run` and `sweep` share."""

    given: dict[str, Any]
    """The options of the case, by the names of Case's fields."""
    runs: int | None
    jobs: int
    out: Path | None
    plot: bool


_CASE_OPTIONS = (
    click.option("--nodes", type=click.IntRange(1), help="Members."),
    click.option("--seed", type=click.IntRange(0), help="The first seed; the runs take the next ones."),
    click.option("--runs", type=click.IntRange(1), help="The number of seeds.  [default: 1]"),
    click.option(
        "--duration",
        "duration_s",
        type=click.FloatRange(0, min_open=True),
        callback=finite,
        help="Seconds of virtual time; `list NAME` says what they limit.",
    ),
    click.option("--detector", type=click.Choice(list(DETECTORS))),
    click.option("--loss", callback=_share, help="The share of datagrams that the network loses: 0.05, or 5%."),
    click.option(
        "--label",
        callback=_label,
        metavar="'KEY=NUMBER ...'",
        help="The scenario's own options; they replace its defaults.",
    ),
    click.option(
        "--set",
        "settings",
        callback=_settings,
        multiple=True,
        metavar="FIELD=VALUE",
        help="Change a field of gossipreg.config.Config; repeatable.",
    ),
    click.option(
        "--jobs",
        type=click.IntRange(1),
        default=os.cpu_count() or 1,
        show_default="all cores",
        help="Processes.",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Write NAME.jsonl there; an old one is replaced.",
    ),
    click.option("--plot", is_flag=True, help="... and NAME-*.png."),
)
"""The options of one case, and those for its figures."""


def case_options(command: _F) -> _F:
    """Declare all of `_CASE_OPTIONS`."""
    for option in reversed(_CASE_OPTIONS):
        command = option(command)
    return command


def chosen_of(runs: int | None, jobs: int, out: Path | None, plot: bool, **given: Any) -> Chosen:
    if plot and out is None:
        raise click.UsageError("--plot needs --out DIR")
    if plot:
        plots.need()
    return Chosen(
        given={name: value for name, value in given.items() if value is not None},
        runs=runs,
        jobs=jobs,
        out=out,
        plot=plot,
    )


def check(scenario: Scenario, given: dict[str, Any]) -> None:
    """Check what depends on the scenario: its least number of members, the keys of its label."""
    if given.get("nodes", scenario.nodes_min) < scenario.nodes_min:
        raise click.UsageError(f"{scenario.name} takes {scenario.nodes_min} members or more")
    for part in given.get("label", "").split():
        _check_part(scenario, part)


def _check_part(scenario: Scenario, part: str) -> None:
    """One key=value of the label."""
    key, _equals, said = part.partition("=")
    if key in scenario.words:
        if said not in scenario.words[key]:
            raise click.UsageError(f"{part!r}: choose {key} from {', '.join(scenario.words[key])}")
        return
    if key not in scenario.numbers:
        known = ", ".join([*scenario.words, *scenario.numbers])
        raise click.UsageError(
            f"the label of {scenario.name} has no {key}" + (f": choose from {known}" if known else "")
        )
    try:
        number = float(said)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise click.UsageError(f"{part!r} is not KEY=NUMBER")
    least, most = scenario.numbers[key]
    if not least <= number <= most:
        raise click.UsageError(f"{part!r}: {key} is from {least:g}" + (f" to {most:g}" if most < math.inf else " on"))


def part_of_plan(scenario: Scenario, base: Case, only: str) -> Case:
    """Return this case with only that part of its plan that `--only` names."""
    if scenario.draw is None:
        raise click.UsageError(f"{scenario.name} has no plan, so --only does not apply")
    part = replace(base, label=f"{base.label} only={''.join(only.split())}".strip())
    try:
        scenario.draw(part)
    except ValueError as error:
        raise click.UsageError(f"--only: {error}") from None
    return part
