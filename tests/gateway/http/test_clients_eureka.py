"""Real Eureka clients of a real sidecar: each registers, keeps its lease, looks up, registers again after it was taken
out, and deregisters.

py-eureka-client is run here; eureka-js-client, its fork @rocketsoftware/eureka-js-client and Prometheus are run by
`scripts/check --clients`, which installs them.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.programs import free_port
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.gateway.http.test_clients_prometheus import HOW, get, running

MODULES = Path(__file__).parents[3] / ".venv" / "peers" / "node_modules"

PYTHON = """
import asyncio, sys
from py_eureka_client.eureka_client import EurekaClient

async def wake():  # its heartbeats share an asyncio.Lock with this loop from another thread, and releasing wakes nobody
    while True:
        await asyncio.sleep(0.05)

async def serve():
    waking = asyncio.create_task(wake())
    client = EurekaClient(
        eureka_server=sys.argv[1], app_name="pyapp", instance_ip="127.0.0.1", instance_host="localhost",
        instance_port=8081, renewal_interval_in_secs=1, duration_in_secs=30, metadata={"v": "1"},
    )
    await client.start()
    print("> started", flush=True)
    while (line := await asyncio.to_thread(sys.stdin.readline)).strip() == "found":
        app = client.applications.get_application("OTHER")
        print(">", *sorted(f"{one.ipAddr}:{one.port.port}" for one in app.up_instances), flush=True)
    await client.stop()
    waking.cancel()
    print("> stopped", flush=True)

asyncio.run(serve())
"""

JAVASCRIPT = """
const [,, modules, name, port, delta] = process.argv;
const { Eureka } = require(`${modules}/${name}`);
const client = new Eureka({
  instance: {
    app: 'jsapp', instanceId: 'js-1', hostName: 'localhost', ipAddr: '127.0.0.1', vipAddress: 'jsapp.vip',
    port: { '$': 8082, '@enabled': true }, metadata: { v: '2' },
    dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
  },
  eureka: { host: '127.0.0.1', port: Number(port), servicePath: '/eureka/v2/apps/', heartbeatInterval: 300,
            registryFetchInterval: 300 },
  shouldUseDelta: delta === 'delta',
});
client.logger.level('error');
client.start((error) => {
  console.log(error ? `> failed ${error}` : '> started');
  require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
    if (line === 'found') {
      const found = client.getInstancesByAppId('other').map((one) => `${one.ipAddr}:${one.port.$}`);
      console.log(`> ${found.sort().join(' ')}`);
    } else {
      client.stop(() => { console.log('> stopped'); process.exit(0); });
    }
  });
});
"""


class Program:
    """A program with a client in it: says `started`, answers `found` with the addresses of the app `other`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def next(self) -> str:
        """The next line for us; clients log to the same output. One that says nothing for long is ended."""
        assert self._process.stdout is not None
        bound = threading.Timer(BOUND_S, self._process.kill)
        bound.start()
        try:
            lines = iter(self._process.stdout.readline, "")
            return next((line[1:].strip() for line in lines if line.startswith(">")), "ended")
        finally:
            bound.cancel()

    def ask(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self.next()


@contextmanager
def program(log: Path, *command: str) -> Iterator[Program]:
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ}
        ) as process,
    ):
        try:
            yield Program(process)
        finally:
            process.kill()


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    with Sidecars() as cluster:
        yield cluster.start("one", "--http", "127.0.0.1:0").wait_ready()


def port_of(sidecar: Sidecar) -> str:
    return sidecar.ready["http"].rpartition(":")[2]


def instances(sidecar: Sidecar, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sidecar.call("lookup", name=name, all=True)
    return found


def lives_through_it(client: Program, sidecar: Sidecar, name: str) -> None:
    """The whole life of an instance, whatever the language of its client."""
    sidecar.call("register", name="other", port=9001, address="10.0.0.1")
    assert client.next() == "started"
    wait_for(lambda: [one["health"] for one in instances(sidecar, name)] == ["passing"])
    (mine,) = instances(sidecar, name)
    wait_for(lambda: client.ask("found") == "10.0.0.1:9001")
    sidecar.call("register", name="other", port=9002, address="10.0.0.2")
    wait_for(lambda: client.ask("found") == "10.0.0.1:9001 10.0.0.2:9002")
    # The one that came first: of a delta eureka-js-client takes out the first one, whichever went (see findings/).
    sidecar.call("deregister", id="other-9001")
    wait_for(lambda: client.ask("found") == "10.0.0.2:9002")
    sidecar.call("deregister", id=mine["id"])  # as after a restart of the sidecar: the heartbeat meets 404
    wait_for(lambda: [one["health"] for one in instances(sidecar, name)] == ["passing"])
    assert client.ask("stop") == "stopped"
    wait_for(lambda: instances(sidecar, name) == [])


def test_py_eureka_client_registers_renews_finds_and_leaves(sidecar: Sidecar, tmp_path: Path) -> None:
    pytest.importorskip("py_eureka_client")
    url = f"http://127.0.0.1:{port_of(sidecar)}/eureka"
    with program(tmp_path / "log", sys.executable, "-c", PYTHON, url) as client:
        lives_through_it(client, sidecar, "pyapp")


def test_py_eureka_client_carries_a_token_as_the_password(tmp_path: Path) -> None:
    pytest.importorskip("py_eureka_client")
    tokens = tmp_path / "tokens"
    tokens.write_text("secret-token-of-sixteen\n")
    tokens.chmod(0o600)
    with Sidecars() as cluster:
        one = cluster.start("one", "--http", "127.0.0.1:0", "--http-token-file", str(tokens)).wait_ready()
        for number, password in enumerate(("wrong", "secret-token-of-sixteen")):
            url = f"http://any:{password}@127.0.0.1:{port_of(one)}/eureka"
            with program(tmp_path / f"log{number}", sys.executable, "-c", PYTHON, url) as client:
                client.next()
                if password != "wrong":
                    wait_for(lambda: [found["health"] for found in instances(one, "pyapp")] == ["passing"])
                    assert client.ask("stop") == "stopped"
                assert instances(one, "pyapp") == []
        assert one.call("info")["counters"]["http.refused.401"] >= 1


@pytest.mark.parametrize("name", ["eureka-js-client", "@rocketsoftware/eureka-js-client"])
@pytest.mark.parametrize("delta", ["full", "delta"])
def test_clients_eureka_js_client_registers_finds_and_leaves(
    sidecar: Sidecar, tmp_path: Path, name: str, delta: str
) -> None:
    node = shutil.which("node") or pytest.skip(f"node {HOW}")
    if not (MODULES / name).is_dir():
        pytest.skip(f"{name} {HOW}")
    script = tmp_path / "client.js"
    script.write_text(JAVASCRIPT)
    with program(tmp_path / "log", node, str(script), str(MODULES), name, port_of(sidecar), delta) as client:
        lives_through_it(client, sidecar, "jsapp")


PROMETHEUS = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: eureka
    eureka_sd_configs:
      - server: http://127.0.0.1:{port}/eureka
        refresh_interval: 1s
    relabel_configs:
      - source_labels: [__meta_eureka_app_instance_metadata_v]
        target_label: v
      - source_labels: [__meta_eureka_app_name]
        target_label: app
"""


def test_clients_prometheus_eureka_sd_scrapes_what_passes(sidecar: Sidecar, tmp_path: Path) -> None:
    prometheus = shutil.which("prometheus") or pytest.skip(f"prometheus {HOW}")
    port = int(port_of(sidecar))
    sidecar.call("register", name="sidecar", port=port, address="127.0.0.1", meta={"v": "7"})
    sidecar.call("register", name="ill", port=1, address="127.0.0.1", checks=["ttl:1h"])
    config, web = tmp_path / "prometheus.yml", free_port()
    config.write_text(PROMETHEUS.format(port=port))
    flags = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/d", f"--web.listen-address=127.0.0.1:{web}"]

    def active() -> list[tuple[str, str, str]]:
        text = get(f"http://127.0.0.1:{web}/api/v1/targets?state=active")
        found = json.loads(text)["data"]["activeTargets"] if text else []
        return [(one["labels"]["app"], one["labels"]["v"], one["health"]) for one in found]

    with running(tmp_path / "log", prometheus, *flags):
        wait_for(lambda: active() == [("SIDECAR", "7", "up")], BOUND_S)
        sidecar.call("deregister", id=f"sidecar-{port}")
        wait_for(lambda: active() == [])
