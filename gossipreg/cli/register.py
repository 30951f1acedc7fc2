"""`gossipreg register NAME --port P`."""

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen, service_options
from gossipreg.cli.output import print_json, print_line, printable


@click.command(
    epilog="""\b
    Example:
      gossipreg register billing --port 8080 --tag v2 --meta region=eu
    """
)
@click.argument("name")
@service_options(required=True)
@client_options
@pass_chosen
def register(
    chosen: Chosen,
    name: str,
    port: int,
    address: str | None,
    id: str | None,
    tags: tuple[str, ...],
    meta: dict[str, str],
    weight: int | None,
) -> None:
    """Register the service NAME with the sidecar, or update the one of that id. Prints its id."""
    params = {"address": address, "id": id, "tags": list(tags) or None, "meta": meta or None, "weight": weight}
    with chosen.client() as client:
        result = client.call(
            "register", name=name, port=port, **{key: value for key, value in params.items() if value is not None}
        )
    if chosen.json:
        print_json(result)
    else:
        print_line(printable(result["id"]))
