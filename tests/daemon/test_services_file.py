"""The file of several services: what is right is taken whole, what is wrong is one line and nothing is used."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.params import registration_untrusted
from gossipreg.daemon.services_file import MAX_BYTES, parse_services_untrusted, read_services
from gossipreg.errors import CannotStart

GOOD = """
[[service]]
name = "billing"
port = 8080
tags = ["v2"]
meta = { path = "/api" }
checks = ["tcp://127.0.0.1:8080,interval=5s"]

[[service]]
name = "stock"
port = 8081
id = "s"
weight = 3
"""


def test_a_file_gives_the_parameters_of_register() -> None:
    assert parse_services_untrusted(GOOD.encode(), "f") == (
        {
            "name": "billing", "port": 8080, "tags": ["v2"], "meta": {"path": "/api"},
            "checks": ["tcp://127.0.0.1:8080,interval=5s"],
        },
        {"name": "stock", "port": 8081, "id": "s", "weight": 3},
    )  # fmt: skip
    assert parse_services_untrusted(b"", "f") == ()


def test_a_check_in_a_file_may_be_a_table() -> None:
    text = """[[service]]
name = "x"
port = 0
checks = ["ttl:5s", {check = "http://h/,a", interval = "5s", verify = false, header = {A = ["b, c"]}}]
"""
    with pytest.raises(CannotStart, match="http checks have no verify"):
        parse_services_untrusted(text.encode(), "f")
    [service] = parse_services_untrusted(text.replace("verify = false, ", "").encode(), "f")
    registration = registration_untrusted("register", service, default_host="h")
    assert registration.checks[1].headers == (("A", "b, c"),)
    assert (registration.checks[1].target, registration.service.id) == ("http://h/,a", "x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[service]\n", "not TOML"),
        ("a = " + "[" * 10_000, "not TOML"),
        ("services = 1", "'services' is unknown"),
        ("service = 1", "[[service]]"),
        ("[service]\nname = 'x'", "[[service]]"),
        ("[[service]]\nport = 1", "service 1 ('without a name'): service needs the parameter name"),
        ("[[service]]\nname = 'x'\nport = -1", "service 1 ('x'): port is -1"),
        ("[[service]]\nname = 'x'\nport = 2024-01-01", "service 1 ('x'): port is"),
        ("[[service]]\nname = 'x'\nport = 1\nprot = 2", "no parameter 'prot'"),
        ("[[service]]\nname = 'x'\nport = 1\n[[service]]\nname = 'x'\nport = 1", "service 1 has the id 'x-1' too"),
        ("[[service]]\nname = 'x'\nport = 1\nchecks = ['ftp://x']", "ftp://x"),
        ("[[service]]\nname = 'x'\nport = 1\nchecks = [{interval = '5s'}]", "a table without `check`"),
        ("[[service]]\nname = 'x'\nport = 1\nchecks = [{check = 'tcp://h:1', foo = 1}]", "'foo' is not an option"),
        ("[[service]]\n" * 5000, "at most 4096"),
    ],
)
def test_what_is_wrong_is_named_with_the_service_in_one_line(text: str, words: str) -> None:
    with pytest.raises(CannotStart) as raised:
        parse_services_untrusted(text.encode(), "--services f")
    assert words in str(raised.value)
    assert str(raised.value).startswith("--services f: ")
    assert str(raised.value).isprintable()


@given(st.binary() | st.text().map(str.encode) | st.text().map(lambda text: f"{GOOD}{text}".encode()))
def test_whatever_stands_in_it_no_other_error_comes_out(data: bytes) -> None:
    try:
        parse_services_untrusted(data, "f")
        message = ""
    except CannotStart as error:
        message = str(error)
    assert "\n" not in message


def test_what_is_no_readable_file_is_said(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    huge.write_bytes(b"#" * (MAX_BYTES + 1))
    for path, words in (
        (tmp_path / "nowhere", "No such file"), (tmp_path, "not a regular file"), (huge, "more than"),
        (Path("/dev/zero"), "not a regular file"), ("a\0b", "null"),
    ):  # fmt: skip
        with pytest.raises(CannotStart, match=words):
            read_services(str(path))
