"""Real clients of a real sidecar; and what clients demand that is in no documentation, each as a test.

py-consul and curl are run here, HAProxy and Prometheus by `scripts/check --clients`. What is said of Go's client
(consul/api, which Prometheus, Traefik, Fabio and consul-template have inside), was read in their sources.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import consul
import pytest

from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import wait_for
from tests.gateway.http.conftest import Served

EXAMPLES = Path(__file__).parents[3] / "scripts" / "examples"


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    with Sidecars() as cluster:
        yield cluster.start(
            "one", "--http", "127.0.0.1:0", "--http", f"unix:{cluster.folder}/h", "--dns", "127.0.0.1:0"
        ).wait_ready()


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[Any]:
    host, _, port = sidecar.ready["http"].partition(",")[0].rpartition(":")
    client = consul.Consul(host=host, port=int(port))
    yield client
    client.http.session.close()


# -- py-consul ---------------------------------------------------------------------------------------------------------


def test_py_consul_registers_finds_waits_and_deregisters(sidecar: Sidecar, client: Any) -> None:
    check = consul.Check.ttl("30s")
    assert client.agent.service.register("web", service_id="w1", address="10.0.0.9", port=80, tags=["a"], check=check,
                                         meta={"v": "1"})  # fmt: skip
    index, found = client.health.service("web", passing=True)
    assert found == []
    assert client.agent.check.ttl_pass("service:w1", notes="fine")
    after, found = client.health.service("web", index=index, wait="10s", passing=True)
    assert int(after) > int(index)
    assert [one["Service"]["Address"] for one in found] == ["10.0.0.9"]
    assert client.agent.checks()["service:w1"]["Output"] == "fine"
    assert client.agent.services()["w1"]["Meta"] == {"v": "1"}
    assert client.catalog.services()[1] == {"web": ["a"]}
    assert client.catalog.service("web", tag="a")[1][0]["ServiceID"] == "w1"
    assert client.catalog.nodes()[1][0]["Node"] == "one"
    assert client.catalog.node("one")[1]["Services"]["w1"]["Port"] == 80
    assert client.catalog.datacenters() == ["default"]
    assert client.health.state("any")[1][0]["CheckID"] == "serfHealth"
    assert client.health.node("one")[1]
    assert client.health.checks("web")[1][0]["ServiceTags"] == ["a"]
    assert client.agent.self()["Member"]["Name"] == "one"
    assert client.agent.members()[0]["Status"] == 1
    assert client.status.leader()
    assert client.status.peers()
    assert client.kv.get("nothing")[1] is None
    assert client.agent.service.maintenance("w1", "true", reason="x")
    assert client.health.service("web", passing=True)[1] == []
    assert client.agent.service.maintenance("w1", "false")
    assert client.agent.maintenance("true")
    assert client.agent.maintenance("false")
    assert client.agent.check.register("disk", check=consul.Check.ttl("1m"), service_id="w1", check_id="c")
    assert client.agent.check.ttl_warn("c")
    assert client.agent.check.ttl_fail("c")
    assert client.agent.check.deregister("c")
    assert client.agent.service.deregister("w1")
    assert sidecar.lookup("web") == []


def test_py_consul_is_told_what_cannot_be_had(client: Any) -> None:
    with pytest.raises(consul.ConsulException, match="no key-value store"):
        client.kv.put("a", "b")
    with pytest.raises(consul.ConsulException, match="no sessions"):
        client.session.create()
    assert client.agent.check.ttl_pass("service:none") is False  # so it says a 404 there


# -- curl --------------------------------------------------------------------------------------------------------------


def test_curl_sends_a_large_body_and_reads_the_unix_socket(sidecar: Sidecar, tmp_path: Path) -> None:
    curl = shutil.which("curl") or pytest.skip("curl is not installed")
    body = tmp_path / "body"
    meta = {f"k{number}": "v" * 500 for number in range(60)}
    body.write_text(json.dumps({"Name": "web", "Port": 80, "Meta": meta}))
    path = sidecar.ready["http"].partition("unix:")[2]
    base = [curl, "-sS", "--fail", "--max-time", "20", "--unix-socket", path]
    put = [*base, "-X", "PUT", "--data", f"@{body}", "-H", "Expect: 100-continue"]
    subprocess.run([*put, "http://localhost/v1/agent/service/register"], check=True)
    got = subprocess.run([*base, "-G", "--data-urlencode", 'filter=Service == "web"',
                          "http://localhost/v1/agent/services"], check=True, capture_output=True)  # fmt: skip
    assert json.loads(got.stdout)["web"]["Meta"] == meta


# -- the examples ------------------------------------------------------------------------------------------------------


def commands() -> list[tuple[str, list[str]]]:
    return [
        ("python", [sys.executable, str(EXAMPLES / "service.py")]),
        ("node", ["node", str(EXAMPLES / "service.mjs")]),
    ]


def test_node_and_python_services_survive_each_others_death(sidecar: Sidecar, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    registry = sidecar.ready["http"].partition("unix:")[2]
    environment = {**os.environ, "REGISTRY": registry, "DNS": sidecar.ready["dns"]}
    running: dict[str, subprocess.Popen[bytes]] = {}

    def start(name: str, command: list[str]) -> None:
        with open(tmp_path / name, "wb") as out, open(tmp_path / f"{name}.err", "wb") as err:
            running[name] = subprocess.Popen([*command, "hello"], stdout=out, stderr=err, env=environment)

    def sees(name: str) -> set[str]:
        """The languages of those that it greeted last."""
        last = (tmp_path / name).read_text().splitlines()[-1:]
        seen = last[0].partition(" sees ")[2].partition(";")[0].split() if last else []
        return {one.split("-")[1] for one in seen}

    try:
        for name, command in commands():
            start(name, command)
        wait_for(lambda: sees("python") == sees("node") == {"python", "node"})
        ports = [one["port"] for one in sidecar.call("lookup", name="hello")]
        wait_for(lambda: f"dns {json.dumps(sorted(ports), separators=(',', ':'))}" in (tmp_path / "node").read_text())
        for name, command in commands():
            other = "node" if name == "python" else "python"
            running[name].kill()
            running[name].wait()
            wait_for(lambda other=other: sees(other) == {other})  # type: ignore[misc]
            start(name, command)
            wait_for(lambda: sees("python") == sees("node") == {"python", "node"})
        running["node"].send_signal(signal.SIGTERM)
        assert running["node"].wait(20) == 0
        wait_for(lambda: sees("python") == {"python"})
    finally:
        for process in running.values():
            process.kill()
            process.wait()


# -- what clients demand -----------------------------------------------------------------------------------------------


async def test_gos_client_reads_numbers_from_these_headers_or_fails(served: Served) -> None:
    """consul/api parseQueryMeta: X-Consul-Index and X-Consul-LastContact have to be numbers, KnownLeader a word."""
    reply = await served.get("/v1/catalog/services")
    assert reply.headers["x-consul-index"].isdigit()
    assert reply.headers["x-consul-lastcontact"].isdigit()
    assert reply.headers["x-consul-knownleader"] in ("true", "false")


async def test_prometheus_consul_sd_asks_agent_self_for_the_datacenter(served: Served) -> None:
    """discovery/consul getDatacenter: Config.Datacenter has to be text; then it asks ?stale= with wait in ms."""
    config = (await served.get("/v1/agent/self")).json["Config"]
    assert config["Datacenter"] == "default"
    assert (await served.get("/v1/catalog/services?dc=default&stale=&wait=120000ms&filter=")).status == 200


async def test_traefik_and_consul_template_wait_with_the_index(served: Served) -> None:
    """They begin with index=0 and go on with what they were told."""
    first = await served.get("/v1/health/service/web?dc=&index=0&passing=1&stale=&wait=60000ms")
    assert first.index > 0


async def test_an_empty_answer_is_a_list_and_never_null(served: Served) -> None:
    """JavaScript clients go through it at once."""
    for path in ("health/service/none", "catalog/service/none", "health/checks/none", "health/state/critical"):
        assert (await served.get(f"/v1/{path}")).json == []
    await served.put("/v1/agent/service/register", {"Name": "web", "Port": 80})
    (entry,) = (await served.get("/v1/health/service/web")).json
    assert entry["Service"]["Tags"] == []
    assert entry["Service"]["Meta"] == {}
    assert entry["Node"]["Meta"] == {}


async def test_an_index_is_exact_in_javascript(served: Served) -> None:
    reply = await served.get("/v1/catalog/services")
    assert int(float(reply.index)) == reply.index < 2**53


async def test_spring_cloud_sends_lower_case_keys_and_an_empty_check(served: Served) -> None:
    body = {"ID": "app-8080", "Name": "app", "Tags": [], "Address": "10.0.0.7", "Port": 8080,
            "Meta": {"secure": "false"},
            "Check": {"Interval": "10s", "HTTP": "http://10.0.0.7:8080/actuator/health", "Header": {}, "Timeout": None},
            "EnableTagOverride": None}  # fmt: skip
    assert (await served.put("/v1/agent/service/register", body)).status == 200


def test_a_client_may_keep_its_connection_for_an_idle_minute() -> None:
    """Go keeps idle connections for 90 s, and takes a request that meets a close for failed where it was a PUT."""
    from gossipreg.gateway.http.connections import IDLE_S

    assert IDLE_S > 90


async def test_haproxy_checks_with_http_1_0_and_without_a_host(served: Served) -> None:
    """`http-check send meth GET uri /readyz` without a version or headers sends just that."""
    client = await served.client()
    await client.send(b"GET /readyz HTTP/1.0\r\n\r\n")
    assert (await client.reply()).status == 200
