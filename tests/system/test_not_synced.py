"""Real sidecars that do not know the cluster yet: after a restart with a data directory, and with the seed down."""

import json
import subprocess
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import dns.message
import dns.query
import dns.rcode
import pytest

from gossipreg.errors import NotSynced
from scripts.tools.sidecars import COMMAND, Sidecar, Sidecars
from scripts.tools.wait import BOUND_S, wait_for

GATEWAYS = ("--http", "127.0.0.1:0", "--dns", "127.0.0.1:0")
NOBODY = "127.0.0.1:1"


def get(sidecar: Sidecar, path: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urlopen(f"http://{sidecar.ready['http']}{path}", timeout=BOUND_S) as reply:
            return reply.status, dict(reply.headers), reply.read()
    except HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def resolve(sidecar: Sidecar, name: str) -> dns.message.Message:
    query = dns.message.make_query(name, "SRV")
    return dns.query.udp(query, "127.0.0.1", BOUND_S, int(sidecar.ready["dns"].rpartition(":")[2]))


def found(sidecar: Sidecar) -> tuple[int, int, int]:
    """How many instances of `web` the socket, HTTP and DNS have."""
    status, _, body = get(sidecar, "/v1/health/service/web?passing")
    assert status == 200, body
    message = resolve(sidecar, "web.service.consul")
    assert message.rcode() == dns.rcode.NOERROR
    return len(sidecar.call("lookup", name="web")), len(json.loads(body)), sum(map(len, message.answer))


def kept_by(folder: Path) -> Path:
    return folder / "last-known"


def test_with_the_seed_down_every_interface_says_so(cluster: Sidecars) -> None:
    one = cluster.start("one", "--seed", NOBODY, *GATEWAYS, "--service", "mine", "--port", "80").wait_ready()
    with pytest.raises(NotSynced, match="no other member has answered yet"):
        one.call("lookup", name="web")
    for path in ("/v1/health/service/web", "/v1/catalog/services", "/v1/catalog/nodes"):
        status, headers, body = get(one, path)
        assert (status, headers["X-Consul-KnownLeader"]) == (500, "false")
        assert b"No cluster leader" in body
    assert get(one, "/sd/prometheus")[0] == 503
    assert get(one, "/readyz")[0] == 503
    assert json.loads(get(one, "/v1/status/leader")[2]) == ""
    assert resolve(one, "web.service.consul").rcode() == dns.rcode.SERVFAIL
    [mine] = one.call("lookup", name="mine")
    assert mine["partial"] is True
    status, headers, body = get(one, "/v1/health/service/mine")
    assert (status, headers["X-Gossipreg-Partial"], len(json.loads(body))) == (200, "true", 1)
    assert sum(map(len, resolve(one, "mine.service.consul").answer)) == 1
    line = [*COMMAND, "--socket", str(one.socket), "lookup", "web", "--timeout", "200ms"]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=BOUND_S, check=False)
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr.startswith(
        "Error: this sidecar is not synced, so it does not know where web is yet: no other member"
    )


@pytest.mark.parametrize("command", [["subscribe", "--group", "mail"], ["tail"]])
def test_a_subscription_says_that_others_do_not_know_of_it(cluster: Sidecars, command: list[str]) -> None:
    one = cluster.start("one", "--seed", NOBODY).wait_ready()
    line = [*COMMAND, "--socket", str(one.socket), "events", *command, "order.*", "--timeout", "200ms"]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=BOUND_S, check=False)
    why, none_came = ended.stderr.splitlines()
    assert why.startswith("this sidecar is not synced yet: no other member has answered yet")
    assert why.endswith("; what other members publish comes once it is")
    assert (ended.returncode, ended.stdout, none_came) == (1, "", "no event came within 0.2 s")


def test_a_restart_with_a_data_directory_is_never_empty(cluster: Sidecars) -> None:
    first = cluster.start("first", "--service", "web", "--port", "80").wait_ready()
    second = cluster.start("second", "--service", "web", "--port", "81").wait_ready()
    folder = cluster.folder / "data"
    flags = ("--data-dir", str(folder), "--seed", first.gossip, "--service", "web", "--port", "82", *GATEWAYS)
    restarted = cluster.start("restarted", *flags).wait_ready()
    wait_for(lambda: restarted.call("info")["synced"] and found(restarted) == (3, 3, 3))
    wait_for(lambda: kept_by(folder).exists())
    restarted.kill()
    first.stop()  # they answer a little later, so that it is not synced for a while
    second.stop()
    restarted = cluster.start("restarted", *flags).wait_ready()
    synced, seen, stale, began = False, set(), set(), time.perf_counter()
    while not synced:
        synced = restarted.call("info")["synced"]
        seen.add(found(restarted))
        stale.add(sum(one["stale"] for one in restarted.call("lookup", name="web")))
        if time.perf_counter() - began > 0.5:
            first.resume()
            second.resume()
    assert seen == {(3, 3, 3)}
    assert stale >= {2}, "what the others have is marked"
    wait_for(lambda: not any(one["stale"] for one in restarted.call("lookup", name="web")))
    assert found(restarted) == (3, 3, 3)


def test_a_restart_without_peers_answers_from_the_kept_table(cluster: Sidecars) -> None:
    first = cluster.start("first", "--service", "web", "--port", "80").wait_ready()
    folder = cluster.folder / "data"
    flags = ("--data-dir", str(folder), "--seed", first.gossip, *GATEWAYS)
    restarted = cluster.start("restarted", *flags).wait_ready()
    wait_for(lambda: restarted.call("info")["synced"] and found(restarted) == (1, 1, 1))
    wait_for(lambda: kept_by(folder).exists())
    restarted.kill()
    first.kill()
    restarted = cluster.start("restarted", *flags).wait_ready()
    assert found(restarted) == (1, 1, 1)
    [web] = restarted.call("lookup", name="web")
    assert (web["stale"], web["partial"]) == (True, True)
    status, headers, _ = get(restarted, "/v1/health/service/web")
    assert (status, headers["X-Consul-KnownLeader"], headers["X-Gossipreg-Partial"]) == (200, "false", "true")
    assert get(restarted, "/readyz")[0] == 503
    with pytest.raises(NotSynced):
        restarted.call("lookup", name="other")
    assert resolve(restarted, "other.service.consul").rcode() == dns.rcode.SERVFAIL
    assert restarted.call("info")["knowledge"] == "last_known"
    line = [*COMMAND, "--socket", str(restarted.socket), "lookup", "web"]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=BOUND_S, check=False)
    assert (ended.returncode, ended.stdout) == (0, "127.0.0.1:80\n")
    assert "known last" in ended.stderr


def test_a_damaged_table_does_not_hinder_the_start(cluster: Sidecars) -> None:
    first = cluster.start("first").wait_ready()
    folder = cluster.folder / "data"
    flags = ("--data-dir", str(folder), "--seed", first.gossip)
    restarted = cluster.start("restarted", *flags).wait_ready()
    wait_for(lambda: kept_by(folder).exists())
    restarted.kill()
    kept_by(folder).write_bytes(b"rubbish")
    restarted = cluster.start("restarted", *flags).wait_ready()
    wait_for(lambda: restarted.call("info")["synced"])
    [line] = [line for line in restarted.log.read_text().splitlines() if "kept_table" in line]
    assert "it does not begin like a file of a kept table" in line


def test_commands_that_follow_say_why_they_wait(cluster: Sidecars) -> None:
    one = cluster.start("one", "--seed", NOBODY).wait_ready()
    line = [*COMMAND, "--socket", str(one.socket)]
    ended = subprocess.run(
        [*line, "wait", "web", "--timeout", "200ms"], capture_output=True, text=True, timeout=BOUND_S, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "0 of 1 passing instances of web after 0.2s; this sidecar is not synced" in ended.stderr
    with subprocess.Popen([*line, "watch", "web"], stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stderr is not None
        said = watching.stderr.readline()
        watching.terminate()
    assert said == "this sidecar is not synced yet: no other member has answered yet; the instances follow once it is\n"
