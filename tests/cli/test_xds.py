"""`gossipreg xds show` and `xds bootstrap`."""

import json
from typing import Any

import pytest
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.core.v3.config_source_pb2 import ApiConfigSource
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf.json_format import ParseDict

from gossipreg.cli.xds_forms import as_yaml, envoy_bootstrap
from gossipreg.errors import Refused
from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar

TYPE: dict[str, Any] = {
    "type": "cluster", "names": ["billing"], "total": 1, "sent": "0123456789abcdef", "acked": "0123456789abcdef",
    "unanswered": 0, "unknown": 0, "refused": [],
}  # fmt: skip
CLIENT: dict[str, Any] = {
    "number": 1, "id": "shop-1", "kind": "grpc-core", "agent": "gRPC C-core", "version": "1.85.3", "cluster": "",
    "region": "", "zone": "east", "peer": "127.0.0.1:4000", "form": "sotw", "since_s": 75.2, "types": [TYPE],
    "unserved": [], "withheld": [], "service": "",
}  # fmt: skip
REFUSED = {**TYPE, "acked": "", "refused": [{"version": "89abcdef01", "why": "bad\nport", "names": ["billing"]}]}
assert http_protocol_options_pb2.HttpProtocolOptions, "imported so that ParseDict knows it"
SIDECAR = {
    "addresses": ["127.0.0.1:18000", "unix:/run/xds"],
    "zone": "east",
    "local_cluster": "callers",
    "streams": 0,
    "tls": False,
}


@pytest.fixture
def xds_sidecar(sidecar: FakeSidecar) -> FakeSidecar:
    """A sidecar with 250 clients, a hundred on a page."""
    every = [{**CLIENT, "number": number, "id": f"shop-{number}"} for number in range(1, 251)]

    def show(given: dict[str, Any]) -> dict[str, Any]:
        rest = [one for one in every if one["number"] > given.get("after", 0)]
        return {**SIDECAR, "clients": rest[: given["limit"]]}

    sidecar.answers["xds-show"] = show
    return sidecar


def test_every_page_of_clients_is_shown(xds_sidecar: FakeSidecar, command: Command) -> None:
    ended = command("xds", "show")
    lines = ended.out.splitlines()
    assert (ended.code, len(lines)) == (0, 251)
    assert lines[0] == "CLIENT    KIND       VERSION  ZONE  PEER            SINCE  TYPE     SENT      ACKED     NAMES"
    assert lines[250] == (
        "shop-250  grpc-core  1.85.3   east  127.0.0.1:4000  1m     cluster  01234567  01234567  billing"
    )
    assert [given["after"] for _, given in xds_sidecar.seen] == [0, 100, 200, 250]


def test_a_long_text_of_one_client_does_not_make_all_lines_long(sidecar: FakeSidecar, command: Command) -> None:
    long = {
        **CLIENT,
        "id": "i" * 255,
        "version": "v" * 64,
        "zone": "z" * 255,
        "types": [{**TYPE, "names": ["n" * 4096]}],
    }
    sidecar.answers["xds-show"] = lambda given: {**SIDECAR, "clients": [] if given.get("after") else [long, CLIENT]}
    lines = command("xds", "show").out.splitlines()
    assert max(map(len, lines)) < 250
    assert lines[1].startswith("i" * 37 + "...  ")
    assert lines[1].endswith("  " + "n" * 37 + "...")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "no client follows this sidecar: `gossipreg xds bootstrap` prints what one begins with"),
        (("web",), "no client is subscribed to web"),
        (("--client", "shop"), "no client with 'shop' in its id or as its address follows this sidecar"),
        (("web", "--client", "s"), "no client with 's' in its id or as its address is subscribed to web"),
    ],
)
def test_a_list_without_clients_says_why(
    sidecar: FakeSidecar, command: Command, given: tuple[str, ...], said: str
) -> None:
    sidecar.answers["xds-show"] = lambda _: {**SIDECAR, "clients": []}
    ended = command("xds", "show", *given)
    assert (ended.code, len(ended.out.splitlines()), ended.err.strip()) == (0, 1, said)
    assert command("xds", "show", *given, "--json").err == ""


@pytest.mark.usefixtures("xds_sidecar")
def test_an_empty_name_of_a_client_is_refused(command: Command) -> None:
    ended = command("xds", "bootstrap", "--node-id", "")
    assert ended.code == 2
    assert "--node-id is empty: give the client a name, or leave it out." in ended.err


@pytest.mark.usefixtures("xds_sidecar")
def test_a_path_may_be_named_from_the_folder_of_the_caller(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/run")
    for path in ("xds", "./xds", "/run/xds"):
        [server] = json.loads(command("xds", "bootstrap", "--address", f"unix:{path}").out)["xds_servers"]
        assert server["server_uri"] == "unix:/run/xds"


def test_show_in_json_has_all_fields(xds_sidecar: FakeSidecar, command: Command) -> None:
    shown = json.loads(command("xds", "show", "--json").out)
    assert len(shown) == 250
    assert shown[0] == CLIENT | {"id": "shop-1"}
    assert xds_sidecar.seen


def test_name_and_client_go_to_the_sidecar(xds_sidecar: FakeSidecar, command: Command) -> None:
    command("xds", "show", "billing", "--client", "shop")
    assert xds_sidecar.seen[0] == ("xds-show", {"limit": 100, "after": 0, "name": "billing", "client": "shop"})


def test_a_refusal_is_shown_with_its_reason_in_one_line(sidecar: FakeSidecar, command: Command) -> None:
    pages = iter([[{**CLIENT, "types": [REFUSED]}], []])
    sidecar.answers["xds-show"] = lambda _: {**SIDECAR, "clients": next(pages)}
    out = command("xds", "show").out
    assert out.splitlines()[-1] == "shop-1 refuses cluster billing in version 89abcdef: bad\\nport"


def test_a_client_that_asked_for_nothing_is_shown(sidecar: FakeSidecar, command: Command) -> None:
    pages = iter([[{**CLIENT, "types": []}], []])
    sidecar.answers["xds-show"] = lambda _: {**SIDECAR, "clients": next(pages)}
    assert command("xds", "show").out.splitlines()[1].split()[-4:] == ["-"] * 4


def test_many_names_are_cut_for_people(sidecar: FakeSidecar, command: Command) -> None:
    many = {**TYPE, "names": ["*", *"abcdefgh"], "total": 8}
    pages = iter([[{**CLIENT, "types": [many]}], []])
    sidecar.answers["xds-show"] = lambda _: {**SIDECAR, "clients": next(pages)}
    assert command("xds", "show").out.splitlines()[1].endswith("  * a b c d and 4 more")


def test_without_xds_the_sidecar_says_what_is_missing(sidecar: FakeSidecar, command: Command) -> None:
    def refuse(_given: object) -> None:
        raise Refused("this sidecar is no xDS control plane: start it with --xds HOST:PORT")

    sidecar.answers["xds-show"] = refuse
    for line in (("xds", "show"), ("xds", "bootstrap")):
        ended = command(*line)
        assert (ended.code, ended.out) == (4, "")
        assert "start it with --xds" in ended.err


def test_a_grpc_bootstrap_has_address_zone_and_node(xds_sidecar: FakeSidecar, command: Command) -> None:
    ended = command("xds", "bootstrap", "--node-id", "shop-1")
    assert xds_sidecar.seen
    assert ended.out.count("\n") == 1  # fit for a variable
    assert json.loads(ended.out) == {
        "xds_servers": [{
            "server_uri": "127.0.0.1:18000", "channel_creds": [{"type": "insecure"}],
            "server_features": ["xds_v3", "ignore_resource_deletion"],
        }],
        "node": {"id": "shop-1", "locality": {"zone": "east"}},
    }  # fmt: skip


def test_a_bootstrap_without_a_zone_has_a_locality(xds_sidecar: FakeSidecar, command: Command) -> None:
    """Without one every call of grpc-js 1.14 fails: findings/grpc-js-xds-needs-a-locality.sh."""
    made = json.loads(command("xds", "bootstrap", "--zone", "").out)
    assert made["node"]["locality"] == {"zone": ""}
    assert xds_sidecar.seen


def test_a_bootstrap_can_choose_address_and_zone(xds_sidecar: FakeSidecar, command: Command) -> None:
    made = json.loads(command("xds", "bootstrap", "--address", "unix:/run/xds", "--zone", "west").out)
    assert made["xds_servers"][0]["server_uri"] == "unix:/run/xds"
    assert made["node"]["locality"] == {"zone": "west"}
    assert made["node"]["id"]
    ended = command("xds", "bootstrap", "--address", "unix:/other")
    assert ended.code == 2
    assert "choose from 127.0.0.1:18000, unix:/run/xds" in ended.err
    assert xds_sidecar.seen


@pytest.mark.parametrize(
    ("listens", "reached"),
    [("0.0.0.0:18000", "127.0.0.1:18000"), ("[::]:18000", "[::1]:18000"), ("10.0.0.7:18000", "10.0.0.7:18000")],
)
def test_a_wildcard_is_reached_by_loopback(sidecar: FakeSidecar, command: Command, listens: str, reached: str) -> None:
    sidecar.answers["xds-show"] = lambda _: {**SIDECAR, "addresses": [listens], "clients": []}
    assert json.loads(command("xds", "bootstrap").out)["xds_servers"][0]["server_uri"] == reached


@pytest.mark.parametrize("flags", [("--delta",), ("--yaml",), ("--admin-port", "9000"), ("--service", "web")])
def test_what_is_for_envoy_is_refused_for_grpc(command: Command, flags: tuple[str, ...]) -> None:
    ended = command("xds", "bootstrap", *flags)
    assert ended.code == 2
    assert f"{flags[0]} is for Envoy" in ended.err


@pytest.mark.parametrize("delta", [False, True])
def test_an_envoy_bootstrap_is_one_by_the_protobufs_of_xds(
    xds_sidecar: FakeSidecar, command: Command, delta: bool
) -> None:
    flags = ("--delta",) if delta else ()
    made = json.loads(command("xds", "bootstrap", "--envoy", "--node-id", "edge", "--admin-port", "9000", *flags).out)
    read = ParseDict(made, Bootstrap())
    assert (read.node.id, read.node.locality.zone, read.cluster_manager.local_cluster_name) == (
        "edge",
        "east",
        "callers",
    )
    assert read.admin.address.socket_address.address == "127.0.0.1"
    assert read.admin.address.socket_address.port_value == 9000
    assert read.dynamic_resources.ads_config.api_type == (ApiConfigSource.DELTA_GRPC if delta else ApiConfigSource.GRPC)
    sidecar, callers = read.static_resources.clusters
    endpoint = sidecar.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address
    assert (endpoint.address, endpoint.port_value, callers.name) == ("127.0.0.1", 18000, "callers")
    assert xds_sidecar.seen


TLS = {**SIDECAR, "tls": True, "clients": []}


def test_the_bootstrap_of_a_services_envoy_says_so_on_a_unix_socket(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["xds-show"] = lambda _: TLS
    read = ParseDict(json.loads(command("xds", "bootstrap", "--envoy", "--service", "web").out), Bootstrap())
    assert read.node.metadata.fields["gossipreg"].struct_value.fields["service"].string_value == "web"
    endpoint = read.static_resources.clusters[0].load_assignment.endpoints[0].lb_endpoints[0].endpoint
    assert endpoint.address.pipe.path == "/run/xds"
    ended = command("xds", "bootstrap", "--envoy", "--service", "web", "--address", "127.0.0.1:18000")
    assert (ended.code, "choose from unix:/run/xds" in ended.err) == (2, True)


def test_a_sidecar_without_certificates_has_no_envoy_of_a_service(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["xds-show"] = lambda _: {**TLS, "tls": False}
    ended = command("xds", "bootstrap", "--envoy", "--service", "web")
    assert (ended.code, ended.out, "start it with --xds-tls" in ended.err) == (2, "", True)


def test_what_is_withheld_is_shown_with_the_reason(sidecar: FakeSidecar, command: Command) -> None:
    pages = iter([[{**CLIENT, "withheld": ["no instance of web is registered"]}], []])
    sidecar.answers["xds-show"] = lambda _: {**SIDECAR, "clients": next(pages)}
    out = command("xds", "show").out
    assert out.splitlines()[-1] == "shop-1 does not get what it asks for: no instance of web is registered"


def test_envoy_reaches_a_unix_socket_and_ipv6() -> None:
    def address(text: str) -> Any:
        made = envoy_bootstrap(text, {"id": "a"}, delta=False, admin_port=1, local="callers")
        read = ParseDict(made, Bootstrap())
        return read.static_resources.clusters[0].load_assignment.endpoints[0].lb_endpoints[0].endpoint.address

    assert address("unix:/run/xds").pipe.path == "/run/xds"
    assert address("[::1]:18000").socket_address.address == "::1"


def test_yaml_says_the_same_as_json() -> None:
    form = {"a": {"b": [{"c": "d: #", "e": [1, "x"], "f": {}}, {"g": True}], "@type": "q"}, "h": []}
    assert as_yaml(form) == (
        'a:\n  b:\n    - c: "d: #"\n      e:\n        - 1\n        - "x"\n      f: {}\n    - g: true\n'
        '  "@type": "q"\nh: []\n'
    )
