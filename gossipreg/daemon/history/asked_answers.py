"""What members answer to the questions `clock` and `history`: read before it is joined and shown."""

from math import isfinite
from typing import Any


def is_history_answer(result: Any) -> bool:
    """Whether this is an answer to `history` that can be joined and shown."""
    if not is_clock_answer(result):
        return False
    lines, ages, runs = result.get("lines"), result.get("ages"), result.get("runs")
    if type(lines) is not list or type(ages) is not list or type(runs) is not list or len(lines) != len(ages):
        return False
    kept = result.get("kept_age_s")
    return (
        all(map(_is_line, lines)) and all(map(_is_number, ages)) and type(result.get("left_out")) is bool
        and all(type(run) is list and len(run) == 2 and _is_number(run[0]) and type(run[1]) is str for run in runs)
        and (kept is None or _is_number(kept)) and type(result.get("fault")) is str
    )  # fmt: skip


def is_clock_answer(result: Any) -> bool:
    return type(result) is dict and _is_number(result.get("received")) and _is_number(result.get("answered"))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and isfinite(value) and abs(value) < 1e12


def _is_line(line: Any) -> bool:
    if type(line) is not dict or type(line.get("seq")) is not int or not _is_number(line.get("at")):
        return False
    about = line.get("member")
    texts = all(type(line.get(name)) is str for name in ("kind", "level", "message"))
    return texts and (about is None or (type(about) is dict and all(type(about.get(n)) is str for n in ("id", "name"))))
