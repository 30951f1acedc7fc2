"""Moments in the past as people write them: `8h` ago, `02:00`, `2026-11-30T02:00`, with or without a zone.

Local time, as the clock on the wall has it. A time of day without a date is the last one that was.
"""

import re
from datetime import datetime, timedelta
from typing import Any

import click

from gossipreg.durations import parse_duration

_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")


def parse_moment(text: str, now: datetime) -> float:
    """Seconds since 1970. `now` has a zone. Raises ValueError."""
    text = text.strip()
    if _TIME.fullmatch(text):
        hour, minute, *second = map(int, text.split(":"))
        try:
            found = now.replace(hour=hour, minute=minute, second=second[0] if second else 0, microsecond=0)
        except ValueError:
            raise ValueError(f"{text!r} is no time of day") from None
        return (found if found <= now else found - timedelta(days=1)).timestamp()
    if "-" in text:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text!r} is no date: write 2026-11-30, or 2026-11-30T02:00") from None
        return (found if found.tzinfo is not None else found.astimezone()).timestamp()
    try:
        return now.timestamp() - parse_duration(text)
    except ValueError:
        raise ValueError(f"{text!r} is no moment: write 8h (ago), 02:00, or 2026-11-30T02:00") from None


class PastMoment(click.ParamType):  # type: ignore[type-arg]  # generic for mypy alone before click 8.3
    """An option's value in seconds since 1970."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return value if isinstance(value, float) else parse_moment(str(value), datetime.now().astimezone())
        except ValueError as error:
            self.fail(str(error), param, ctx)
