"""`gossipreg xds bootstrap`: the file with which a gRPC client or an Envoy begins to follow this sidecar."""

import json
import socket
from pathlib import Path
from typing import Any

import click

from gossipreg.cli.complete import complete_service, complete_zone
from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_line
from gossipreg.cli.xds_forms import UNIX, as_yaml, envoy_bootstrap, grpc_bootstrap, local_address
from gossipreg.errors import BadParams


@click.command(
    epilog="""\b
    Example:
      export GRPC_XDS_BOOTSTRAP_CONFIG="$(gossipreg xds bootstrap)"
      gossipreg xds bootstrap --envoy --delta --yaml > envoy.yaml
    """
)
@click.option("--grpc", "form", flag_value="grpc", default=True, help="For gRPC clients in any language (the default).")
@click.option("--envoy", "form", flag_value="envoy", help="For Envoy.")
@click.option("--node-id", metavar="ID", help="The client's name in `xds show` (the name of this host).")
@click.option("--zone", metavar="Z", shell_complete=complete_zone, help="The zone of the client (that of the sidecar).")
@click.option("--address", metavar="HOST:PORT|unix:PATH", help="Of several addresses of --xds this one (the first).")
@click.option("--delta", is_flag=True, help="With --envoy: only changes are sent.")
@click.option(
    "--admin-port", metavar="P", type=click.IntRange(1, 65535), help="With --envoy: of its admin pages (9901)."
)
@click.option("--yaml", is_flag=True, help="With --envoy: YAML in place of JSON.")
@click.option(
    "--service",
    metavar="NAME",
    shell_complete=complete_service,
    help="With --envoy: it is the Envoy of this service, with mutual TLS (--xds-tls).",
)
@client_options
@pass_chosen
def bootstrap(
    chosen: Chosen, form: str, node_id: str | None, zone: str | None, address: str | None, delta: bool,
    admin_port: int | None, yaml: bool, service: str | None,
) -> None:  # fmt: skip
    """Print a bootstrap for a client on this host, with the address and the zone of the running sidecar.

    gRPC clients take it from GRPC_XDS_BOOTSTRAP_CONFIG, or from the file that GRPC_XDS_BOOTSTRAP names.
    """
    for flag, given in (
        ("--delta", delta),
        ("--admin-port", admin_port is not None),
        ("--yaml", yaml),
        ("--service", service),
    ):
        if given and form != "envoy":
            raise click.UsageError(f"{flag} is for Envoy: add --envoy, or leave it out.")
    if node_id == "":
        raise click.UsageError("--node-id is empty: give the client a name, or leave it out.")
    with chosen.client() as client:
        sidecar = client.call("xds-show", limit=1)
    addresses = sidecar["addresses"] if service is None else _with_tls(sidecar)
    at = _chosen_address(addresses, address)
    node: dict[str, Any] = {
        "id": node_id or socket.gethostname() or "client",
        "locality": {"zone": sidecar["zone"] if zone is None else zone},
    }
    if service is not None:
        node["metadata"] = {"gossipreg": {"service": service}}
    made: dict[str, Any]
    if form == "envoy":
        made = envoy_bootstrap(at, node, delta=delta, admin_port=admin_port or 9901, local=sidecar["local_cluster"])
    else:
        made = grpc_bootstrap(at, node)
    print_line(as_yaml(made).rstrip("\n") if yaml else json.dumps(made, indent=None if form == "grpc" else 2))


def _with_tls(sidecar: dict[str, Any]) -> list[str]:
    """The addresses at which it hands out certificates. Raises BadParams if there are none."""
    if not sidecar["tls"]:
        raise BadParams("this sidecar hands out no certificates: start it with --xds-tls, or leave out --service")
    return [one for one in sidecar["addresses"] if one.startswith(UNIX)]


def _chosen_address(addresses: list[str], wanted: str | None) -> str:
    """Raises BadParams if the sidecar does not listen there."""
    if wanted is None:
        return local_address(addresses[0])
    if wanted.startswith(UNIX):
        wanted = f"{UNIX}{Path(wanted.removeprefix(UNIX)).absolute()}"
    if wanted not in addresses:
        raise BadParams(f"this sidecar does not answer xDS at {wanted}: choose from {', '.join(addresses)}")
    return local_address(wanted)
