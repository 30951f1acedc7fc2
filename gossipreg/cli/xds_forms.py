"""The forms of bootstraps, as values: what gRPC clients read as JSON, and Envoy as JSON or YAML."""

import json
from typing import Any

Form = dict[str, Any]
ADS_CLUSTER = "gossipreg-xds"
"""The name by which Envoy knows this sidecar."""
UNIX = "unix:"
HTTP2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
AGAIN: Form = {"retry_back_off": {"base_interval": "0.5s", "max_interval": "2s"}}
"""When Envoy connects again. Its own rule waits up to 30 s: after 15 s without a sidecar it took 5 to 22 s until it
found the new one, and with this 0.8 s."""
FROM_ADS: Form = {"ads": {}, "resource_api_version": "V3"}


def local_address(address: str) -> str:
    """Where a client on this host reaches a sidecar that listens there: a wildcard is loopback."""
    for wildcard, loopback in (("0.0.0.0:", "127.0.0.1:"), ("[::]:", "[::1]:")):
        if address.startswith(wildcard):
            return loopback + address.removeprefix(wildcard)
    return address


def grpc_bootstrap(address: str, node: Form) -> Form:
    """For `GRPC_XDS_BOOTSTRAP_CONFIG`. With `ignore_resource_deletion` a client that misses a resource keeps it."""
    server = {
        "server_uri": address,
        "channel_creds": [{"type": "insecure"}],
        "server_features": ["xds_v3", "ignore_resource_deletion"],
    }
    return {"xds_servers": [server], "node": node}


def envoy_bootstrap(address: str, node: Form, *, delta: bool, admin_port: int, local: str) -> Form:
    """Listeners, routes, clusters and endpoints come from the sidecar; `local` is the cluster of the callers, which
    Envoy compares with the zones of a service."""
    ads = {
        "api_type": "DELTA_GRPC" if delta else "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": ADS_CLUSTER, "retry_policy": AGAIN}}],
    }
    return {
        "node": {"cluster": "gossipreg", **node},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}}},
        "dynamic_resources": {"ads_config": ads, "lds_config": FROM_ADS, "cds_config": FROM_ADS},
        "cluster_manager": {"local_cluster_name": local},
        "static_resources": {"clusters": [_sidecar(address), _callers(local)]},
    }


def _sidecar(address: str) -> Form:
    endpoint = {"endpoint": {"address": _envoy_address(address)}}
    return {
        "name": ADS_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            HTTP2: {
                "@type": f"type.googleapis.com/{HTTP2}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {"cluster_name": ADS_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _callers(name: str) -> Form:
    return {"name": name, "type": "EDS", "eds_cluster_config": {"eds_config": FROM_ADS}}


def _envoy_address(address: str) -> Form:
    if address.startswith(UNIX):
        return {"pipe": {"path": address.removeprefix(UNIX)}}
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def as_yaml(value: Form, indent: str = "") -> str:
    """A mapping in YAML, with scalars as in JSON, which YAML takes too."""
    return "".join(f"{indent}{_yaml_key(key)}:{_yaml_value(one, indent)}" for key, one in value.items())


def _yaml_key(key: str) -> str:
    return key if key.replace("_", "").replace(".", "").isalnum() else json.dumps(key)


def _yaml_value(value: Any, indent: str) -> str:
    if isinstance(value, dict) and value:
        return f"\n{as_yaml(value, indent + '  ')}"
    if isinstance(value, list) and value:
        return "\n" + "".join(_yaml_item(one, indent + "  ") for one in value)
    return f" {json.dumps(value)}\n"


def _yaml_item(value: Any, indent: str) -> str:
    if not isinstance(value, dict):
        return f"{indent}- {json.dumps(value)}\n"
    body = as_yaml(value, indent + "  ")
    return f"{indent}- {body.removeprefix(indent + '  ')}"
