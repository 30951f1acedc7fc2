"""The views of the page by name: each sends its events from what all streams share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gossipreg.callers import Caller
from gossipreg.gateway.http.ui.live import Live
from gossipreg.gateway.http.ui.page_stream import Send
from gossipreg.net.http_message import bad_request, shown
from gossipreg.sidecar_api import SidecarApi


@dataclass(frozen=True, slots=True)
class AskedView:
    """A view, as the page asks for it."""

    view: str
    name: str
    """What it is about; empty where it is about no single thing."""
    caller: Caller


@dataclass(frozen=True, slots=True)
class PageView:
    show: Callable[[SidecarApi, Live, AskedView, Send], Awaitable[None]]
    """Sends its events. Until cancelled."""
    about: str = ""
    """What its name means; empty: it takes none."""


async def _show_nothing_more(_sidecar: SidecarApi, _live: Live, _asked: AskedView, _send: Send) -> None:
    """The overview comes with every view."""


async def _show_members(_sidecar: SidecarApi, live: Live, _asked: AskedView, send: Send) -> None:
    await live.members.show(send)


async def _show_services(_sidecar: SidecarApi, live: Live, _asked: AskedView, send: Send) -> None:
    await live.while_known(send, "the names of all services", lambda: live.services.show(send))


VIEWS: dict[str, PageView] = {
    "overview": PageView(_show_nothing_more),
    "members": PageView(_show_members),
    "services": PageView(_show_services),
}


def asked_view(view: str | None, name: str | None, caller: Caller) -> AskedView:
    """Raises HttpError for a view that there is not."""
    found = VIEWS.get(view or "")
    if found is None:
        raise bad_request(f"view is {shown(view)}: give one of {', '.join(VIEWS)}")
    if found.about and not name:
        raise bad_request(f"the view {view} needs name: {found.about}")
    if name and not found.about:
        raise bad_request(f"the view {view} is about no single thing: leave name out")
    return AskedView(view or "", name or "", caller)
