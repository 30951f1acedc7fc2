"""The xDS gateway of real sidecars: who may connect, what they are told at the start, over a restart, at the end."""

import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse

from gossipreg.errors import Refused
from gossipreg.gateway.xds.model import ResourceType
from gossipreg.gateway.xds.server.http2_frames import PREFACE
from scripts.tools.sidecars import Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system.test_http import refused_start

ADS = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"


class Subscriber:
    """Follows the endpoints of one service by state of the world, as gRPC clients do."""

    def __init__(self, channel: grpc.Channel, service: str) -> None:
        self._asked: Queue[DiscoveryRequest | None] = Queue()
        method = channel.stream_stream(
            ADS,
            request_serializer=DiscoveryRequest.SerializeToString,
            response_deserializer=DiscoveryResponse.FromString,
        )
        self._answers = method(iter(self._asked.get, None), timeout=BOUND_S, wait_for_ready=True)
        self._service = service
        self._ask(node={"id": "test", "user_agent_name": "gRPC C-core linux Python"})

    def _ask(self, **fields: Any) -> None:
        self._asked.put(DiscoveryRequest(type_url=ResourceType.ENDPOINTS, resource_names=[self._service], **fields))

    def ports(self) -> set[int]:
        """Those of the next answer, which is acknowledged."""
        answer = next(self._answers)
        self._ask(version_info=answer.version_info, response_nonce=answer.nonce)
        [resource] = answer.resources
        found = ClusterLoadAssignment.FromString(resource.value)
        return {
            one.endpoint.address.socket_address.port_value for group in found.endpoints for one in group.lb_endpoints
        }

    def refuse(self, why: str) -> None:
        """The next answer."""
        answer = next(self._answers)
        self._ask(response_nonce=answer.nonce, error_detail={"code": 3, "message": why})

    def failure(self) -> tuple[Any, str]:
        """How the call ends, after whatever answers come before."""
        try:
            while True:
                self.ports()
        except grpc.RpcError as error:
            return error.code(), error.details()

    def end(self) -> None:
        self._asked.put(None)


@contextmanager
def subscriber(target: str, service: str) -> Iterator[Subscriber]:
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        one = Subscriber(channel, service)
        try:
            yield one
        finally:
            one.end()


@pytest.mark.parametrize("unix", [False, True])
def test_a_client_follows_a_service_of_a_real_sidecar(unix: bool) -> None:
    with Sidecars() as cluster:
        where = f"unix:{cluster.folder}/xds" if unix else "127.0.0.1:0"
        one = cluster.start("one", "--xds", where, "--service", "web", "--port", "81").wait_ready()
        at = one.ready["xds"]
        assert at == where if unix else re.fullmatch(r"127\.0\.0\.1:\d+", at)
        assert one.call("info")["xds"] == at
        with subscriber(at, "web") as client:
            assert client.ports() == {81}
            one.call("register", name="web", port=82)
            assert client.ports() == {81, 82}
            counters = one.call("info")["counters"]
            assert (counters["xds_connections"], counters["xds_streams"], counters["xds.calls"]) == (1, 1, 1)
            wait_for(lambda: one.call("info")["counters"]["xds.requests"] == 3, what="the ACK of the last answer")
            assert one.call("info")["counters"]["xds.responses"] == 2
            one.call("deregister", id="web-81")
            assert client.ports() == {82}
            assert one.end() == 0
            assert client.failure() == (grpc.StatusCode.UNAVAILABLE, "this sidecar stops")


def test_a_refusal_is_logged_shown_and_a_trouble_until_it_ends() -> None:
    with Sidecars() as cluster:
        one = cluster.start("one", "--xds", "127.0.0.1:0", "--service", "web", "--port", "81").wait_ready()

        def troubles() -> list[str]:
            return [trouble["message"] for trouble in one.call("info")["troubles"]]

        with subscriber(one.ready["xds"], "web") as client:
            client.refuse("port 81 is not for me")
            wait_for(
                lambda: any(text.startswith("xDS clients that refuse what they are sent: 1;") for text in troubles())
            )
            [shown] = one.call("xds-show", name="WEB")["clients"]
            assert shown["types"][0]["refused"][0]["why"] == "port 81 is not for me"
            one.wait_logged("port 81 is not for me")
            assert one.log.read_text().count("port 81 is not for me") == 1
            one.call("register", name="web", port=82)
            assert client.ports() == {81, 82}
            wait_for(lambda: troubles() == [])
        assert one.end() == 0


def test_a_new_policy_is_in_force_after_a_reload(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("")
    with Sidecars() as cluster:
        one = cluster.start("one", "--xds", "127.0.0.1:0", "--xds-policy", str(policy)).wait_ready()
        policy.write_text('[service.web]\ntimeout = "2s"\n')
        assert one.call("reload")["xds_policy"] == {"services": 1, "without_instances": "web"}
        policy.write_text("[service.web]\ntimeout = -1\n")
        with pytest.raises(Refused, match="what was read before stays in use"):
            one.call("reload")
        assert one.end() == 0


def test_a_share_for_a_tag_of_nobody_is_a_trouble_until_it_ends(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[service.web.split]\nv1 = 9\nv2 = 1\n")
    with Sidecars() as cluster:
        one = cluster.start("one", "--xds", "127.0.0.1:0", "--xds-policy", str(policy)).wait_ready()
        one.call("register", name="web", id="a", port=81, tags=["v1"])
        wait_for(lambda: any("v2.web (10%)" in trouble["message"] for trouble in one.call("info")["troubles"]))
        one.call("register", name="web", id="b", port=82, tags=["v2"])
        wait_for(lambda: one.call("info")["troubles"] == [])
        assert one.end() == 0


def test_a_killed_sidecars_unix_socket_is_taken_over() -> None:
    with Sidecars() as cluster:
        path = cluster.folder / "xds"
        cluster.start("one", "--xds", f"unix:{path}").wait_ready().kill()
        assert path.is_socket()
        two = cluster.start("two", "--xds", f"unix:{path}", "--service", "web", "--port", "81", seed=False).wait_ready()
        assert path.stat().st_mode & 0o777 == 0o600
        with subscriber(f"unix:{path}", "web") as client:
            assert client.ports() == {81}
        assert two.end() == 0
        assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--xds", ""], 2, "--xds is empty: write an address, --xds 127.0.0.1:18000"),
        (["--xds", ":18000"], 2, "write --xds 127.0.0.1:18000 for this machine alone"),
        (["--xds", "*:0"], 5, "Listen on 127.0.0.1, since each host has a sidecar of its own, or give --insecure-xds"),
        (["--xds", "192.0.2.1:0"], 5, "other machines reach 192.0.2.1"),
        (["--xds", "192.0.2.1:0", "--insecure-xds"], 6, "cannot listen for xDS on 192.0.2.1"),
        (["--xds", "unix:"], 2, "--xds unix:PATH: name the PATH"),
        (["--xds", "unix:/no/such/folder/xds"], 5, "choose another --xds unix:PATH"),
        (["--xds", "127.0.0.1:0", "--xds-policy", "/no/such/file"], 5, "--xds-policy /no/such/file: No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_door_that_cannot_be_opened_says_why(tmp_path: Path, arguments: list[str], code: int, why: str) -> None:
    ended, line = refused_start("--socket", str(tmp_path / "s"), *arguments)
    assert (ended, why in line) == (code, True), line


def test_other_programs_are_told_what_the_port_is_for() -> None:
    with Sidecars() as cluster:
        one = cluster.start("one", "--xds", "127.0.0.1:0").wait_ready()
        with socket.create_connection(("127.0.0.1", one.port("xds")), timeout=BOUND_S) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b"".join(iter(lambda: browser.recv(1000), b""))
        assert b"HTTP/2 without TLS" in answer
        wait_for(lambda: bool(one.call("info")["counters"]["drop.xds_not_http2"]))
        assert one.end() == 0


def test_a_gateway_that_fails_begins_anew_beside_the_registry() -> None:
    """Its server's loop is made to fail once, at the first connection."""
    program = """if True:
        import sys
        from gossipreg.gateway.xds.server.grpc_server import XdsServer
        serve = XdsServer._serve
        async def fail_once(self):
            XdsServer._serve = serve
            await self.connections.wait()
            raise RuntimeError("made to fail")
        XdsServer._serve = fail_once
        from gossipreg.cli import main
        sys.exit(main())
    """
    with Sidecars() as cluster:
        flags = ("--xds", "127.0.0.1:0", "--service", "web", "--port", "81")
        one = cluster.start("one", *flags, command=[sys.executable, "-c", program]).wait_ready()
        with socket.create_connection(("127.0.0.1", one.port("xds")), timeout=BOUND_S) as first:
            first.sendall(PREFACE)
            with suppress(ConnectionError):
                assert first.recv(1000) == b""
        with subscriber(one.ready["xds"], "web") as client:
            assert client.ports() == {81}
        assert one.call("info")["counters"]["bug.gateway_xds"] == 1
        assert one.end() == 0
