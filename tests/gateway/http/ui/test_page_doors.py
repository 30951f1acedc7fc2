"""What of the page another machine gets without a token, and what a request must be to count as a read."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.callers import Caller
from gossipreg.gateway.http.doors import Door, Doors
from gossipreg.gateway.http.routes import is_open_untrusted
from gossipreg.gateway.http.tokens import Tokens
from gossipreg.gateway.http.ui.page_views import VIEWS, AskedView, asked_view
from gossipreg.gateway.http.ui.routes import PAGE_READS, is_page_untrusted, page_reads_untrusted
from gossipreg.net.http_message import Head, HttpError, target_untrusted

TOKEN = "a-token-of-good-length"
OUTSIDE = Door(unix=False, loopback=False)


def scheme_asked(doors: Doors, head: Head) -> str:
    """The scheme that the answer to one who is kept out asks for; empty: it gets in."""
    try:
        doors.check_untrusted(OUTSIDE, head)
    except HttpError as error:
        return dict(error.headers)["WWW-Authenticate"].partition(" ")[0] if error.status == 401 else str(error.status)
    return ""


@pytest.mark.parametrize(
    ("method", "path", "kept_out", "with_open_reads"),
    [
        ("GET", "/", "", ""), ("GET", "/ui", "", ""), ("GET", "/ui/", "", ""), ("GET", "/ui/static/main.js", "", ""),
        ("HEAD", "/ui/static/a/b.css", "", ""),
        ("GET", "/ui/tables", "Basic", ""), ("GET", "/ui/stream?view=overview", "Bearer", ""),
        ("POST", "/ui/rpc/info", "Bearer", ""), ("POST", "/ui/rpc/ask-member", "Bearer", ""),
        ("POST", "/ui/rpc/maint", "Bearer", "Bearer"), ("POST", "/ui/rpc/info/", "Bearer", "Bearer"),
        ("POST", "/ui/rpc/info?x", "Bearer", "Bearer"), ("POST", "/ui/rpc/%69nfo", "Bearer", "Bearer"),
        ("PUT", "/ui/rpc/info", "Bearer", "Bearer"), ("PUT", "/ui/static/main.js", "Basic", "Basic"),
        ("GET", "/ui/../metrics", "Basic", ""), ("GET", "/ui/rpc/info", "Bearer", ""), ("GET", "//ui/", "Basic", ""),
        ("GET", "/uix", "Basic", ""), ("POST", "/rpc/info", "Basic", "Basic"),
    ],
)  # fmt: skip
def test_from_another_machine_the_page_needs_a_token_for_data(
    method: str, path: str, kept_out: str, with_open_reads: str
) -> None:
    """`kept_out` and `with_open_reads`: see `scheme_asked`."""
    for open_reads, wanted in ((False, kept_out), (True, with_open_reads)):
        doors = Doors(tokens=Tokens([TOKEN.encode()]), open_reads=open_reads, is_open=is_open_untrusted)
        head = Head(method, path.encode(), b"1.1")
        assert scheme_asked(doors, head) == wanted, (open_reads, path)
        doors.check_untrusted(OUTSIDE, replace(head, headers={b"authorization": [b"Bearer " + TOKEN.encode()]}))


@given(st.binary(max_size=60), st.sampled_from(["GET", "HEAD", "POST", "PUT", "OPTIONS"]))
def test_what_passes_for_a_read_of_the_page_is_one(rest: bytes, method: str) -> None:
    head = Head(method, b"/ui/rpc/" + rest, b"1.1")
    if page_reads_untrusted(head):
        assert method == "POST"
        assert target_untrusted(head.target).path == ("ui", "rpc", rest.decode())
        assert rest.decode() in PAGE_READS


@given(
    st.lists(st.sampled_from([b"/", b"u", b"i", b"%75", b"%69", b"?", b"%2F", b"http://x", b"stream"])).map(b"".join)
)
def test_no_spelling_of_the_page_passes_for_another_path(target: bytes) -> None:
    try:
        path = target_untrusted(target).path
    except HttpError:
        return
    assert is_page_untrusted(Head("GET", target, b"1.1")) or path[0] != "ui"


@given(st.dictionaries(st.sampled_from(["view", "name", "since", "kind", "x"]), st.lists(st.text(), min_size=1)))
def test_any_query_is_a_view_or_a_bad_request(query: dict[str, list[str]]) -> None:
    for view in ([], [["service"]], [["history"]], [["member"]]):
        given_query = {**query, **({"view": view[0]} if view else {})}
        found = view_or_error(given_query)
        if isinstance(found, HttpError):
            assert (found.status, str(found).isprintable()) == (400, True)
        else:
            assert found.view in VIEWS
            assert not VIEWS[found.view].about or found.name


def view_or_error(query: dict[str, list[str]]) -> AskedView | HttpError:
    try:
        return asked_view(query, Caller())
    except HttpError as error:
        return error
