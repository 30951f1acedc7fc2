"""The token file, and where a request carries a token."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import CannotStart
from gossipreg.gateway.http.tokens import TOKEN_MAX_BYTES, TOKENS_MAX, carried_untrusted, read_tokens
from gossipreg.net.http_message import Head

ONE, TWO = b"first-token-of-the-file", b"second/token+of=file"


def head(**headers: bytes) -> Head:
    return Head("GET", b"/", b"1.1", {name.replace("_", "-").encode(): [value] for name, value in headers.items()})


def basic(text: bytes) -> bytes:
    return b"Basic " + base64.b64encode(text)


@pytest.mark.parametrize("data", [
    ONE + b"\n" + TWO + b"\n", b"# old\n" + ONE + b"\r\n\r\n" + TWO, b"\xef\xbb\xbf" + ONE + b"\n  " + TWO + b"  \n#x",
])  # fmt: skip
def test_one_token_a_line_opens(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t").write_bytes(data)
    tokens = read_tokens(str(tmp_path / "t"))
    assert len(tokens) == 2
    for token in (ONE, TWO):
        assert tokens.admit([b"wrong", token])
    for carried in ([], [b""], [ONE + b" "], [ONE[:-1]], [ONE + b"x"], [ONE.upper()], [b"# old"]):
        assert not tokens.admit(carried)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no token"), (b"\n# only words\n", "no token"), (ONE + b"\nwith space\n", "line 2"),
        (b"caf\xc3\xa9\n", "line 1"), (b"a\x00b", "line 1"), (b"x" * (TOKEN_MAX_BYTES + 1), "line 1"),
        (b"x\n" * 40_000, "is not a token file"), (b"x\n" * (TOKENS_MAX + 1), f"at most {TOKENS_MAX}"),
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_a_wrong_token_file_is_an_error_that_shows_no_token(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "t").write_bytes(data)
    with pytest.raises(CannotStart, match=why) as refused:
        read_tokens(str(tmp_path / "t"))
    message = str(refused.value)
    assert message.startswith(f"--http-token-file {tmp_path / 't'}")
    assert "\n" not in message
    assert ONE.decode() not in message
    assert "with space" not in message


@pytest.mark.parametrize("path", ["none", ".", "nul\0"])
def test_a_token_file_that_cannot_be_read_is_one_line(tmp_path: Path, path: str) -> None:
    with pytest.raises(CannotStart, match="--http-token-file"):
        read_tokens(str(tmp_path / path))


def test_tokens_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(ONE)
    tokens = read_tokens(str(tmp_path / "t"))
    assert repr(tokens) == "<1 tokens>"
    assert ONE not in repr(vars(tokens)).encode()


@pytest.mark.parametrize(
    "carrier",
    [
        head(x_consul_token=ONE), head(dapr_api_token=ONE), head(authorization=b"Bearer " + ONE),
        head(authorization=b"bearer  " + ONE), head(authorization=basic(b"eureka:" + ONE)),
        head(authorization=b"BASIC " + base64.b64encode(b":" + ONE)),
        head(x_consul_token=b"other", authorization=b"Bearer " + ONE),
    ],
)  # fmt: skip
def test_a_token_is_found_wherever_clients_put_it(carrier: Head) -> None:
    assert ONE in carried_untrusted(carrier)


def test_a_password_may_have_colons() -> None:
    assert carried_untrusted(head(authorization=basic(b"u:a:b"))) == [b"a:b"]


@given(st.binary(max_size=60), st.sampled_from([b"", b"Basic ", b"Bearer ", b"Digest "]))
def test_any_header_is_read_without_a_failure(value: bytes, scheme: bytes) -> None:
    assert all(isinstance(one, bytes) for one in carried_untrusted(head(authorization=scheme + value)))


def test_all_of_several_headers_count() -> None:
    twice = Head("GET", b"/", b"1.1", {b"x-consul-token": [b"wrong", ONE]})
    assert ONE in carried_untrusted(twice)
    assert carried_untrusted(head(x_consul_token=b"x" * (TOKEN_MAX_BYTES + 1))) == []
