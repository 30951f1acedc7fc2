"""The file of --xds-policy: what it says, and the one line that names each fault."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadConfig, CannotStart
from gossipreg.gateway.xds.gateway import XdsOptions
from gossipreg.gateway.xds.model import ClientKind
from gossipreg.gateway.xds.resources import policy_file
from gossipreg.gateway.xds.resources.policy import (
    HONOURED,
    Balancing,
    ClusterLimits,
    HeaderCondition,
    HeaderRoute,
    Matching,
    MirrorPolicy,
    OutlierPolicy,
    RetryPolicy,
    ServicePolicy,
    XdsPolicy,
    ignored_by,
)
from gossipreg.gateway.xds.resources.policy_file import read_policy, read_policy_untrusted
from tests.gateway.xds.known_registry import policy_of


def example() -> str:
    """The file that the module shows."""
    shown = (policy_file.__doc__ or "").partition("\n\n")[2].partition("\n\nEvery fault")[0]
    return "\n".join(line[4:] for line in shown.splitlines())


@pytest.mark.parametrize("table", ["[default]", "[service.web]"])
def test_required_tls_needs_the_flag_that_hands_out_certificates(tmp_path: Path, table: str) -> None:
    """Without it no client could call the service, and nothing would say why."""
    file = tmp_path / "p.toml"
    file.write_text(f'{table}\ntls = "require"\n')
    with pytest.raises(BadConfig, match='tls = "require" needs --xds-tls'):
        XdsOptions([], policy_file=str(file)).open()
    XdsOptions([], policy_file=str(file), tls=True).open().close()


def test_tls_is_required_or_left_out() -> None:
    with pytest.raises(BadConfig, match=r'tls is .*: write "require", or leave it out'):
        policy_of('[service.web]\ntls = "yes"\n')


def test_the_example_of_the_module_is_read() -> None:
    assert policy_of(example()) == XdsPolicy(
        "127.0.0.1", 10_000, ServicePolicy(timeout_s=30.0), {
            "web": ServicePolicy(
                timeout_s=30.0, retries=RetryPolicy(2, ("unavailable",), 1.0),
                limits=ClusterLimits(100, 50, 200, 3),
                outlier=OutlierPolicy(consecutive_5xx=5, interval_s=10.0, ejection_time_s=30.0),
                lb=Balancing.RING_HASH, hash_header="x-user", split=(("v1", 90), ("v2", 10)),
                routes=(HeaderRoute((
                    HeaderCondition("x-canary", Matching.EXACT, "yes"),
                    HeaderCondition("x-user", Matching.PREFIX, "test-"),
                ), "v2"),),
                mirror=MirrorPolicy("v3.web", 5.0), tls_required=True,
            )
        },
    )  # fmt: skip


def test_an_empty_file_sets_nothing() -> None:
    assert policy_of("") == XdsPolicy()


def test_names_are_compared_in_any_case_and_inherit_the_default() -> None:
    policy = policy_of('[default]\ntimeout = 3\n[service.Web]\nlb = "random"\n[service."a.b"]\ntimeout = "1s"')
    assert policy.of("WEB") == ServicePolicy(timeout_s=3.0, lb=Balancing.RANDOM)
    assert policy.of("a.b").timeout_s == 1.0
    assert policy.of("other") == policy.default
    assert [policy.section(name) for name in ("wEb", "other")] == ["[service.web]", "[default]"]


def test_a_share_of_0_is_no_part_of_a_split() -> None:
    assert policy_of("[service.web]\nsplit = { v1 = 0, v2 = 7 }").of("web").split == (("v2", 7),)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[listn]", "'listn' is unknown: choose from listen, default, service"),
        ("listen = 3", "listen is 3: write a table"),
        ("[listen]\nport = 0", "[listen] port is 0: write a whole number from 1 to 65535"),
        ("[listen]\nport = true", "[listen] port is True: write a whole number from 1 to 65535"),
        ('[listen]\naddress = "localhost"', "[listen] address is 'localhost': write an IP address"),
        ('[listen]\naddress = "224.0.0.1"', "[listen] address is '224.0.0.1': write an address where Envoy can listen"),
        ('[listen]\naddress = "fe80::1"', "[listen] address is 'fe80::1': write an address where Envoy can listen"),
        ('[listen]\naddress = "255.255.255.255"', "write an address where Envoy can listen"),
        ('[listen]\naddress = "fe80::1%lo"', "[listen] address is 'fe80::1%lo': write an IP address"),
        ("[default]\nsplit = { v1 = 1 }", "[default] split is of one service: write it under [service.NAME]"),
        ('[default]\nmirror = { to = "x" }', "[default] mirror is of one service"),
        ("service = 3", "service is 3: write a table"),
        ("[service]\nweb = 3", "[service.web] is 3: write a table"),
        ('[service."a b"]', "[service.a b] is no name of a service"),
        ("[service.web]\n[service.WEB]", "[service.WEB] is there twice"),
        ("[service.web]\ntimout = 3", "[service.web]: 'timout' is unknown: choose from timeout, retries, "),
        ('[service.web]\ntimeout = "soon"', "[service.web] timeout: 'soon' is not a duration"),
        ("[service.web]\ntimeout = 0", "[service.web] timeout is 0: write a time of at least 1ms"),
        ("[service.web]\ntimeout = inf", "[service.web] timeout: 'inf' is not a duration"),
        ("[service.web]\ntimeout = true", "[service.web] timeout is True: write a time"),
        ("[service.web]\nretries = {}", "[service.web] retries is empty: choose from attempts, on, per_try_timeout"),
        ("[service.web]\nretries = 3", "[service.web] retries is 3: write a table"),
        ("[service.web]\nretries = { attempts = 0 }", "retries attempts is 0: write a whole number from 1 to 100"),
        ('[service.web]\nretries = { on = ["never"] }', "retries on is ['never']: write a list of 5xx, "),
        (
            "[service.web]\nlimits = { requests = -1 }",
            "limits requests is -1: write a whole number from 1 to 4294967295",
        ),
        ("[service.web]\nlimits = { request = 1 }", "limits: 'request' is unknown: choose from connections, pending, "),
        ("[service.web]\noutlier = { interval = 1 }", "outlier says not what an outlier is"),
        ("[service.web]\noutlier = { consecutive_5xx = 1, minimum_hosts = 1 }", "are about failure_percentage"),
        ("[service.web]\noutlier = { failure_percentage = 101 }", "failure_percentage is 101: write a whole number"),
        (
            '[service.web]\nlb = "best"',
            "lb is 'best': write one of round_robin, least_request, ring_hash, random, maglev",
        ),
        ("[service.web]\nlb = []", "lb is []: write one of"),
        ('[service.web]\nhash_header = "a b"', "hash_header is 'a b': write the name of a header"),
        ('[service.web]\nhash_header = "x-bin"', "hash_header is 'x-bin': write the name of a header"),
        (
            '[service.web]\nhash_header = "x"',
            '[service.web] hash_header has no effect with lb = "round_robin": write lb = "ring_hash" or "maglev", or '
            "leave it out",
        ),
        ('[service.web]\nlb = "random"\nhash_header = "x"', 'has no effect with lb = "random"'),
        ('[default]\nlb = "ring_hash"\n[service.web]\nlb = "random"\nhash_header = "x"', "[service.web] hash_header"),
        ('[default]\nhash_header = "x"\n[service.web]\ntimeout = 1', "[default] hash_header has no effect"),
        (
            '[default]\nhash_header = "x"\n[service.web]\nlb = "maglev"\nhash_header = "y"',
            "[default] hash_header has no effect",
        ),
        ("[service.web]\nsplit = {}", "split is {}: write a share above 0"),
        ("[service.web]\nsplit = { v1 = 0 }", "split is {'v1': 0}: write a share above 0"),
        ("[service.web]\nsplit = { v1 = 1.5 }", "split.v1 is 1.5: write a whole number from 0 to 1000000"),
        ("[service.web]\nsplit = { v1 = 1, V1 = 2 }", "split has a tag twice"),
        ("[service.web]\nsplit = { v1 = 9, 'a\"b' = 1 }", "split is 'a\"b': write a tag without \" and \\"),
        ("[service.web]\nsplit = { v1 = 9, 'a\\b' = 0 }", "with which gRPC clients on C-core fail every call"),
        ("[[service.web.route]]\nheaders = { x = 'a' }\ntag = '\"'", "route 1 tag is '\"': write a tag without"),
        ("[service.web]\nsplit = { '' = 1 }", "split is '': write text of 1 to 1024 bytes"),
        ("[service.web]\nmirror = { percent = 5 }", "mirror says not where to: add to = NAME"),
        ("[service.web]\nmirror = { to = '*' }", "mirror to is '*': to Envoy this name means all names; write another"),
        ("[service.web]\nmirror = { to = 'Gossipreg-XDS' }", "mirror to is 'gossipreg-xds': to Envoy this name means"),
        (
            '[service.web]\nmirror = { to = "x", percent = 0 }',
            "mirror percent is 0: write a number from 0.0001 to 100",
        ),
        ('[service.web]\nmirror = { to = "x", percent = 0.00004 }', "mirror percent is 4e-05: write a number from"),
        ('[service.web]\nmirror = { to = "x", percent = nan }', "mirror percent is nan: write a number"),
        ("[service.web]\nroute = []", "route is []: write 1 to 64 tables [[service.NAME.route]]"),
        ("[service.web]\nroute = [1]", "route 1 is 1: write a table"),
        ('[[service.web.route]]\ntag = "v1"', "route 1 needs both headers and tag"),
        ("[[service.web.route]]\nheaders = {}\ntag = 'v1'", "route 1 headers is {}: write 1 to 64 headers"),
        (
            "[[service.web.route]]\nheaders = { x = 1 }\ntag = 'v1'",
            "headers.x is 1: write a text, or a table with one of",
        ),
        ("[[service.web.route]]\nheaders = { x = { like = 'a' } }\ntag = 'v1'", "write a text, or a table with one of"),
        ("[[service.web.route]]\nheaders = { x = { present = 1 } }\ntag = 'v'", "headers.x.present is 1: write true"),
        (
            "[[service.web.route]]\nheaders = { ':x' = 'a' }\ntag = 'v1'",
            "headers.:x is ':x': write the name of a header",
        ),
        ('[service."a\\nb"]', "[service.'a\\nb'] is no name of a service"),
        ('[[service.web.route]]\nheaders = { "a\\nb" = 1 }\ntag = "v"', "headers.'a\\nb' is 1: write a text"),
        ("x = ", "not TOML: "),
        ("x = " + "[" * 5000, "not TOML: "),
    ],
)
def test_a_fault_is_one_line_with_file_table_and_value(text: str, fault: str) -> None:
    with pytest.raises(BadConfig) as raised:
        policy_of(text)
    said = str(raised.value)
    assert said.startswith("--xds-policy p.toml: ")
    assert fault in said
    assert "\n" not in said
    assert len(said) < 400


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="none: No such file"):
        read_policy(str(tmp_path / "none"))
    with pytest.raises(BadConfig, match="not a regular file"):
        read_policy(str(tmp_path))
    with pytest.raises(CannotStart, match="null"):
        read_policy("a\0b")
    big = tmp_path / "big"
    big.write_bytes(b"#" * (policy_file.FILE_MAX_BYTES + 1))
    with pytest.raises(BadConfig, match="more than 1048576 bytes"):
        read_policy(str(big))
    big.write_bytes(b"\xff")
    with pytest.raises(BadConfig, match="not UTF-8 at byte 0"):
        read_policy(str(big))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_raise_anything_but_bad_config(data: bytes) -> None:
    with suppress(BadConfig):
        read_policy_untrusted(data, "file")


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ('[service.web]\nlb = "maglev"\nhash_header = "x"', "x"),
        ('[default]\nhash_header = "x"\n[service.web]\nlb = "ring_hash"', "x"),
        ('[default]\nlb = "ring_hash"\n[service.web]\nhash_header = "x"', "x"),
        ('[default]\nlb = "ring_hash"\nhash_header = "x"\n[service.web]\nlb = "round_robin"', "x"),
        ('[service.web]\nlb = "ring_hash"', ""),
    ],
)
def test_a_header_to_hash_by_may_come_from_either_table(text: str, header: str) -> None:
    assert policy_of(text).of("web").hash_header == header


def test_what_a_kind_of_client_ignores_is_named() -> None:
    policy = policy_of(example()).of("web")
    assert ignored_by(policy, ClientKind.ENVOY) == ()
    assert ignored_by(policy, ClientKind.GRPC_CORE) == (
        "timeout", "retries.per_try_timeout", "limits.connections", "limits.pending", "limits.retries",
        "outlier.consecutive_5xx", "mirror",
    )  # fmt: skip
    assert {*ignored_by(policy, ClientKind.GRPC_CORE)} - {*ignored_by(policy, ClientKind.GRPC_JS)} == {"timeout"}


def test_any_other_grpc_client_gets_what_both_known_ones_honour() -> None:
    for setting, kinds in HONOURED.items():
        both = {ClientKind.GRPC_CORE, ClientKind.GRPC_JS} <= kinds
        assert (ClientKind.GRPC in kinds) == both, setting


def test_each_setting_has_its_line_among_those_that_are_honoured() -> None:
    every = policy_of(example().replace("consecutive_5xx = 5", "consecutive_5xx = 5, failure_percentage = 50")).of(
        "web"
    )
    named = {*every.settings(), "retries on other faults", *(f"lb = {lb}" for lb in Balancing if lb != "round_robin")}
    assert named == {*HONOURED}
