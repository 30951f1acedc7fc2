"""How results look: JSON for programs, aligned columns for people. Results go to stdout, everything else to stderr.

Texts in results were chosen by other members. On a terminal, control characters in them could do harm, and a line
break would forge a line: they are shown escaped.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import click

from gossipreg.cli.exit_codes import NOT_WRITTEN


class ReaderGone(Exception):
    """The reader of our stdout has seen enough (`| head -1`): end silently, as every tool of a pipeline does."""


class CannotWrite(click.ClickException):
    """The result cannot be written. It has an exit code of its own, since scripts take 1 for "nothing found"."""

    exit_code = NOT_WRITTEN

    def __init__(self, why: str) -> None:
        super().__init__(f"cannot write the result: {why}")


def printable(text: object) -> str:
    """Make any text one line without control characters; "-" if it is not known or empty."""
    shown = "-" if text is None or text == "" else str(text)
    return shown if shown.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)


def print_line(text: str) -> None:
    """Print a line of the result. Characters that the encoding of stdout lacks are escaped."""
    if sys.stdout is None:
        raise CannotWrite("stdout is closed")
    try:
        try:
            sys.stdout.write(f"{text}\n")
        except UnicodeEncodeError:
            sys.stdout.write(f"{ascii(text)[1:-1]}\n")
    except OSError as error:
        raise lost(error) from None


def flush() -> None:
    """Write out what is buffered. Raises ReaderGone, or CannotWrite: a full disk, a closed stdout."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        raise lost(error) from None


def lost(error: OSError) -> ReaderGone | CannotWrite:
    """Return what to raise for a result that cannot be written. What is still in the buffer is thrown away."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    return ReaderGone() if isinstance(error, BrokenPipeError) else CannotWrite(error.strerror or str(error))


def print_json(value: Any) -> None:
    import json  # a plain `lookup` does not need it

    print_line(json.dumps(value))  # ASCII: safe in every encoding


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their widest cell, two spaces apart; numbers to the right."""
    lines = [list(row) for row in rows]
    texts = [list(header)] + [[printable(cell) for cell in row] for row in lines]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    right = [any(isinstance(line[i], int | float) for line in lines) for i in range(len(header))]
    for text in texts:
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(text, widths, right, strict=True)
        )
        print_line("  ".join(cells).rstrip())


def short_duration(seconds: float) -> str:
    """How long something has lasted, for people: 5s, 3m, 2h, 4d."""
    for unit_s, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit_s:
            return f"{int(seconds // unit_s)}{unit}"
    return f"{int(seconds)}s"


def address_of(instance: dict[str, Any]) -> str:
    """`address:port`, or `[v6]:port`: fit for a URL. The address alone if the service has no port."""
    host = printable(instance["address"])
    if not instance["port"]:
        return host
    return f"[{host}]:{instance['port']}" if ":" in host else f"{host}:{instance['port']}"


def warn_if_not_durable(result: dict[str, Any]) -> None:
    """Warn if the sidecar has done it, but could not write it to the disk yet."""
    if result.get("durable") is False:
        say("Warning: done, but not durable: the data directory cannot be written (see `gossipreg info`); the "
            "sidecar tries again until it can; a restart of the sidecar before that undoes the change")  # fmt: skip


def say(text: str) -> None:
    """Write a line for a person to stderr. If stderr cannot be written, the line is lost, and the exit code remains."""
    with suppress(ReaderGone, CannotWrite):
        flush()  # so that both come in order where they go to one place
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def say_error(code: str, message: str, *, json: bool) -> None:
    """Write an error to stderr: a line for a person, or with `json` an object for a program and nothing else."""
    message = printable(message)
    if json:
        from json import dumps

        say(dumps({"error": {"code": code, "message": message}}))
    else:
        say(f"Error: {message}")
