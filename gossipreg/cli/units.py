"""Options whose values have units: durations."""

from typing import Any

import click

from gossipreg.durations import MAX_S, parse_duration


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic for mypy alone before click 8.3
    """An option's value in seconds, at most `max_s`."""

    name = "duration"

    def __init__(self, max_s: float = MAX_S) -> None:
        self.max_s = max_s

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = parse_duration(value) if isinstance(value, str) else float(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if seconds > self.max_s:
            self.fail(f"{value!r} is too long: at most {self.max_s:g}s", param, ctx)
        return seconds
