"""The routes of the page. They name their handlers by text: the first request loads them.

The files of the page are open, since they hold no data. What the page asks by POST and what changes nothing counts as
a read at the door (`doors.py`), like a GET.
"""

from importlib import import_module
from inspect import isawaitable
from typing import TYPE_CHECKING

import trio

from gossipreg.gateway.http.params import Param
from gossipreg.gateway.http.route import Handle, Route
from gossipreg.net.http_message import READ, Head, target_untrusted

if TYPE_CHECKING:
    from gossipreg.gateway.http.client import Answer, Streaming
    from gossipreg.gateway.http.parts import Parts
    from gossipreg.net.http_message import Request, Response

PAGE_READS = frozenset(
    (
        *("info", "members", "services", "lookup", "explain", "registered", "journals", "journal", "history"),
        "ask-member",
        *("events-groups", "events-dead", "events-trace", "saga-list", "saga-show"),
    )
)
"""Methods of the local socket that the page may call, and that change nothing."""
PAGE_WRITES = frozenset(
    (
        *("maint", "drain", "deregister", "events-retry", "events-drop", "events-forget"),
        *("saga-retry", "saga-abort", "saga-skip", "saga-give-up"),
    )
)
"""Those that it may call with --ui-writes."""
PAGE_PREFIX = b"/ui"
CALL_PREFIX = b"/ui/rpc/"
PAGE_DATA = (CALL_PREFIX, b"/ui/stream")
"""The paths of which the page itself is told that a token is missing."""


def _handler(name: str) -> Handle:
    def handle(parts: "Parts", request: "Request", *args: str) -> "Answer":
        if not parts.has_page:
            return _load_and_answer(parts, request, name, args)
        answer: Answer = getattr(parts.page, name)(request, *args)
        return answer

    return handle


async def _load_and_answer(
    parts: "Parts", request: "Request", name: str, args: tuple[str, ...]
) -> "Response | Streaming":
    """Reading the modules from the disk takes some tens of ms, so that is in a thread."""
    await trio.to_thread.run_sync(import_module, "gossipreg.gateway.http.ui.page")
    answer = getattr(parts.page, name)(request, *args)
    found: Response | Streaming = await answer if isawaitable(answer) else answer
    return found


def _route(
    path: str, operation: str, summary: str, name: str, *params: Param, methods: tuple[str, ...] = READ,
    open: bool = False,
) -> Route:  # fmt: skip
    return Route(
        path,
        operation,
        summary,
        methods=methods,
        params=params,
        handle=_handler(name),
        open=open,
        described=False,
    )


UI_ROUTES = (
    _route("/", "info", "The page", "to_page", open=True),
    _route("/ui/", "info", "The page", "index", open=True),
    _route("/ui/static/{name}", "info", "A file of the page", "static", open=True),
    _route("/ui/tables", "info", "What this sidecar knows, as tables without JavaScript", "tables"),
    _route("/ui/stream", "watch", "What a view of the page shows, as it changes", "stream",
           Param("view", "the view", required=True), Param("name", "what the view is about"), methods=("GET",)),
    _route("/ui/rpc/{method}", "info", "A call of the page", "call", methods=("POST",)),
)  # fmt: skip


def is_page_untrusted(head: Head) -> bool:
    """Whether a browser may have sent the request, whatever the door: requests below /ui, however that is written.
    Raises HttpError."""
    target = head.target
    if target.startswith(PAGE_PREFIX):
        return True
    return (b"%" in target or not target.startswith(b"/")) and target_untrusted(target).path[:1] == ("ui",)


def page_reads_untrusted(head: Head) -> bool:
    """Whether the request is a call of the page that changes nothing."""
    method = head.target.removeprefix(CALL_PREFIX)
    return head.method == "POST" and head.target.startswith(CALL_PREFIX) and method.decode("latin-1") in PAGE_READS
