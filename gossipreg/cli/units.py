"""Options whose values have units, or are one of a few numbers: durations, sizes."""

from typing import Any

import click

from gossipreg.durations import MAX_S, parse_duration
from gossipreg.sizes import parse_size


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


class Size(click.ParamType):  # type: ignore[type-arg]  # generic for mypy alone before click 8.3
    """An option's value in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return parse_size(value if isinstance(value, str) else str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class OneOf(click.types.IntParamType):
    """A whole number, one of these."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if number not in self.numbers:
            self.fail(f"{number} is none of {', '.join(map(str, self.numbers))}", param, ctx)
        return number
