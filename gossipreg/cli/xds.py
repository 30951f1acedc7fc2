"""`gossipreg xds`: who follows this sidecar by xDS, and how a client begins to."""

from collections.abc import Iterator
from typing import Any

import click

from gossipreg.cli.complete import complete_service
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_line, print_table, printable, short_duration
from gossipreg.cli.xds_bootstrap import bootstrap

PAGE = 100
VERSION_SHOWN = 8
"""Characters of a version: enough to see whether two are equal; the JSON has all."""
NAMES_SHOWN = 4
TEXT_SHOWN = 40
"""Characters of what a client says of itself, and of a name: one long text would make all lines long."""


@click.group(
    epilog="""\b
    Example: a gRPC client in Python, which then calls xds:///billing; and an Envoy.
      export GRPC_XDS_BOOTSTRAP_CONFIG="$(gossipreg xds bootstrap --grpc)"
      gossipreg xds bootstrap --envoy > envoy.json; envoy -c envoy.json
      gossipreg xds show billing
    """
)
@client_options
def xds() -> None:
    """Look after the gRPC clients and Envoys that follow this sidecar (`join --xds`)."""


xds.add_command(bootstrap)


@xds.command(
    epilog="""\b
    Example:
      gossipreg xds show
      gossipreg xds show billing --client shop
    """
)
@click.argument("name", required=False, metavar="[NAME]", shell_complete=complete_service)
@click.option("--client", metavar="TEXT", help="Only clients with this in their id, or with this address.")
@client_options
@pass_chosen
def show(chosen: Chosen, name: str | None, client: str | None) -> None:
    """List what each client is subscribed to, or with NAME only those that are subscribed to it.

    SENT and ACKED are the versions of the last response and of the last that the client accepted; a refusal follows
    with the client's own words, and it keeps what it had. A gRPC program in Python or C++ is a line for each name.
    """
    clients = list(_clients(chosen, {"name": name, "client": client}))
    if chosen.json:
        print_json(clients)
        return
    print_table(
        ("CLIENT", "KIND", "VERSION", "ZONE", "PEER", "SINCE", "TYPE", "SENT", "ACKED", "NAMES"),
        (
            (
                _cut(one["id"]), one["kind"], _cut(one["version"]), _cut(one["zone"]), one["peer"],
                short_duration(one["since_s"]),
                *_type_cells(of_type),
            )
            for one in clients
            for of_type in one["types"] or [None]
        ),
    )  # fmt: skip
    if not clients:
        click.echo(_why_none(name, client), err=True)
    for line in (*_refusals(clients), *_withheld(clients)):
        print_line(printable(line))


def _why_none(name: str | None, client: str | None) -> str:
    """What a table without a line means."""
    if name is None and client is None:
        return "no client follows this sidecar: `gossipreg xds bootstrap` prints what one begins with"
    found = "no client" if client is None else f"no client with {printable(client)!r} in its id or as its address"
    return f"{found} follows this sidecar" if name is None else f"{found} is subscribed to {printable(name)}"


def _clients(chosen: Chosen, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    given = {key: value for key, value in wanted.items() if value is not None}
    after = 0
    with chosen.client() as client:
        while page := client.call("xds-show", limit=PAGE, after=after, **given)["clients"]:
            yield from page
            after = page[-1]["number"]


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_SHOWN else f"{text[: TEXT_SHOWN - 3]}..."


def _type_cells(of_type: dict[str, Any] | None) -> tuple[object, ...]:
    if of_type is None:
        return (None, None, None, None)
    names = of_type["names"]
    more = f" and {of_type['total'] - NAMES_SHOWN} more" if of_type["total"] > NAMES_SHOWN else ""
    shown = [_cut(name) for name in names][: NAMES_SHOWN + (names[:1] == ["*"])]
    return (
        of_type["type"], of_type["sent"][:VERSION_SHOWN], of_type["acked"][:VERSION_SHOWN], f"{' '.join(shown)}{more}",
    )  # fmt: skip


def _refusals(clients: list[dict[str, Any]]) -> Iterator[str]:
    for one in clients:
        for of_type in one["types"]:
            for refused in of_type["refused"]:
                what = f"{of_type['type']} {' '.join(refused['names'][:NAMES_SHOWN])}"
                yield f"{one['id']} refuses {what} in version {refused['version'][:VERSION_SHOWN]}: {refused['why']}"


def _withheld(clients: list[dict[str, Any]]) -> Iterator[str]:
    for one in clients:
        for why in one["withheld"]:
            yield f"{one['id']} does not get what it asks for: {why}"
