"""A saga as lines of text, so that a person sees at a glance what happened.

Owns: which rows there are, their order and marks. Never knows: the terminal; it is told its style.

    head      name, state, times, why
    steps     in the order in which they were taken, each with its answer
    decision  a line between what was done before and after it
    after     of an aborted saga what was undone, of a committed one what came after it; what is open stands last,
              before it what should have come after an aborted one, and is not done
"""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gossipreg.cli.output import printable

HEADER = ("", "STEP", "AT", "TOOK", "STATE", "ANSWER", "TRIED", "COMMAND", "WHY")
TO_THE_RIGHT = frozenset(("AT", "TOOK", "ANSWER", "TRIED"))
SHOWN_CHARACTERS = 100
"""Of an input, and of a command."""
FAILED_FROM = 300
"""The status of an answer whose body says why."""
GREEN, RED, YELLOW, DIM = "32", "31", "33", "2"
_MARKS = {
    "done": ("✓", "+", GREEN), "after_done": ("✓", "+", GREEN), "undone": ("↩", "<", YELLOW),
    "not_undone": ("!", "!", RED),
    "refused": ("✗", "x", RED), "unknown": ("?", "?", RED), "skipped": ("-", "-", YELLOW), "stuck": ("!", "!", RED),
    "not_done": ("-", "-", DIM), "open": ("…", ".", DIM),
}  # fmt: skip
"""By state: the mark, in UTF-8 and without, and its colour."""
_DECIDED = ("undoing", "undone", "not_undone", "skipped")
"""States that say what became of a step after the abort."""
_HARMLESS = "nothing to undo"


@dataclass(frozen=True, slots=True)
class Style:
    utf8: bool = True
    colours: bool = False

    def mark(self, state: str) -> tuple[str, str]:
        """The mark of a state, and its colour."""
        fine, plain, colour = _MARKS.get(state, _MARKS["open"])
        return fine if self.utf8 else plain, colour

    def painted(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colours and colour else text


@dataclass(frozen=True, slots=True)
class StepRow:
    """One row; `at_ms` orders those after the decision."""

    mark: str
    colour: str
    cells: tuple[str, ...]
    body: str = ""


def draw(story: dict[str, Any], style: Style, *, answers: bool = False) -> Iterator[str]:
    """The lines of this story, as `saga-show` gives it."""
    yield from _head(story, style)
    before = [_taken(story, step, style) for step in story["steps"] if not step["after"]]
    later = _later(story, style)
    widths = _widths([*before, *later])
    yield ""
    yield _line(HEADER, widths).rstrip()
    yield from _rows(before, widths, style, answers)
    if story["decision"]:
        yield style.painted(_decision(story, style), GREEN if story["decision"] == "commit" else YELLOW)
    yield from _rows(later, widths, style, answers)
    yield from _notes(story)


# -- the head ----------------------------------------------------------------------------------------------------------


def _head(story: dict[str, Any], style: Style) -> Iterator[str]:
    name, kind = printable(story["name"]), story["kind"].replace("_", " ")
    yield f"{name}  {printable(story['saga'])}  ({kind})"
    state, colour = _state(story)
    yield f"  state    {style.painted(state, colour)}"
    yield f"  began    {_clock(story['began'])}"
    if story["ended"]:
        yield f"  ended    {_since(story, story['ended'])}"
    if story["reason"]:
        yield f"  why      {printable(story['reason'])}"
    if story["state"] == "running":
        yield f"  timeout  {_took(story['timeout_ms'])}"
    if story["input"]:
        yield f"  input    {_cut(printable(story['input'].decode(errors='replace')))}"
    if not story["takeover"] and story["state"] != "ended":
        yield "  copies   one: if its host is lost, the saga waits for that disk (see --copies)"


def _state(story: dict[str, Any]) -> tuple[str, str]:
    """In words, and its colour."""
    aborted, steps = story["decision"] == "abort", story["steps"]
    stuck = " (stuck)" if any(step["stuck"] for step in steps) else ""
    match story["state"]:
        case "committed":
            return f"committed, and what comes after it is being done{stuck}", RED if stuck else GREEN
        case "aborted":
            return f"aborted, and being undone{stuck}", RED if stuck else YELLOW
        case "ended" if left := [printable(step["name"]) for step in steps if step["state"] == "not_undone"]:
            return f"aborted, but not whole: {', '.join(left)} has no undo, and may have happened", RED
        case "ended" if any(step["state"] == "skipped" for step in steps):
            return f"{'aborted' if aborted else 'committed'}, but not whole: a person has skipped steps", RED
        case "ended":
            return ("aborted, and undone", YELLOW) if aborted else ("committed", GREEN)
    return "running", ""


def _decision(story: dict[str, Any], style: Style) -> str:
    what = "committed" if story["decision"] == "commit" else "aborted"
    rule = ("─" if style.utf8 else "-") * 3
    at = _since(story, story["decided"])
    return f"{rule} {what} {at} {rule}"


# -- rows --------------------------------------------------------------------------------------------------------------


def _taken(story: dict[str, Any], step: dict[str, Any], style: Style) -> StepRow:
    """What came of its command."""
    state = _came_to(step)
    mark, colour = style.mark(state if state in _MARKS else "open")
    return StepRow(mark, colour, _cells(story, step, step, state, step["intended"], step["service"], step["intended"]),
                   _body(step))  # fmt: skip


def _came_to(step: dict[str, Any]) -> str:
    """The state of its command: that of the step says what was done of it after the decision."""
    if step["state"] not in _DECIDED:
        return "running" if step["state"] == "intended" else str(step["state"])
    return "done" if 200 <= step["status"] < 300 else "unknown"


def _later(story: dict[str, Any], style: Style) -> list[StepRow]:
    """What was done after the decision, in its order, then what never will be, and then what is still to be done."""
    rows: list[tuple[tuple[int, int, int], StepRow]] = []
    for place, step in enumerate(story["steps"]):
        if step["after"]:
            last = 0 if step["settled"] else 1 if story["decision"] == "abort" else 2
            rows.append(((last, step["settled"] or 0, place), _after(story, step, style)))
        elif step["state"] in _DECIDED:
            settled = (step["undo"] or {}).get("settled")
            rows.append(((0 if settled else 2, settled or 0, -place), _undone(story, step, style)))
    return [row for _, row in sorted(rows, key=lambda row: row[0])]


def _after(story: dict[str, Any], step: dict[str, Any], style: Style) -> StepRow:
    waits = {None: "waits", "abort": "not done"}.get(story["decision"], "open")
    state = {"after": waits, "after_done": "done"}.get(step["state"], step["state"])
    mark, colour = style.mark("stuck" if step["stuck"] else "not_done" if state == "not done" else step["state"])
    cells = _cells(story, step, step, _stuck(step, state), _due(story, step), step["service"], story["decided"])
    return StepRow(mark, colour, cells, _body(step))


def _undone(story: dict[str, Any], step: dict[str, Any], style: Style) -> StepRow:
    undo = step["undo"] or {
        "method": "", "path": "", "status": 0, "attempts": 0, "text": _HARMLESS, "settled": story["decided"],
    }  # fmt: skip
    mark, colour = style.mark("stuck" if step["stuck"] else step["state"])
    state = _stuck(step, step["state"].replace("_", " "))
    return StepRow(mark, colour, _cells(story, step, undo, state, _due(story, undo), "", story["decided"]))


def _due(story: dict[str, Any], answer: dict[str, Any]) -> int | None:
    """What follows the decision is due from then on: AT and TOOK add up to when it was settled, as they do above."""
    return story["decided"] if answer["settled"] else None


def _stuck(step: dict[str, Any], state: str) -> str:
    return f"{state} (stuck)" if step["stuck"] else state


def _cells(
    story: dict[str, Any], step: dict[str, Any], answer: dict[str, Any], state: str, at: int | None, service: str,
    since: int | None,
) -> tuple[str, ...]:  # fmt: skip
    """The cells behind the mark. `answer` is the step or its undo; `since`: when it began, as far as it is known."""
    took = _took(answer["settled"] - since) if answer["settled"] and since else "-"
    command = " ".join(part for part in (service, answer["method"], _path(story, step, answer["path"])) if part)
    return (
        printable(step["name"]), _since(story, at), took, state,
        str(answer["status"] or "-"), str(answer["attempts"] or "-"), _cut(printable(command)),
        _why(answer, state),
    )  # fmt: skip


def _why(answer: dict[str, Any], state: str) -> str:
    """Why it is not done: what the sidecar says of it, and how the service's answer begins."""
    if state == "done":
        return ""
    text, body = printable(answer["text"]) if answer["text"] else "", ""
    if answer["status"] >= FAILED_FROM and answer.get("body"):
        body = _body(answer)
    return _cut(": ".join(part for part in (text, body) if part))


def _path(story: dict[str, Any], step: dict[str, Any], path: str) -> str:
    """The path, with the long names that the saga gives as they were written: {key}, {saga}."""
    saga = story["saga"]
    for name, value in (("{key}", f"{saga}/{step['name']}"), ("{saga}", saga)):
        path = path.replace(quote(value, safe=""), name)
    return path


def _body(step: dict[str, Any]) -> str:
    if not step["body"]:
        return ""
    text = step["body"].decode(errors="replace")
    if "json" in step["content_type"]:
        with suppress(ValueError, RecursionError):  # it may not be what it says that it is
            text = json.dumps(json.loads(text), ensure_ascii=False)
    return printable(text) + (" (cut)" if step["cut"] else "")


def _rows(rows: list[StepRow], widths: list[int], style: Style, answers: bool) -> Iterator[str]:
    for row in rows:
        line = _line((row.mark, *row.cells), widths).rstrip()
        yield line.replace(row.mark, style.painted(row.mark, row.colour), 1)
        if answers and row.body:
            yield f"{' ' * (widths[0] + 2)}{row.body}"


def _widths(rows: list[StepRow]) -> list[int]:
    return [max(map(len, column)) for column in zip(HEADER, *((row.mark, *row.cells) for row in rows), strict=True)]


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(
        cell.rjust(width) if name in TO_THE_RIGHT else cell.ljust(width)
        for cell, width, name in zip(cells, widths, HEADER, strict=True)
    )


# -- what people decided, and may decide -------------------------------------------------------------------------------


def _notes(story: dict[str, Any]) -> Iterator[str]:
    notes = [(note["at"], _by_hand(story, step["name"], note)) for step in story["steps"] for note in step["by_hand"]]
    if notes:
        yield ""
        yield "by hand:"
        yield from (text for _, text in sorted(notes))
    saga, stuck = printable(story["saga"]), [step for step in story["steps"] if step["stuck"]]
    unsendable = [printable(step["name"]) for step in stuck if _is_unsendable(step)]
    retried = [printable(step["name"]) for step in stuck if not _is_unsendable(step)]
    if retried:
        yield ""
        yield f"{', '.join(retried)} cannot be finished, and is retried every few minutes. Mend its service, then:"
        yield f"  gossipreg saga retry {saga} {retried[0]}"
        yield f"  gossipreg saga skip {saga} {retried[0]} --why TEXT    leaves it as it is"
    if unsendable:
        yield ""
        yield f"{', '.join(unsendable)} has an undo that cannot be sent, so it is not retried. Undo it by hand, then:"
        yield f"  gossipreg saga skip {saga} {unsendable[0]} --why TEXT"


def _is_unsendable(step: dict[str, Any]) -> bool:
    """Its undo could not be written, so no attempt of it was ever made."""
    return bool(step["undo"]) and step["undo"]["attempts"] == 0 and bool(step["undo"]["text"])


def _by_hand(story: dict[str, Any], step: str, note: dict[str, Any]) -> str:
    what = f"{note['decision'].replace('_', ' ')} of {printable(step)}, by {printable(note['who'])}"
    return f"  {_since(story, note['at'])}  {what}: {printable(note['why'])}"


# -- times -------------------------------------------------------------------------------------------------------------


def _clock(at_ms: int | None) -> str:
    return "-" if not at_ms else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / 1000))


def _since(story: dict[str, Any], at_ms: int | None) -> str:
    """Since the saga began; by the clocks of several hosts, so it may seem to have been before."""
    return "-" if not at_ms or not story["began"] else f"+{max(0, at_ms - story['began']) / 1000:.3f}s"


def _took(ms: float) -> str:
    ms = max(0, ms)
    return f"{ms:.0f}ms" if ms < 10_000 else f"{ms / 1000:.0f}s"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
