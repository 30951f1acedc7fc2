"""`join`: its flags become Settings, and what the daemon returns is the exit code. The daemon itself does not run."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gossipreg.daemon import main
from gossipreg.daemon.settings import Settings
from gossipreg.extras import install_command
from gossipreg.gateway.dns.gateway import DnsOptions
from gossipreg.net.addresses import Bind
from tests.cli.conftest import Command


@pytest.fixture
def made() -> list[Any]:
    """The gateways that the daemon was started with."""
    return []


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, made: list[Any]) -> list[Settings]:
    """What the daemon was started with."""
    seen: list[Settings] = []

    def run(settings: Settings, *gateways: object) -> int:
        seen.append(settings)
        made.extend(gateways)
        return 0

    monkeypatch.setattr(main, "run", run)
    return seen


def test_without_flags_every_setting_is_the_default(given: list[Settings], command: Command) -> None:
    assert command("join") == (0, "", "")
    assert given == [Settings()]


def test_every_flag_becomes_its_setting(given: list[Settings], command: Command) -> None:
    line = (
        "join --seed 10.0.0.1:7940 --seed srv:_gossipreg._udp.example.org --bind 0.0.0.0:1 --advertise example.org:2 "
        "--name n --cluster c --zone z --label b=2 --label a=1=1 --key-file f --insecure --data-dir d --profile wan "
        "--socket s --socket-group g --log-format json --log-level debug --on-sigterm hold --copies 1 "
        "--min-copies 1 --journal-space 4KiB --history-keep 2d --history-space 5MiB "
        "--host-id h --forget-journals --secrets sec --dapr-app web "
        "--group mail=order.* --group mail=user.* --otlp http://o:4318 --otlp-sample 0.1 --service web --port 80 "
        "--address a --id i --tag t --tag u --meta k=v --weight 7 --subscribe o.*=/o"
    )
    assert command(*line.split()).code == 0
    assert given == [
        Settings(
            seeds=("10.0.0.1:7940", "srv:_gossipreg._udp.example.org"), bind="0.0.0.0:1", advertise="example.org:2",
            name="n", cluster="c", zone="z", labels=(("a", "1=1"), ("b", "2")), key_file="f", insecure=True,
            data_dir="d", profile="wan", socket="s", socket_group="g", log_format="json", log_level="debug",
            on_sigterm="hold", copies=1, min_copies=1, journal_space=4096, host_id="h", forget_journals=True,
            dapr_app="web", secrets="sec", history_keep_s=172_800.0, history_space=5 << 20,
            groups=("mail=order.*", "mail=user.*"), otlp="http://o:4318", otlp_sample=0.1,
            service={
                "name": "web", "port": 80, "address": "a", "id": "i", "tags": ["t", "u"], "meta": {"k": "v"},
                "weight": 7, "subscribe": {"o.*": "/o"},
            },
        )
    ]  # fmt: skip


def test_key_and_socket_come_from_the_environment(
    given: list[Settings], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOSSIPREG_KEY", "a key")
    monkeypatch.setenv("GOSSIPREG_SOCKET", "/run/x.sock")
    command("join")
    assert given == [Settings(key="a key", socket="/run/x.sock")]


def test_empty_variables_are_none(given: list[Settings], command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIPREG_KEY", "")
    monkeypatch.setenv("GOSSIPREG_SOCKET", "")
    command("join")
    assert given == [Settings()]


@pytest.mark.parametrize(
    ("args", "expected"),
    [(["--json", "join"], "json"), (["join", "--json"], "json"), (["join", "--json", "--log-format", "text"], "text")],
)
def test_json_asks_for_json_logs_where_no_format_is_named(
    args: list[str], expected: str, given: list[Settings], command: Command
) -> None:
    command(*args)
    assert given[0].log_format == expected


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_socket_is_the_one_to_make(place: str, given: list[Settings], command: Command) -> None:
    command(*(["--socket", "/tmp/a.sock", "join"] if place == "before" else ["join", "--socket", "/tmp/a.sock"]))
    assert given[0].socket == "/tmp/a.sock"


def test_a_dns_gateway_is_made_where_one_is_asked_for(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[DnsOptions] = []

    def run(_settings: Settings, *gateways: DnsOptions) -> int:
        made.extend(gateways)
        return 0

    monkeypatch.setattr(main, "run", run)
    line = "--dns 127.0.0.1 --dns-domain svc.example.org --dns-ttl 5s --dns-negative-ttl 2s --cluster c"
    assert command("join", *line.split()) == (0, "", "")
    (gateway,) = made
    assert (gateway.where, gateway.ttl_s, gateway.negative_ttl_s) == (Bind(("127.0.0.1",), 8600), 5, 2)
    assert [zone.name for zone in gateway.zones] == [b"\x06consul\0", b"\x03svc\x07example\x03org\0"]
    made.clear()
    assert command("join", "--dns", "[::1]:53").code == 0
    assert command("join", "--dns", "*:53").code == 0
    assert [one.where for one in made] == [Bind(("::1",), 53), Bind(("0.0.0.0", "::"), 53)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--dns-ttl 5s", "--dns HOST:PORT"),
        ("--dns-negative-ttl 5s", "--dns-negative-ttl is about DNS"),
        ("--dns 127.0.0.1 --dns-negative-ttl 48h", "--dns-negative-ttl 172800s"),
        ("--dns-domain example.org", "--dns HOST:PORT"),
        ("--dns 127.0.0.1:99999", "--dns '127.0.0.1:99999'"),
        ("--dns 127.0.0.1 --dns-domain a..b", "--dns-domain 'a..b'"),
        ("--dns 127.0.0.1 --dns-domain x.consul", "answered already"),
        ("--dns 127.0.0.1 --dns-ttl 250ms", "whole seconds"),
    ],
)
def test_a_wrong_dns_flag_is_named_in_one_line(line: str, words: str, given: list[Settings], command: Command) -> None:
    ended = command("join", *line.split())
    assert ended.code == 2
    assert words in ended.err.splitlines()[-1]
    assert given == []


def test_what_the_daemon_returns_is_the_exit_code(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "run", lambda _settings: 42)
    assert command("join").code == 42


@pytest.mark.parametrize("flag", ["--http-token-file=x", "--insecure-http", "--http-host=x", "--ui-writes"])
def test_flags_about_http_need_http(command: Command, flag: str) -> None:
    code, _, err = command("join", flag)
    assert (code, "say where to answer it with --http HOST:PORT" in err) == (2, True)


@pytest.mark.parametrize(
    ("flag", "place"), [("--xds-policy=x", "HOST:PORT"), ("--insecure-xds", "HOST:PORT"), ("--xds-tls", "unix:PATH")]
)
def test_flags_about_xds_need_xds(command: Command, flag: str, place: str) -> None:
    code, _, err = command("join", flag)
    assert (code, f"say where to answer it with --xds {place}" in err) == (2, True)


@pytest.mark.usefixtures("given")
def test_xds_flags_make_the_gateway(made: list[Any], command: Command) -> None:
    line = "--xds 127.0.0.1 --xds unix:/x/xds --insecure-xds --xds-policy p.toml --dns 127.0.0.1 --dns-domain a.org"
    assert command("join", *line.split()).code == 0
    [_, gateway] = made
    assert (gateway.tcp, gateway.unix) == ([Bind(("127.0.0.1",), 18000)], [Path("/x/xds")])
    assert (gateway.insecure, gateway.policy_file, gateway.domain) == (True, "p.toml", "a.org")


@pytest.mark.usefixtures("given")
def test_certificates_are_for_a_unix_socket_and_made_of_a_key(
    made: list[Any], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOSSIPREG_KEY", raising=False)
    unix = ("join", "--xds", "unix:/x/xds", "--xds-tls")
    for line, why in (
        (("join", "--xds", "127.0.0.1", "--xds-tls", "--key-file", "k"), "add --xds unix:PATH"),
        (unix, "makes certificates of the cluster key, and there is none"),
        ((*unix, "--key-file", "k", "--cluster", "Shop"), "'Shop' cannot stand in a SPIFFE id"),
    ):
        ended = command(*line)
        assert (ended.code, why in ended.err) == (2, True), ended.err
    assert command(*unix, "--key-file", "k").code == 0
    assert made[0].tls
    monkeypatch.setenv("GOSSIPREG_KEY", "k")
    assert command(*unix).code == 0


@pytest.mark.parametrize("library", ["h2", "envoy", "google.protobuf"])
def test_xds_without_its_libraries_names_what_installs_them(library: str) -> None:
    program = f"import sys; sys.modules[{library!r}] = None; from gossipreg.cli import main; sys.exit(main())"
    ended = subprocess.run([sys.executable, "-c", program, "join", "--xds", "127.0.0.1"],
                           capture_output=True, text=True, timeout=60)  # fmt: skip
    name = library.partition(".")[0]
    assert ended.returncode == 2, ended.stderr
    assert f"--xds needs libraries that are not installed here ({name}): {install_command('xds')}" in ended.stderr


@pytest.mark.parametrize("flag", ["--key-file", "--services", "--data-dir", "--http-token-file", "--xds-policy"])
def test_an_empty_path_is_wrong_usage(flag: str, given: list[Settings], command: Command) -> None:
    code, _, err = command("join", flag, "")
    assert (code, f"'{flag}': it is empty" in err) == (2, True)
    assert given == []


def test_two_listeners_may_each_find_a_free_port(given: list[Settings], command: Command) -> None:
    command("join", "--http", "127.0.0.1:0", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--xds", "127.0.0.1:0")
    assert len(given) == 1


def test_each_listener_may_leave_its_port_to_the_default(given: list[Settings], command: Command) -> None:
    command("join", "--http", "127.0.0.1", "--dns", "127.0.0.1", "--xds", "127.0.0.1")
    assert len(given) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--http 127.0.0.1:1 --http 127.0.0.1:1", "--http 127.0.0.1:1 is given twice"),
        ("--http 127.0.0.1:1 --dns 127.0.0.1:1", "--http 127.0.0.1:1 is the place of --dns, too"),
        ("--socket /x/s --http unix:/x/s", "--http unix:/x/s is the path of --socket, too"),
        ("--xds 127.0.0.1:1 --xds 127.0.0.1:1", "--xds 127.0.0.1:1 is given twice"),
        ("--xds 127.0.0.1:1 --http 127.0.0.1:1", "--xds 127.0.0.1:1 is the place of --http, too"),
        ("--xds unix:/x/s --http unix:/x/s", "--xds unix:/x/s is the path of --http, too"),
    ],
)
def test_a_place_is_listened_at_only_once(line: str, words: str, given: list[Settings], command: Command) -> None:
    code, _, err = command("join", *line.split())
    assert (code, words in err) == (2, True)
    assert given == []
