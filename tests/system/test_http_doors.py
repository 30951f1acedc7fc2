"""Access rights with real sidecars, real hosts in network namespaces, and real users of the local socket."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from gossipreg.client.connection import Client
from gossipreg.errors import Refused
from scripts.tools.sidecars import Sidecars
from scripts.tools.wait import BOUND_S, wait_for
from tests.system import older
from tests.system.hosts import Host, Hosts, missing
from tests.system.test_http import refused_start

TOKEN = "a-token-that-nobody-guesses"


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--http", ""], 2, "--http is empty: write an address, --http 127.0.0.1:8500"),
        (["--http", " "], 2, "--http is empty"),
        (["--dns", ""], 2, "--dns is empty: write an address, --dns 127.0.0.1:8600"),
        (["--http", ":8500"], 2, "write --http 127.0.0.1:8500 for this machine alone, or --http '*:8500'"),
        (["--dns", ":53"], 2, "write --dns 127.0.0.1:53 for this machine alone, or --dns '*:53'"),
        (["--http", "*:0"], 5, "Give --http-token-file with a token a line, or --insecure-http"),
        (["--http", "0.0.0.0:0"], 5, "--http-token-file"),
        (["--http", "[::]:0"], 5, "--http-token-file"),
        (["--http", "127.0.0.1:0", "--http-token-file", "none"], 5, "--http-token-file none: No such file"),
        (["--http", "127.0.0.1:0", "--http-token-file", "/dev/null"], 5, "holds no token"),
        (["--socket-admin-group", "no-such-group"], 6, "--socket-admin-group 'no-such-group': there is no such group"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_an_open_door_must_be_asked_for_by_name(tmp_path: Path, arguments: list[str], code: int, why: str) -> None:
    ended, line = refused_start("--socket", str(tmp_path / "s"), *arguments)
    assert (ended, why in line) == (code, True), line


def curl(host: Host, *arguments: str) -> tuple[int, str]:
    """Status and body."""
    command = ["ip", "netns", "exec", host.namespace, "curl", "-sS", "-m", str(BOUND_S), "-w", "\n%{http_code}"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_other_machines_need_a_token_for_all_but_the_probes(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN}\n")
    with Hosts(2) as hosts:
        one, two = hosts.all
        at = f"http://{one.v4}:8500"
        sidecar = one.start("--http", "*:8500", "--http-token-file", str(tokens)).wait_ready()
        carried = ("-H", f"X-Consul-Token: {TOKEN}")
        for path in ("/v1/catalog/nodes", "/v1/agent/self", "/v1/kv/x"):
            status, body = curl(two, f"{at}{path}")
            assert (status, body.startswith("Permission denied: no token")) == (403, True)
        assert curl(two, f"{at}/metrics")[0] == 401
        assert curl(two, "-X", "PUT", f"{at}/v1/agent/leave")[0] == 403
        assert curl(two, "-H", "X-Consul-Token: wrong", f"{at}/v1/agent/self")[0] == 403
        assert curl(one, f"{at}/v1/agent/self")[0] == 403  # our own address that others reach is no loopback
        assert curl(two, f"{at}/healthz")[0] == 200
        wait_for(lambda: curl(two, f"{at}/readyz")[0] == 200)
        assert curl(two, *carried, f"{at}/v1/catalog/nodes")[0] == 200
        assert curl(two, "-u", f"anyone:{TOKEN}", f"{at}/metrics")[0] == 200
        assert curl(one, "http://127.0.0.1:8500/v1/catalog/nodes")[0] == 200  # a read between two ends on loopback
        assert curl(one, "-X", "PUT", "http://127.0.0.1:8500/v1/agent/leave")[0] == 403
        tokens.write_text("another-token-altogether\n")
        sidecar.process.send_signal(signal.SIGHUP)
        wait_for(lambda: curl(two, *carried, f"{at}/v1/catalog/nodes")[0] == 403)
        log = sidecar.log.read_text()
        assert TOKEN not in log
        assert "another-token-altogether" not in log


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_insecure_http_opens_reads_only() -> None:
    with Hosts(2) as hosts:
        one, two = hosts.all
        at = f"http://{one.v4}:8500"
        one.start("--http", f"{one.v4}:8500", "--insecure-http").wait_ready()
        wait_for(lambda: curl(two, f"{at}/v1/catalog/nodes")[0] == 200)
        status, body = curl(two, "-X", "PUT", f"{at}/v1/agent/leave")
        assert (status, body) == (
            403, "Permission denied: without --http-token-file other machines may only read"
        )  # fmt: skip
        assert curl(two, "-X", "POST", "-d", "{}", f"{at}/eureka/apps/WEB")[0] == 401


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_a_socket_user_cannot_stop_it_or_change_others_services() -> None:
    """As the manual's unit has it: one group for those who use the socket, another for operators."""
    users, operators = 64_001, 64_002
    with Sidecars() as cluster:
        one = cluster.start(
            "one", "--socket-group", str(users), "--socket-admin-group", str(operators), "--http",
            f"unix:{cluster.folder}/h",
        ).wait_ready()  # fmt: skip
        cluster.folder.chmod(0o711)
        assert as_user(1000, users, one.socket, "register", name="web", port=80) == "web-80"
        assert "deregister of 'web-80' is not allowed for user 1001: it belongs to user 1000" in as_user(
            1001, users, one.socket, "deregister", id="web-80"
        )
        for verb in ("leave", "maint"):
            assert f"{verb}" in (refusal := as_user(1000, users, one.socket, verb))
            assert f"is not allowed for user 1000: ask root or a member of the group {operators}" in refusal
        assert [found["id"] for found in one.call("lookup", name="web")] == ["web-80"]
        operations = one.call("info")["operations"]
        assert [(done["verb"], done["uid"]) for done in operations] == [("register", 1000)]
        as_user(1001, users, one.socket, "leave", operators)
        assert one.process.wait(BOUND_S) == 0


def as_user(uid: int, gid: int, path: Path, method: str, *groups: int, **params: object) -> str:
    """The id, or what was said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "failed"
        try:
            os.setgroups(groups)
            os.setgid(gid)
            os.setuid(uid)
            with Client(str(path), timeout_s=BOUND_S) as client:
                said = str(client.call(method, **params).get("id", "done"))
        except Refused as error:
            said = str(error)
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(bool(older.missing()), reason=older.missing())
def test_the_first_release_sees_services_with_long_tags() -> None:
    rule = "traefik.http.routers.web.rule=" + "Host(`example.org`) || " * 20
    with Sidecars() as cluster:
        new = cluster.start("new").wait_ready()
        old = cluster.start("old", command=list(older.command())).wait_ready()
        new.call("register", name="web", port=80, tags=["v2", rule.strip(), "blue"])
        wait_for(lambda: bool(old.call("lookup", name="web")))
        assert old.call("lookup", name="web")[0]["tags"] == ["blue", "v2"]
        assert new.call("lookup", name="web")[0]["tags"] == ["v2", rule.strip(), "blue"]
        old.call("register", name="other", port=81, tags=["b", "a"])
        wait_for(lambda: bool(new.call("lookup", name="other")))
        assert new.call("lookup", name="other")[0]["tags"] == ["a", "b"]
