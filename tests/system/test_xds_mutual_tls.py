"""Who gets certificates over the unix socket of a real sidecar. Two real Envoys: `scripts/checks/mesh/tls_cases.py`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scripts.checks.mesh.tls_mesh import reasons
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import wait_for

SDS = """
import os, queue, sys, grpc
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse
from gossipreg.gateway.xds.model import ResourceType
address, user, *names = sys.argv[1:]
os.setgroups([])
os.setresuid(int(user), int(user), int(user))
channel = grpc.insecure_channel(address)
ads = channel.stream_stream("/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    request_serializer=DiscoveryRequest.SerializeToString, response_deserializer=DiscoveryResponse.FromString)
asked = queue.SimpleQueue()
asked.put(DiscoveryRequest(type_url=ResourceType.SECRET.value, resource_names=names))
print("ready", flush=True)
for response in ads(iter(asked.get, None)):
    print(len(response.resources), flush=True)
"""
CA, WEB = "gossipreg-mesh-ca", "spiffe://default/svc/web"


@contextmanager
def asking(address: str, user: int, *names: str) -> Iterator["subprocess.Popen[str]"]:
    """A client of this user that asks for these secrets."""
    line = [sys.executable, "-c", SDS, address, str(user), *names]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as client:
        try:
            yield client
        finally:
            client.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_only_the_user_who_registered_a_service_gets_its_certificate() -> None:
    with Sidecars() as cluster:
        cluster.folder.chmod(0o755)
        flags = ("--xds", f"unix:{cluster.folder}/xds", "--xds", "127.0.0.1:0", "--xds-tls", "--socket-group", "root")
        one = cluster.start("one", *flags).wait_ready()
        one.call("register", name="web", id="w", port=1, address="127.0.0.1")
        unix, tcp = f"unix:{cluster.folder}/xds", f"127.0.0.1:{port_of(one)}"
        with asking(unix, os.geteuid(), WEB) as own, asking(unix, 65534, WEB, CA) as other, asking(tcp, 0, CA) as far:
            assert [own.stdout.readline() for _ in range(2)] == ["ready\n", "1\n"]  # type: ignore[union-attr]
            assert [other.stdout.readline() for _ in range(2)] == ["ready\n", "1\n"]  # type: ignore[union-attr]
            assert far.stdout.readline() == "ready\n"  # type: ignore[union-attr]
            wait_for(lambda: len(reasons(one)) == 2)
            assert reasons(one) == {
                "web is registered here, but not by user 65534: run its Envoy as the user who registers it",
                "certificates are handed out on `--xds unix:PATH` alone: give the Envoy a bootstrap with that address",
            }
        one.wait_logged("is withheld", 2)
        assert one.log.read_text().count("is withheld") == 2
        assert one.call("reload")["xds_tls"] == {"cas": 1}
        assert one.end() == 0


def port_of(sidecar: Sidecar) -> int:
    addresses = sidecar.call("xds-show", limit=1)["addresses"]
    [tcp] = [one for one in addresses if not one.startswith("unix:")]
    return int(tcp.rpartition(":")[2])
