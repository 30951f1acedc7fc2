"""The least that is a control plane: state of the world on grpcio, with what it knows from a sidecar's socket.

    python -m scripts.benchmarks.mesh.minimal_control SOCKET PORT

It prints `ready` when it listens. It answers listeners, clusters and assignments by name, as `gateway/xds` does for
gRPC, but knows no zones, no weights, no policy, no bounds and no Envoy.
"""

import asyncio
import sys
import threading
from collections import defaultdict
from typing import Any

import grpc
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import config_source_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import api_listener_pb2, listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import any_pb2

from gossipreg.client import Client

PREFIX = "type.googleapis.com/envoy.config."
LISTENER, CLUSTER = PREFIX + "listener.v3.Listener", PREFIX + "cluster.v3.Cluster"
ENDPOINTS = PREFIX + "endpoint.v3.ClusterLoadAssignment"


def any_of(message: Any) -> Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


class Services:
    """What the sidecar knows, service by service, and who wants to hear of it."""

    def __init__(self) -> None:
        self.instances: defaultdict[str, dict[str, tuple[str, int]]] = defaultdict(dict)
        self.streams: set[asyncio.Queue[str]] = set()

    def changed(self, instance: dict[str, Any], gone: bool) -> None:
        name, key = instance["service"], f"{instance['node']} {instance['id']}"
        if gone or instance["health"] != "passing":
            self.instances[name].pop(key, None)
        else:
            self.instances[name][key] = (instance["address"], instance["port"])
        for stream in self.streams:
            stream.put_nowait(name)


def resource(services: Services, type: str, name: str) -> Any:
    if type == LISTENER:
        router = hcm.HttpFilter(name="router", typed_config=any_of(router_pb2.Router()))
        route = route_pb2.RouteConfiguration(name=name)
        host = route.virtual_hosts.add(name=name, domains=["*"])
        host.routes.add().match.prefix = ""
        host.routes[0].route.cluster = name
        manager = hcm.HttpConnectionManager(route_config=route, http_filters=[router])
        return any_of(
            listener_pb2.Listener(name=name, api_listener=api_listener_pb2.ApiListener(api_listener=any_of(manager)))
        )
    if type == CLUSTER:
        source = config_source_pb2.ConfigSource(ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=2)
        eds = cluster_pb2.Cluster.EdsClusterConfig(eds_config=source)
        return any_of(cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.EDS, eds_cluster_config=eds))
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    locality = assignment.endpoints.add()
    locality.locality.zone = "z"
    locality.load_balancing_weight.value = 1
    for address, port in sorted(services.instances[name].values()):
        where = locality.lb_endpoints.add().endpoint.address.socket_address
        where.address, where.port_value = address, port
    if not locality.lb_endpoints:
        del assignment.endpoints[:]
    return any_of(assignment)


class Ads(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]
    def __init__(self, services: Services) -> None:
        self._services = services

    async def StreamAggregatedResources(self, requests: Any, context: Any) -> None:  # noqa: N802
        asked: dict[str, set[str]] = {}
        nonce = 0
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._services.streams.add(queue)

        async def read() -> None:
            async for request in requests:
                queue.put_nowait(request)
            queue.put_nowait(None)

        reading = asyncio.create_task(read())
        try:
            while (what := await queue.get()) is not None:
                if isinstance(what, str):
                    todo = [(ENDPOINTS, {what})] if what in asked.get(ENDPOINTS, set()) else []
                else:
                    if what.HasField("error_detail"):
                        raise SystemExit(f"a client refused {what.type_url}: {what.error_detail.message}")
                    names = set(what.resource_names)
                    is_new = names != asked.get(what.type_url) or not what.response_nonce
                    asked[what.type_url] = names
                    todo = [(what.type_url, names)] if is_new else []
                for type, names in todo:
                    nonce += 1
                    found = [resource(self._services, type, name) for name in sorted(names)]
                    await context.write(
                        discovery_pb2.DiscoveryResponse(
                            version_info=str(nonce), nonce=str(nonce), type_url=type, resources=found
                        )
                    )
        finally:
            self._services.streams.discard(queue)
            reading.cancel()


async def main(socket: str, port: int) -> None:
    services, loop = Services(), asyncio.get_running_loop()
    known = asyncio.Event()

    def follow() -> None:
        with Client(socket) as client:
            for change in client.watch(None):
                loop.call_soon_threadsafe(take, change)

    def take(change: dict[str, Any]) -> None:
        if change["kind"] == "current":
            for instance in change["instances"]:
                services.changed(instance, gone=False)
            known.set()
        else:
            services.changed(change["instance"], gone=change["kind"] == "removed")

    threading.Thread(target=follow, daemon=True).start()
    await known.wait()
    server = grpc.aio.server()
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(Ads(services), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
