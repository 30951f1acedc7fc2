"""`gossipreg register NAME --port P`."""

from typing import Any

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen, service_options, service_params
from gossipreg.cli.output import flush, print_json, print_line, printable


@click.command(
    epilog="""\b
    Example:
      gossipreg register billing --port 8080 --tag v2 --meta region=eu
      gossipreg register billing --port 8080 --check http://127.0.0.1:8080/health,interval=5s
    """
)
@click.argument("name")
@click.option("--attach", is_flag=True, help="Stay, and take it out again when this process ends.")
@service_options(required=True)
@client_options
@pass_chosen
def register(chosen: Chosen, /, name: str, attach: bool, **flags: Any) -> int:
    """Register the service NAME with the sidecar, or update the one of that id. Prints its id.

    With --attach, exit code 1 when somebody else takes it out or registers it anew.
    """
    params = {"name": name, **service_params(flags)}
    if not attach:
        with chosen.client() as client:
            _show(chosen, client.call("register", **params))
        return 0
    from gossipreg.cli.attached import Attached

    with Attached(chosen, params) as attached:
        _show(chosen, attached.register())
        flush()
        return 0 if attached.keep() else 1


def _show(chosen: Chosen, result: dict[str, Any]) -> None:
    if chosen.json:
        print_json(result)
    else:
        print_line(printable(result["id"]))
