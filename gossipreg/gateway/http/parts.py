"""The objects whose methods answer requests. A route names one of their methods."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from gossipreg.gateway.http.agent import AgentReads
from gossipreg.gateway.http.catalog import CatalogReads
from gossipreg.gateway.http.monitoring import Monitoring
from gossipreg.gateway.http.own_checks import OwnChecks
from gossipreg.gateway.http.writes import Writes
from gossipreg.model import Change
from gossipreg.sidecar_api import SidecarApi

if TYPE_CHECKING:
    from gossipreg.gateway.http.dapr.resources import DaprResources
    from gossipreg.gateway.http.eureka.resources import Resources
    from gossipreg.gateway.http.ui.page import Page


class Parts:
    def __init__(
        self, sidecar: SidecarApi, monitoring: Monitoring, clock_us: Callable[[], int],
        describe: Callable[[], dict[str, Any]], is_token: Callable[[bytes], bool],
        start: Callable[[Callable[[], Awaitable[None]]], None], *, page_writes: bool,
    ) -> None:  # fmt: skip
        """`describe` makes the answer of /openapi.json; `is_token` says whether a value of Authorization is a token of
        ours; `start` runs a task beside the others; `page_writes` is --ui-writes."""
        self._is_token = is_token
        self._start = start
        self._page_writes = page_writes
        self._sidecar = sidecar
        self.catalog = CatalogReads(
            sidecar.view, sidecar.cluster, OwnChecks(sidecar.registrations, sidecar.now), clock_us
        )
        self.agent = AgentReads(sidecar)
        self.writes = Writes(sidecar, self.agent)
        self.monitoring = monitoring
        self.describe = describe
        self._eureka: Resources | None = None
        self._dapr: DaprResources | None = None
        self._page: Page | None = None

    @property
    def eureka(self) -> "Resources":
        """Loaded by the first request for it: a sidecar that no Eureka client asks does not hold it."""
        if self._eureka is None:
            from gossipreg.gateway.http.eureka.resources import Resources

            self._eureka = Resources(self._sidecar)
        return self._eureka

    @property
    def dapr(self) -> "DaprResources":
        """Loaded by the first request for it, as `eureka`."""
        if self._dapr is None:
            from gossipreg.gateway.http.dapr.resources import DaprResources

            self._dapr = DaprResources(self._sidecar, self._is_token)
        return self._dapr

    @property
    def page(self) -> "Page":
        """Loaded by the first request for it, as `eureka`."""
        if self._page is None:
            from gossipreg.gateway.http.ui.page import Page

            self._page = Page(self._sidecar, self._start, writes=self._page_writes)
        return self._page

    @property
    def has_page(self) -> bool:
        """Whether it is loaded."""
        return self._page is not None

    @property
    def page_streams(self) -> int:
        """How many pages are open."""
        return 0 if self._page is None else self._page.open_streams

    def close(self) -> None:
        """No request follows."""
        if self._dapr is not None:
            self._dapr.close()

    def changed(self, changes: Iterable[Change]) -> None:
        """The catalog's answers have changed."""
        if self._eureka is not None:
            self._eureka.changed(changes)
