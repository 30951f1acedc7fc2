"""Dapr's SDKs against real sidecars, unchanged: @dapr/dapr of npm, dapr-ext-fastapi of PyPI; and curl.

`scripts/check --clients` installs them. Without them a test is skipped.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.tools.programs import free_port
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for

PEERS = Path(__file__).parents[4] / ".venv" / "peers"
MODULES = PEERS / "node_modules"
PYTHON = PEERS / "dapr" / "bin" / "python"
TOKEN = "a-token-that-nobody-guesses"

NODE_PROGRAM = """
const [,, modules, appPort, daprPort] = process.argv;
const sdk = require(`${modules}/@dapr/dapr`);
const { DaprServer, DaprClient, CommunicationProtocolEnum, DaprPubSubStatusEnum, HttpMethod } = sdk;
const say = (...words) => console.log(...words);
(async () => {
  const client = { daprHost: '127.0.0.1', daprPort, daprApiToken: process.env.DAPR_API_TOKEN };
  const server = new DaprServer({
    serverHost: '127.0.0.1', serverPort: appPort,
    clientOptions: { ...client, communicationProtocol: CommunicationProtocolEnum.HTTP },
  });
  let tries = 0;
  let got;
  const all = new Promise((done) => { got = done; });
  await server.pubsub.subscribe('pubsub', 'orders', async (data) => {
    tries += 1;
    if (tries === 1) { say('retries', JSON.stringify(data)); return DaprPubSubStatusEnum.RETRY; }
    say('order', JSON.stringify(data));
  });
  await server.pubsub.subscribe('pubsub', 'words', async (data) => { say('word', data); got(); });
  await server.invoker.listen('hello', async ({ body, query }) => ({ body, query }), { method: HttpMethod.POST });
  await server.start();
  const dapr = server.client;
  say('id', (await dapr.metadata.get()).id);
  say('healthy', await dapr.health.isHealthy());
  say('invoked', JSON.stringify(await dapr.invoker.invoke('shop', 'hello?a=b', HttpMethod.POST, { x: 1 })));
  const other = new DaprClient({ ...client, communicationProtocol: CommunicationProtocolEnum.HTTP });
  while ((await other.metadata.get()).subscriptions.length < 2) { await new Promise((next) => setTimeout(next, 50)); }
  const sent = await other.pubsub.publish('pubsub', 'orders', { a: 1 });
  say('published', sent.error === undefined);
  while (tries < 2) { await new Promise((next) => setTimeout(next, 50)); }
  await other.pubsub.publish('pubsub', 'words', 'hello');
  await all;
  const refused = await other.pubsub.publish('pubsub', 'a..b', 'x');
  say('refused', /empty token/.test(String(refused.error)));
  process.exit(0);
})().catch((error) => { say('failed', error.stack); process.exit(1); });
"""

FASTAPI_PROGRAM = """
import sys
import uvicorn
from dapr.ext.fastapi import DaprApp
from fastapi import Body, FastAPI
app = FastAPI()
dapr = DaprApp(app)
tries = 0

@dapr.subscribe(pubsub="pubsub", topic="orders")
def orders(event=Body()):
    global tries
    tries += 1
    print("order", event["data"], event["topic"], event["pubsubname"], event["type"], flush=True)
    return {"status": "RETRY" if tries == 1 else "SUCCESS"}

@dapr.subscribe(pubsub="pubsub", topic="poison", route="/bad")
def poison(event=Body()):
    print("poison", event["data"], flush=True)
    return {"status": "DROP"}

@app.get("/hello/{name}")
def hello(name: str, a: str = ""):
    return {"hello": name, "a": a}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
"""


@contextmanager
def dapr_sidecar(cluster: Sidecars, port: int, *flags: str) -> Iterator[Sidecar]:
    yield cluster.start(
        "one", "--http", "127.0.0.1:0", "--data-dir", str(cluster.folder / "data"), "--dapr-app", "shop",
        "--service", "shop", "--port", str(port), "--address", "127.0.0.1",
        "--check", f"tcp://127.0.0.1:{port},interval=100ms", *flags,
    ).wait_ready()  # fmt: skip


def test_dapr_client_and_server_of_npm_run_unchanged(tmp_path: Path) -> None:
    node = shutil.which("node") or pytest.skip("node is not installed")
    if not (MODULES / "@dapr" / "dapr").is_dir():
        pytest.skip("`scripts/check --clients` fetches it")
    (tmp_path / "tokens").write_text(f"{TOKEN}\n")
    port = free_port()
    with Sidecars() as cluster, dapr_sidecar(cluster, port, "--http-token-file", str(tmp_path / "tokens")) as one:
        command = [node, "-e", NODE_PROGRAM, "program", str(MODULES), str(port), str(one.port("http"))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * BOUND_S, check=False,
                              env={**os.environ, "DAPR_API_TOKEN": TOKEN})  # fmt: skip
    said = [line for line in done.stdout.splitlines() if not line.startswith(("2", "["))]
    assert sorted(said) == sorted([  # an event may be handled before its publisher has the answer
        "id shop",
        "healthy true",
        r'invoked {"body":"{\"x\":1}","query":"/hello?a=b"}',
        "published true",
        'retries {"a":1}',
        'order {"a":1}',
        "word hello",
        "refused true",
    ]), done.stdout + done.stderr  # fmt: skip


def curl(one: Sidecar, path: str, *flags: str) -> str:
    """The status, a space, and the body."""
    where = f"http://127.0.0.1:{one.port('http')}{path}"
    command = ["curl", "-sS", "-w", "\n%{http_code}", *flags, where]
    body, _, status = subprocess.check_output(command, text=True, timeout=BOUND_S).rpartition("\n")
    return f"{status} {body}"


def test_dapr_ext_fastapi_runs_unchanged_beside_curl(tmp_path: Path) -> None:
    if not PYTHON.exists() or shutil.which("curl") is None:
        pytest.skip("`scripts/check --clients` fetches it")
    port, output = free_port(), tmp_path / "output"
    with output.open("wb") as out, Sidecars() as cluster, dapr_sidecar(cluster, port) as one:
        app = subprocess.Popen([str(PYTHON), "-c", FASTAPI_PROGRAM, str(port)], stdout=out, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: "dapr_app_subscribed" in one.log.read_text(), 2 * BOUND_S, what="subscribed")
            json_type = ("-H", "Content-Type: application/json")
            assert curl(one, "/v1.0/publish/pubsub/orders", *json_type, "-d", '{"a":1}') == "204 "
            assert curl(one, "/v1.0/publish/pubsub/poison", "-H", "Content-Type: text/plain", "-d", "bad") == "204 "
            assert curl(one, "/v1.0/invoke/shop/method/hello/you?a=b") == '200 {"hello":"you","a":"b"}'
            assert curl(one, "/hello/you", "-H", "dapr-app-id: shop") == '200 {"hello":"you","a":""}'
            assert curl(one, "/v1.0/healthz/outbound") == "204 "
            wait_for(lambda: output.read_text().count("order") >= 4, what="the second attempt")
            wait_for(lambda: len(one.call("events-dead")["letters"]) == 1, what="the dead letter")
        finally:
            app.send_signal(signal.SIGKILL)
            app.wait()
    lines = sorted(output.read_text().splitlines())
    assert lines == ["order {'a': 1} orders pubsub com.dapr.event.sent"] * 2 + ["poison bad"]
