"""`gossipreg events publish TYPE [DATA|-]`."""

import sys
import uuid
from typing import Any

import click

from gossipreg.cli.call_spans import extensions_of_environment
from gossipreg.cli.options import Chosen, client_options, pairs, pass_chosen
from gossipreg.cli.output import print_json, print_line, say
from gossipreg.cli.units import Duration
from gossipreg.errors import OutcomeUnknown, TooLarge, Unreachable
from gossipreg.events.cloud_event import MAX_EVENT_BYTES, check_data_size
from gossipreg.strict_json import json_text

ANSWER_S = 5.0
"""The wait for an answer beyond the timeout."""


@click.command(
    epilog="""\b
    Example:
      gossipreg events publish order.created '{"id": 7}' --key customer-12
      ./report | gossipreg events publish report.ready - --content-type text/csv
    """
)
@click.argument("type")
@click.argument("data", required=False)
@click.option("--key", metavar="K", help="Events with one key are handled in their order.")
@click.option("--id", metavar="ID", help="Its id: the same event, sent again within 10 minutes, counts once (drawn).")
@click.option("--source", metavar="URI", help="Who publishes it (the sidecar's name).")
@click.option("--subject", metavar="TEXT", help="What it is about.")
@click.option("--content-type", metavar="TYPE", help="Of the data (JSON where it is JSON, else text).")
@click.option("--extension", "extensions", metavar="K=V", multiple=True, callback=pairs, help="More; repeatable.")
@click.option(
    "--keep", metavar="DURATION", type=Duration(7 * 86400.0), help="Keep it for new groups, at most 7d (not kept)."
)
@click.option(
    "--timeout", metavar="DURATION", type=Duration(3600.0), default="10s", help="Wait for disks at most this (10s)."
)
@client_options
@pass_chosen
def publish(
    chosen: Chosen, /, type: str, data: str | None, content_type: str | None, timeout: float, **given: Any
) -> None:  # fmt: skip
    """Publish an event of TYPE with DATA, and print its id once it is durable.

    DATA that is - is read from stdin. Any other is the data as it stands: @FILE reads no file, so use - with < FILE.

    Exit code 4 with `outcome_unknown` means that no answer came in time: publish it again with the --id that the
    error names.
    """
    for name, value in {**given, "content-type": content_type}.items():
        if value == "":
            raise click.UsageError(f"--{name} is empty: give it a value, or leave it out.")
    if not timeout:
        raise click.UsageError("--timeout is 0: no disk answers within that, so give more.")
    given["extensions"] = extensions_of_environment(given["extensions"])
    params = {name: value for name, value in given.items() if value not in (None, {})}
    drawn = "id" not in params
    params.setdefault("id", uuid.uuid4().hex)
    if data is not None:
        raw = _from_stdin() if data == "-" else data.encode(errors="surrogateescape")
        check_data_size(len(raw))
        params |= {"data": raw, "datacontenttype": _checked_kind(raw, content_type) or _kind_of(raw)}
    try:
        patient = chosen.patient_client(timeout + ANSWER_S, timeout)
    except Unreachable as error:
        raise Unreachable(f"{error}: the event is not published") from None
    with patient as client:
        try:
            result = client.call("publish", type=type, timeout=timeout, **params)
        except Unreachable as error:
            raise OutcomeUnknown(
                f"{error}: the event may be published or not; publish it again with --id {params['id']}, it counts once"
            ) from None
    if chosen.json:
        print_json(result)
        return
    print_line(result["id"])
    if result["duplicate"]:
        if not drawn:  # else the sidecar itself has sent it again, to the next leader
            say("duplicate: the event with this id is there already, and counts once")
    elif not result["groups"]:
        say("Warning: no group subscribes to it, so nobody gets it")


def _from_stdin() -> bytes:
    """No more than tells that it is too large: it may be a stream that never ends."""
    raw = sys.stdin.buffer.read(MAX_EVENT_BYTES + 1)
    if len(raw) > MAX_EVENT_BYTES:
        raise TooLarge(f"stdin has more than {MAX_EVENT_BYTES} bytes: at most these fit, so publish where the data is")
    return raw


def _checked_kind(data: bytes, kind: str | None) -> str | None:
    """Data that is not what it says that it is would be a dead letter of each group in Python."""
    if kind is not None and kind.partition(";")[0].strip().lower() == "application/json":
        try:
            json_text(data)
        except ValueError as error:
            raise click.UsageError(f"the data is not JSON, though --content-type says so: {error}.") from None
        except RecursionError:
            pass  # too deep for this parser is no fault of it
    return kind


def _kind_of(data: bytes) -> str:
    try:
        json_text(data)
    except (ValueError, RecursionError):
        pass
    else:
        return "application/json"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain"
