"""The views of the page by name: each sends its events from what all streams share."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from gossipreg.callers import Caller
from gossipreg.errors import BadParams
from gossipreg.gateway.http.ui.asked_views import EVERY_S as ASK_EVERY_S
from gossipreg.gateway.http.ui.asked_views import AskedViews
from gossipreg.gateway.http.ui.history_view import FILTERS, show_history, wanted_untrusted
from gossipreg.gateway.http.ui.live import Live
from gossipreg.gateway.http.ui.one_member import OneMember
from gossipreg.gateway.http.ui.one_service import OneService, service_key
from gossipreg.gateway.http.ui.page_stream import Send
from gossipreg.model import NODE_ID_BYTES, NodeId
from gossipreg.net.http_message import bad_request, shown
from gossipreg.sidecar_api import SidecarApi

SERVICE_EVERY_S = 2.0
"""What checks say is told by no feed."""
MEMBER_EVERY_S = 2.0
"""Nor is it told that a member is suspected here."""


@dataclass(frozen=True, slots=True)
class AskedView:
    """A view, as the page asks for it."""

    view: str
    fields: Mapping[str, str]
    """Further fields of the query."""
    caller: Caller

    @property
    def name(self) -> str:
        """What it is about."""
        return self.fields["name"]


@dataclass(frozen=True, slots=True)
class PageView:
    show: Callable[[SidecarApi, Live, AskedView, Send], Awaitable[None]]
    """Sends its events. Until cancelled."""
    about: str = ""
    """What its name means; empty: it takes none."""
    fields: tuple[str, ...] = ()
    """Further fields that it takes."""


async def _show_nothing_more(_sidecar: SidecarApi, _live: Live, _asked: AskedView, _send: Send) -> None:
    """The overview comes with every view."""


async def _show_members(_sidecar: SidecarApi, live: Live, _asked: AskedView, send: Send) -> None:
    await live.members.show(send)


async def _show_services(_sidecar: SidecarApi, live: Live, _asked: AskedView, send: Send) -> None:
    await live.while_known(send, "the names of all services", lambda: live.services.show(send))


async def _show_service(sidecar: SidecarApi, live: Live, asked: AskedView, send: Send) -> None:
    service = OneService(sidecar, asked.name, asked.caller)
    await live.watched.show(service_key(asked.name), "service", service.make, send, every_s=SERVICE_EVERY_S)


async def _show_member(sidecar: SidecarApi, live: Live, asked: AskedView, send: Send) -> None:
    member = OneMember(sidecar, member_untrusted(asked.name), asked.caller)
    await live.watched.show(
        ("member", asked.name), "member", member.make, send, every_s=MEMBER_EVERY_S, beside=member.keep_asking
    )


async def _show_events(sidecar: SidecarApi, live: Live, asked: AskedView, send: Send) -> None:
    asks = AskedViews(sidecar, asked.caller)
    await live.watched.show("events", "events", asks.events, send, every_s=ASK_EVERY_S)


async def _show_sagas(sidecar: SidecarApi, live: Live, asked: AskedView, send: Send) -> None:
    asks = AskedViews(sidecar, asked.caller)
    await live.watched.show("sagas", "sagas", asks.sagas, send, every_s=ASK_EVERY_S)


async def _show_saga(sidecar: SidecarApi, live: Live, asked: AskedView, send: Send) -> None:
    make = partial(AskedViews(sidecar, asked.caller).saga, asked.name)
    await live.watched.show(("saga", asked.name), "saga", make, send, every_s=ASK_EVERY_S)


async def _show_history(sidecar: SidecarApi, _live: Live, asked: AskedView, send: Send) -> None:
    await show_history(sidecar, wanted_untrusted(dict(asked.fields)), send)


VIEWS: dict[str, PageView] = {
    "overview": PageView(_show_nothing_more),
    "members": PageView(_show_members),
    "member": PageView(_show_member, about="its id"),
    "services": PageView(_show_services),
    "service": PageView(_show_service, about="that of the service"),
    "events": PageView(_show_events),
    "sagas": PageView(_show_sagas),
    "saga": PageView(_show_saga, about="JOURNAL.ID of the saga, or its id"),
    "history": PageView(_show_history, fields=FILTERS),
}


def member_untrusted(text: str) -> NodeId:
    """Raises BadParams."""
    try:
        id = bytes.fromhex(text)
    except ValueError:
        id = b""
    if len(id) != NODE_ID_BYTES or text != id.hex():
        raise BadParams(f"name is {shown(text)}: give the id of a member, {2 * NODE_ID_BYTES} hexadecimal digits")
    return NodeId(id)


def asked_view(query: Mapping[str, list[str]], caller: Caller) -> AskedView:
    """Raises HttpError for a view that there is not, or a field that it does not take."""
    fields = {name: values[0] for name, values in query.items()}
    if more := [name for name, values in query.items() if len(values) > 1]:
        raise bad_request(f"{shown(more[0])} is given more than once")
    view = fields.pop("view", "")
    found = VIEWS.get(view)
    if found is None:
        raise bad_request(f"view is {shown(view)}: give one of {', '.join(VIEWS)}")
    if found.about and not fields.get("name"):
        raise bad_request(f"the view {view} needs name: {found.about}")
    taken = (*(("name",) if found.about else ()), *found.fields)
    if unknown := [name for name in fields if name not in taken]:
        raise bad_request(f"the view {view} takes no {shown(unknown[0])}: it takes {', '.join(taken) or 'nothing'}")
    return AskedView(view, fields, caller)
