"""What programs say is never kept; how they failed is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.history.own_words import own_output, own_status

SECRET = "s3cr3t-of-a-program"


@pytest.mark.parametrize(
    ("kind", "output", "kept"),
    [
        ("http", f"HTTP 500 Internal Server Error {SECRET}", "HTTP 500"),
        ("cmd", f"exit code 2: {SECRET}", "exit code 2"),
        ("cmd", "exit code 2; 1 of 3 in a row", "exit code 2"),
        ("cmd", f"ended by SIGKILL: {SECRET}", "ended by SIGKILL"),
        ("tcp", "connection refused", "connection refused"),
        ("tcp", "connection refused; 2 of 3 in a row", "connection refused"),
        ("https", "no answer within 5s", "no answer within 5s"),
        ("https", f"no answer within 0.5s: {SECRET}", "no answer within 0.5s"),
        ("ttl", "no heartbeat for 30s", "no heartbeat for 30s"),
        ("http", "name not resolved: Name or service not known", "name not resolved: Name or service not known"),
        ("https", "TLS: certificate has expired", "TLS: certificate has expired"),
        ("http", f"no HTTP: illegal status line: bytearray(b'{SECRET}')", "no HTTP"),
        ("grpc", "NOT_SERVING", "NOT_SERVING"),
        ("ttl", SECRET, ""),
        ("ttl", "", ""),
        ("cmd", f"TLS: {SECRET}", ""),
        ("ttl", f"exit code 2 {SECRET}", ""),
        ("grpc", f"UNAVAILABLE: {SECRET}", ""),
        ("alias", "web-1 on a is critical", "web-1 on a is critical"),
    ],
)
def test_the_output_of_a_check_is_kept_without_what_a_program_said(kind: str, output: str, kept: str) -> None:
    assert own_output(kind, output) == kept


BEGINNINGS = st.text(max_size=80) | st.sampled_from(["HTTP 500 ", "exit code 2: ", "no heartbeat for 3s ", "TLS: ", ""])


@given(st.sampled_from(["cmd", "ttl", "unknown"]), BEGINNINGS)
def test_what_a_command_or_a_heartbeat_says_is_never_kept(kind: str, text: str) -> None:
    assert SECRET not in own_output(kind, f"{text}{SECRET}")
    assert SECRET not in own_status(f"{text}{SECRET}")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"HTTP 500 {SECRET}", "HTTP 500"),
        (f"step pay of a.1 was refused by billing: status 402: {SECRET}", "HTTP 402"),
        (f"no more room, {SECRET}", ""),
        ("HTTP 5000", ""),
    ],
)
def test_of_an_answer_only_its_status_is_kept(said: str, kept: str) -> None:
    assert own_status(said) == kept
