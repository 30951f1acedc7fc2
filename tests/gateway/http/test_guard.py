"""The hosts and origins that may ask."""

import pytest

from gossipreg.errors import BadConfig
from gossipreg.gateway.http.guard import Guard
from gossipreg.net.http_message import Head, HttpError


@pytest.mark.parametrize(
    "name", ["", "a b", "http://registry.lan", "registry.lan:8500", "a/b", "r\u00e9g.lan", "[::1]"]
)
def test_a_host_name_that_no_request_can_have_is_refused(name: str) -> None:
    with pytest.raises(BadConfig, match="--http-host"):
        Guard([name])


def _refused(**headers: str) -> bool:
    guard = Guard(["Registry.lan."])
    head = Head("GET", b"/", b"1.1", {n.replace("_", "-").encode(): [v.encode()] for n, v in headers.items()})
    try:
        guard.check_untrusted(head)
    except HttpError as error:
        return error.status == 403
    return False


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8500", "127.0.0.1", "[::1]:8500", "[::1]", "localhost", "LOCALHOST:1", "localhost.", "app.localhost:8",
     "registry.lan", "REGISTRY.LAN:8500", "10.1.2.3:8500", "127.0.0.1:"],
)  # fmt: skip
def test_addresses_and_names_of_ours_are_fine(host: str) -> None:
    assert not _refused(host=host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8500", "127.0.0.1.evil.example", "localhost.evil.example", "", ":8500",
     "127.0.0.1:x", "user@127.0.0.1", "127.0.0.1/x", "[::1", "[localhost]", "::1", "127.0.0.1 evil", "2130706433x",
     "evil.example#localhost",
     "notlocalhost", "\u0261ossip", "127.0.0.1:80:80"],
)  # fmt: skip
def test_dns_rebinding_is_refused(host: str) -> None:
    assert _refused(host=host)


def test_pages_of_others_are_refused_and_our_own_are_not() -> None:
    assert not _refused(host="127.0.0.1:8500", origin="http://127.0.0.1:8500")
    assert not _refused(host="127.0.0.1:8500", sec_fetch_site="same-origin")
    assert not _refused(host="127.0.0.1:8500", sec_fetch_site="none")  # typed into the address bar
    assert not _refused(host="127.0.0.1:8500", origin="https://127.0.0.1:8500"), "a proxy with TLS in front"
    for origin in ("http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:9999", "", "127.0.0.1:8500"):
        assert _refused(host="127.0.0.1:8500", origin=origin)
    for site in ("cross-site", "same-site", ""):
        assert _refused(host="127.0.0.1:8500", sec_fetch_site=site)


def test_a_program_that_names_no_host_is_none_of_a_browser() -> None:
    assert not _refused()
    assert _refused(origin="http://127.0.0.1")
