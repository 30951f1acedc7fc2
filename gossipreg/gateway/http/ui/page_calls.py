"""The calls of the page: methods of the local socket, by POST, with the rights of a client of HTTP.

Owns which methods those are, and that no page of another site can make a call: a browser sends the header below, or
the content type JSON, to another site only after a question that is never answered here. The guard has looked at Host
and Origin before (`guard.py`), as for every request below /ui.
"""

from typing import Any

from gossipreg.errors import GossipregError
from gossipreg.gateway.http.ui.page_files import DATA_HEADERS
from gossipreg.gateway.http.ui.routes import PAGE_READS, PAGE_WRITES
from gossipreg.net.error_status import status_of
from gossipreg.net.http_message import HttpError, Request, Response, json_response, shown
from gossipreg.sidecar_api import SidecarApi
from gossipreg.wire.json_params import params_of_untrusted

HEADER = b"x-gossipreg-ui"
NO_STORE = (("Cache-Control", "no-store"), *(one for one in DATA_HEADERS if one[0] != "X-Content-Type-Options"))


class PageCalls:
    def __init__(self, sidecar: SidecarApi, *, writes: bool) -> None:
        """`writes` is --ui-writes."""
        self.writes = writes
        self._sidecar = sidecar

    async def call(self, request: Request, method: str) -> Response:
        """Raises HttpError."""
        if request.header(HEADER) != "1":
            raise HttpError(403, "not_the_page", "these calls are the page's own: send X-Gossipreg-Ui: 1")
        if request.content_type.partition(";")[0].strip().lower() != "application/json":
            raise HttpError(403, "not_the_page", "a call is JSON: send Content-Type: application/json")
        if method in PAGE_WRITES and not self.writes:
            raise HttpError(403, "read_only", f"the page may not {method}: start the sidecar with --ui-writes")
        if method not in PAGE_READS | PAGE_WRITES:
            raise HttpError(404, "unknown_method", f"the page has no method {shown(method)}")
        try:
            result = await self._result(method, params_of_untrusted(request.body), request)
        except GossipregError as error:
            raise HttpError(status_of(error.code), error.code, str(error)) from None
        return json_response({"result": result}, *NO_STORE)

    async def _result(self, method: str, params: dict[str, Any], request: Request) -> Any:
        if method == "history":  # at the local socket it belongs to a connection, which may follow it
            return await self._sidecar.history.page(params)
        return await self._sidecar.ask(method, params, request.caller)
