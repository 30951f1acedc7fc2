"""A `SidecarApi` without a sidecar, for tests of a gateway."""

from collections.abc import Callable
from typing import Any, NoReturn, cast

from gossipreg.core.view import View
from gossipreg.feed import Feed
from gossipreg.net.accepting import ignore
from gossipreg.rights import Rights
from gossipreg.sidecar_api import EventsApi, HistoryApi, Registrations, SidecarApi


def api_of(
    view: View, bug: Callable[[str, Exception], None], trouble: Callable[[str, str], None] = lambda *_: None
) -> SidecarApi:
    """Return an API that can only read the registry."""
    return SidecarApi(
        view=view, changes=Feed(bug), members=Feed(bug), registrations=cast(Registrations, None), registered=Feed(bug),
        rights=Rights(0), cluster="default",
        version="1.2.3", now=lambda: 0.0, leave=_nothing, force_leave=_nothing, reload=_nothing, greet=_nothing,
        figures=_nothing, note=_nothing, full=ignore, bug=bug, trouble=trouble, events=cast(EventsApi, None),
        history=cast(HistoryApi, None),
        ask=_nothing,
    )  # fmt: skip


def _nothing(*given: Any) -> NoReturn:
    raise AssertionError(f"this test has only the registry, not {given}")
