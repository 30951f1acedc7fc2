"""`gossipreg saga run FILE`: begin a declared saga, and wait for its decision."""

import sys
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from gossipreg.cli.call_spans import trace_of_environment
from gossipreg.cli.exit_codes import REFUSED, UNREACHABLE
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line, printable, say, say_error
from gossipreg.cli.saga_asking import ANSWER_S, LOST_S, PASSING, SidecarAway, SidecarLost, await_saga, is_over
from gossipreg.cli.saga_json import story_json
from gossipreg.cli.units import Duration
from gossipreg.errors import OutcomeUnknown, RequestError, Unreachable

if TYPE_CHECKING:
    from gossipreg.sagas.saga_definition import SagaDefinition

MORE_S = 30.0
"""The wait for a decision beyond the saga's own timeout: a new leader of its journal counts that anew."""
NOTE_S = 3.0
"""After this a person at a terminal wants to know what a command waits for."""
ID_BYTES = 8


@click.command(
    epilog="""\b
    Example:
      gossipreg saga run order.toml --input '{"sku": "a-1", "count": 2}' --id order-7
      ./next-order | gossipreg saga run order.toml --input - --no-wait
    """
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True))
@click.option("--input", "given", metavar="JSON|@FILE|-", help="What its templates name as {input...} (null).")
@click.option(
    "--id", metavar="ID", help="Its id, of letters, digits and _:@=+-. : the same again is not run again (drawn)."
)
@click.option("--wait/--no-wait", default=True, help="Wait for the decision (yes), or only until it is durable.")
@click.option(
    "--until", type=click.Choice(("decided", "ended")), default="decided", help="What is waited for (decided)."
)
@click.option("--timeout", metavar="DURATION", type=Duration(), help="Wait at most this (its own timeout and 30s).")
@client_options
@pass_chosen
def run(
    chosen: Chosen, file: str, given: str | None, id: str | None, wait: bool, until: str, timeout: float | None
) -> int:  # fmt: skip
    """Begin the saga that FILE (- reads it from stdin) declares, in TOML or JSON, and print its name.

    Exit code 0 if it has committed, 1 if it was aborted, and so is undone, 4 if it did not begin, or was not decided in
    time: then it goes on, and `gossipreg saga show` tells. So it does after Ctrl-C, which ends the wait alone, and
    after 3: the sidecar is lost, so ask another one. The name is on stderr before the wait.
    `gossipreg docs saga-definitions` describes the file.
    """
    from gossipreg.sagas.saga_definition import encode_definition

    if id == "":
        raise click.UsageError("--id is empty: leave it out to have one drawn.")
    if file == given == "-":
        raise click.UsageError("FILE and --input cannot both be read from stdin: give one of them as a file.")
    definition, data = _read(file), _input(given)
    _check(definition, data, file)
    begun = _begin(chosen, id or token_hex(ID_BYTES), encode_definition(definition), data)
    if not wait:
        if chosen.json:
            print_json(begun)
        else:
            print_line(begun["saga"])
        return 0
    if not begun.get("exists") and not chosen.json:
        say(f"begun {printable(begun['saga'])}")
    most_s = definition.timeout_ms / 1000 + MORE_S
    return _wait(chosen, begun["saga"], until, most_s if timeout is None else timeout)


def _read(file: str) -> "SagaDefinition":
    """Raises UsageError."""
    from gossipreg.sagas.saga_definition import MAX_FILE_BYTES, read_definition

    path = Path(file)
    try:
        with click.open_file(file, "rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        return read_definition(data, toml=not _is_json(path, data))
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}") from None
    except RequestError as error:
        raise click.UsageError(printable(f"{_shown(file)}: {error}")) from None


def _shown(file: str) -> str:
    return "stdin" if file == "-" else file


def _is_json(path: Path, data: bytes) -> bool:
    suffix = path.suffix.lower()
    return suffix == ".json" or (suffix != ".toml" and data.lstrip().startswith(b"{"))


def _input(given: str | None) -> bytes:
    """Raises UsageError."""
    from gossipreg.sagas.saga_model import MAX_INPUT_BYTES

    if given is None:
        return b"null"
    try:
        if given == "-":
            data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        elif given.startswith("@"):
            with Path(given[1:]).open("rb") as opened:
                data = opened.read(MAX_INPUT_BYTES + 1)
        else:
            data = given.encode(errors="surrogateescape")
    except OSError as error:
        raise click.UsageError(f"--input: {given} cannot be read: {error.strerror}") from None
    if len(data) > MAX_INPUT_BYTES:
        raise click.UsageError(
            f"--input has more than {MAX_INPUT_BYTES} bytes: give names of what is large, not all of it"
        )
    return data.strip()


def _check(definition: "SagaDefinition", data: bytes, file: str) -> None:
    """Raises UsageError."""
    from gossipreg.sagas.saga_definition import check_input

    try:
        check_input(definition, data)
    except RequestError as error:
        what = "--input" if str(error).startswith("the input ") else f"{_shown(file)} and --input do not fit"
        raise click.UsageError(printable(f"{what}: {error}")) from None


def _begin(chosen: Chosen, id: str, definition: bytes, data: bytes) -> dict[str, Any]:
    """A saga that was begun before, by the same command, is waited for as well."""
    try:
        with chosen.client(ANSWER_S) as client:
            trace = trace_of_environment()
            more = {} if trace is None else dict(trace.headers())
            begun: dict[str, Any] = client.call("saga-run", definition=definition, id=id, input=data, **more)
    except OutcomeUnknown as error:
        raise OutcomeUnknown(f"{error}; {_again(id)}") from None
    except Unreachable as error:
        if not str(error).startswith("the sidecar on"):
            raise  # it was never reached
        raise Unreachable(f"{error}; it may have begun: {_again(id)}") from None
    except KeyboardInterrupt:
        say(f"interrupted: it may have begun: {_again(id)}")
        raise
    if begun.get("exists"):
        say(f"saga {printable(begun['saga'])} was begun before: it is not run again")
    return begun


def _again(id: str) -> str:
    """An id is unique in one journal, and another sidecar begins sagas in another one."""
    return f"run it again at the same sidecar with --id {id}, which begins it once"


def _watched(chosen: Chosen, saga: str, until: str, timeout_s: float) -> dict[str, Any]:
    """Wait as `await_saga` does. A person at a terminal is told once what it waits for, and everybody at once that the
    sidecar is lost."""

    def tell(error: Unreachable) -> None:
        if not chosen.json:
            say(f"{printable(error)}; waiting up to {LOST_S:g} s for it to come back, {saga} goes on")

    away, deadline = SidecarAway(tell), monotonic() + timeout_s
    if timeout_s > NOTE_S and not chosen.json and sys.stderr is not None and sys.stderr.isatty():
        with suppress(*PASSING):  # the rest of the time is for that
            story = await_saga(chosen.client, saga, until, NOTE_S, away)
            if is_over(story, until):
                return story
            say(f"{saga} goes on{_so_far(story)}; Ctrl-C ends this wait alone")
    return await_saga(chosen.client, saga, until, max(0.0, deadline - monotonic()), away)


def _elsewhere(saga: str) -> str:
    """What becomes of it where the sidecar is lost, and who tells."""
    return (
        f"{saga} was begun, and goes on where another member has a copy of its journal: `gossipreg --socket PATH saga "
        f"show {saga}` at any other sidecar"
    )


def _so_far(story: dict[str, Any]) -> str:
    """What came of a step that is open, if it was tried and did not do."""
    for step in story["steps"]:
        tried = {"intended": step, "after": step, "undoing": step["undo"]}.get(step["state"])
        if tried and tried["attempts"] and tried["text"]:
            return printable(f" (step {step['name']}, tried {tried['attempts']}x: {tried['text']})")
    return ""


def _wait(chosen: Chosen, saga: str, until: str, timeout_s: float) -> int:
    try:
        story = _watched(chosen, saga, until, timeout_s)
    except (SidecarLost, Unreachable) as error:
        say_error(Unreachable.code, f"{error}; {_elsewhere(saga)}", json=chosen.json)
        return UNREACHABLE
    except PASSING as error:
        say_error(error.code, f"{error}; {saga} was begun and goes on: `gossipreg saga show {saga}`", json=chosen.json)
        return REFUSED
    except KeyboardInterrupt:
        say(f"interrupted: {saga} goes on: `gossipreg saga show {saga}` tells, `gossipreg saga abort {saga}` undoes it")
        raise
    if not is_over(story, until):
        text = f"{saga} is not {until} after {timeout_s:g}s, and goes on{_so_far(story)}: `gossipreg saga show {saga}`"
        say_error(OutcomeUnknown.code, text, json=chosen.json)
        return REFUSED
    committed = story["decision"] == "commit"
    if chosen.json:
        print_json(story_json(story))
    elif committed:
        print_line(f"committed {saga}")
    else:
        print_line(f"aborted {saga}: {printable(story['reason'])}")
        if left := [printable(step["name"]) for step in story["steps"] if step["state"] == "not_undone"]:
            say(f"{', '.join(left)} has no undo, and may have happened: look at its service")
    if not chosen.json and (skipped := [printable(one["name"]) for one in story["steps"] if one["state"] == "skipped"]):
        say(f"{', '.join(skipped)} was skipped by hand, so it is not whole: `gossipreg saga show {saga}`")
    return 0 if committed else 1
