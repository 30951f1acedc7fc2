"""What may begin a request is what h11 takes for one, however it is cut."""

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossipreg.net.other_protocols import OtherProtocol, refuse_other_protocols_untrusted

LINES = st.builds(
    lambda line, at, junk, end: line[:at] + junk + line[at:] + end,
    st.sampled_from([b"GET / HTTP/1.1", b"PRI * HTTP/2.0", b"M-SEARCH * HTTP/1.0", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2"]),
    st.integers(0, 15),
    st.binary(max_size=2),
    st.sampled_from([b"\r\n", b"\n"]),
)


def refused(data: bytes) -> bool:
    try:
        refuse_other_protocols_untrusted(data)
    except OtherProtocol:
        return True
    return False


@given(LINES.filter(lambda line: line.lstrip(b"\r\n") == line))
@example(b"GET /\x80 HTTP/1.1\r\n")
def test_a_first_line_is_refused_exactly_where_h11_refuses_it(line: bytes) -> None:
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(line + b"Host: a\r\n\r\n")
    try:
        read = isinstance(parser.next_event(), h11.Request)
    except h11.RemoteProtocolError as error:
        read = "request line" not in str(error)
    assert refused(line) is not read


@given(LINES.filter(lambda line: line.lstrip(b"\r\n") == line), st.integers(0, 60))
def test_no_beginning_of_a_good_line_is_refused(line: bytes, at: int) -> None:
    assert refused(line) or not refused(line[:at])


@pytest.mark.parametrize(
    "whole",
    [b"GET /v1/status/leader HTTP/1.1\r\nHost: a\r\n", b"PRI * HTTP/2.0\r\n", b"GET /" + b"a" * 500 + b" HTTP/1.1\r\n"],
)
def test_no_part_of_a_request_is_refused(whole: bytes) -> None:
    assert not [at for at in range(len(whole) + 1) if refused(whole[:at])]
