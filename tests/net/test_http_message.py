"""Targets: how they are taken apart and percent-decoded."""

from contextlib import suppress
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.net.http_message import HttpError, target_untrusted

PRINTABLE = st.text(st.characters(codec="utf-8"), max_size=20).filter(str.isprintable)


@given(st.lists(PRINTABLE, min_size=1, max_size=5), st.dictionaries(PRINTABLE.filter(bool), PRINTABLE, max_size=5))
def test_an_encoded_target_is_decoded_to_the_same_text(segments: list[str], query: dict[str, str]) -> None:
    target = "/" + "/".join(quote(segment, safe="") for segment in segments) + "?" + urlencode(query)
    found = target_untrusted(target.encode())
    assert found.path == tuple(segments)
    assert found.query == {name: [value] for name, value in query.items()}


@given(st.binary(max_size=60))
def test_any_target_is_taken_apart_or_a_400(data: bytes) -> None:
    with suppress(HttpError):
        assert all(segment.isprintable() for segment in target_untrusted(b"/" + data).path)


@pytest.mark.parametrize("value", ["one\nline\tmore\r\n", "\u200d\U0001f468", "\u00a0", "\x7f"])
def test_the_value_of_a_field_may_have_lines_and_any_character(value: str) -> None:
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
