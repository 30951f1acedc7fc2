"""Targets and guards: percent-encoding, hosts, origins."""

from contextlib import suppress
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadConfig
from gossipreg.gateway.http.guard import Guard
from gossipreg.gateway.http.message import Head, HttpError, target_untrusted

PRINTABLE = st.text(st.characters(codec="utf-8"), max_size=20).filter(str.isprintable)


@given(st.lists(PRINTABLE, min_size=1, max_size=5), st.dictionaries(PRINTABLE.filter(bool), PRINTABLE, max_size=5))
def test_what_is_encoded_comes_out_again(segments: list[str], query: dict[str, str]) -> None:
    target = "/" + "/".join(quote(segment, safe="") for segment in segments) + "?" + urlencode(query)
    found = target_untrusted(target.encode())
    assert found.path == tuple(segments)
    assert found.query == {name: [value] for name, value in query.items()}


@given(st.binary(max_size=60))
def test_any_target_is_taken_apart_or_a_400(data: bytes) -> None:
    with suppress(HttpError):
        assert all(segment.isprintable() for segment in target_untrusted(b"/" + data).path)


@pytest.mark.parametrize("value", ["one\nline\tmore\r\n", "\u200d\U0001f468", "\u00a0", "\x7f"])
def test_what_a_field_says_may_have_lines_and_any_character_of_text(value: str) -> None:
    assert target_untrusted(b"/?note=" + quote(value).encode()).query == {"note": [value]}


def test_an_encoded_slash_is_part_of_a_name_and_is_decoded_once() -> None:
    assert target_untrusted(b"/v1/agent/service/a%2Fb").path == ("v1", "agent", "service", "a/b")
    assert target_untrusted(b"/a%252Fb").path == ("a%2Fb",)
    assert target_untrusted(b"/%2e%2e/x").path == ("..", "x")  # a name like others: nothing here walks up
    assert target_untrusted(b"http://h:1/v1/x?a=b").path == ("v1", "x")


@pytest.mark.parametrize(
    "target",
    [b"/%", b"/%4", b"/%zz", b"/%00", b"/a%0d%0aX:1", b"/%ff", b"/%c0%ae", b"/%ed%a0%80", b"/\xff", b"/?a=%", b"x",
     b"/?a=%00", b"/?a=%1b", b"/?a%0a=1",
     b"*", b"ftp://x/", b"/" + b"a/" * 40, b"/?" + b"&".join(b"a=1" for _ in range(65)), b"/%E2%80%AE"],
)  # fmt: skip
def test_tricks_of_encoding_are_a_400(target: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        target_untrusted(target)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "name", ["", "a b", "http://registry.lan", "registry.lan:8500", "a/b", "r\u00e9g.lan", "[::1]"]
)
def test_a_name_to_go_by_that_no_request_could_have_is_refused_at_the_start(name: str) -> None:
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
    for origin in ("http://evil.example", "null", "https://127.0.0.1:8500", "http://127.0.0.1:9999", ""):
        assert _refused(host="127.0.0.1:8500", origin=origin)
    for site in ("cross-site", "same-site", ""):
        assert _refused(host="127.0.0.1:8500", sec_fetch_site=site)


def test_a_program_that_names_no_host_is_none_of_a_browser() -> None:
    assert not _refused()
    assert _refused(origin="http://127.0.0.1")
