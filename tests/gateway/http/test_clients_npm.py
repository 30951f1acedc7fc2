"""Consul's clients from npm against a real sidecar: `consul`, and the watch of @creditkarma/consul-client.

`scripts/check --clients` installs them. Without them the test is skipped.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.tools.sidecars import Sidecars
from scripts.tools.wait import BOUND_S

MODULES = Path(__file__).parents[3] / ".venv" / "peers" / "node_modules"

PROGRAM = """
const [,, modules, port, token] = process.argv;
const Consul = require(`${modules}/consul`);
const { Catalog } = require(`${modules}/@creditkarma/consul-client`);
const consul = new Consul({ host: '127.0.0.1', port: Number(port), defaults: { token } });
const none = new Consul({ host: '127.0.0.1', port: Number(port) });
const failing = async (call) => { try { await call(); return 'done'; } catch (error) { return error.message; } };
(async () => {
  const web = { name: 'web', id: 'w1', address: '10.0.0.9', port: 80, tags: ['b', 'a', ''], check: { ttl: '30s' } };
  await consul.agent.service.register(web);
  await consul.agent.check.pass({ id: 'service:w1', note: 'fine' });
  const [found] = await consul.health.service({ service: 'web', passing: true });
  console.log('found', found.Service.Address, found.Service.Tags.join(), found.Checks.at(-1).Output);
  console.log('empty', (await consul.session.list()).length, (await consul.event.list()).length);
  console.log('no key', await consul.kv.get('nothing'));
  console.log('kv', await failing(() => consul.kv.set('a', 'b')));
  console.log('bad', await failing(() => consul.agent.service.register({ name: 'web', port: 'x' })));
  console.log('no token', await failing(() => none.agent.service.deregister('w1')));

  const options = { service: 'web', passing: true, wait: '30s' };
  const watch = consul.watch({ method: consul.health.service, options });
  const changes = [];
  await new Promise((done, fail) => {
    watch.on('error', fail);
    watch.on('change', (instances) => {
      changes.push(instances.length);
      if (changes.length === 1) consul.agent.check.fail('service:w1').catch(fail); else done();
    });
  });
  watch.end();
  console.log('watched', ...changes);

  await consul.agent.check.pass('service:w1');
  const addresses = [];
  await new Promise((done, fail) => {
    new Catalog([`127.0.0.1:${port}`]).watchAddress('web').onValue((address) => {
      addresses.push(address);
      if (addresses.length === 1) consul.agent.service.register({ ...web, port: 81 }).catch(fail); else done();
    });
  });
  console.log('addresses', ...addresses);

  const service = (await consul.agent.service.list()).w1;
  await consul.agent.service.register({ ...service, name: service.Service, port: 82 });
  console.log('put back', (await consul.agent.service.list()).w1.Port);
  await consul.agent.service.deregister('w1');
  console.log('left', (await consul.health.service('web')).length);
  process.exit(0);
})().catch((error) => { console.log('failed', error.stack); process.exit(1); });
"""


def test_consuls_clients_of_npm_register_watch_and_read_errors(tmp_path: Path) -> None:
    node = shutil.which("node") or pytest.skip("node is not installed")
    if not all((MODULES / name).is_dir() for name in ("consul", "@creditkarma/consul-client")):
        pytest.skip("`scripts/check --clients` fetches them")
    (tmp_path / "tokens").write_text("a-token-that-nobody-guesses\n")
    with Sidecars() as cluster:
        tokens = ("--http-token-file", str(tmp_path / "tokens"))
        one = cluster.start("one", "--http", "127.0.0.1:0", *tokens).wait_ready()
        port = one.ready["http"].rpartition(":")[2]
        command = [node, "-e", PROGRAM, "program", str(MODULES), port, "a-token-that-nobody-guesses"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * BOUND_S, check=False)
    assert done.stdout.splitlines() == [
        "found 10.0.0.9 b,a fine",
        "empty 0 0",
        "no key undefined",
        "kv there is no key-value store here: keep values in a database; reads find nothing",
        "bad port is 'x': give a whole number from 0 to 65535",
        "no token Permission denied: no token: send X-Consul-Token, Bearer or Basic's password",
        "watched 1 0",
        "addresses 10.0.0.9:80 10.0.0.9:81",
        "put back 82",
        "left 0",
    ], done.stderr
