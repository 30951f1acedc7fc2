"""The objects whose methods answer requests. A row of the table of routes names one of their methods."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from gossipreg.gateway.http.agent import AgentReads
from gossipreg.gateway.http.catalog import CatalogReads
from gossipreg.gateway.http.monitoring import Monitoring
from gossipreg.gateway.http.outside import Outside
from gossipreg.gateway.http.own_checks import OwnChecks
from gossipreg.gateway.http.writes import Writes
from gossipreg.model import Change

if TYPE_CHECKING:
    from gossipreg.gateway.http.eureka.resources import Resources


class Parts:
    def __init__(
        self, outside: Outside, monitoring: Monitoring, clock_us: Callable[[], int], description: dict[str, Any]
    ) -> None:
        """`description` is the answer of /openapi.json."""
        self._outside = outside
        self.catalog = CatalogReads(
            outside.view, outside.cluster, OwnChecks(outside.registrations, outside.now), clock_us
        )
        self.agent = AgentReads(outside)
        self.writes = Writes(outside, self.agent)
        self.monitoring = monitoring
        self.description = description
        self._eureka: Resources | None = None

    @property
    def eureka(self) -> "Resources":
        """Loaded by the first request for it: a sidecar that no Eureka client asks does not hold it."""
        if self._eureka is None:
            from gossipreg.gateway.http.eureka.resources import Resources

            self._eureka = Resources(self._outside)
        return self._eureka

    def changed(self, changes: Iterable[Change]) -> None:
        """The catalog's answers have changed."""
        if self._eureka is not None:
            self._eureka.changed(changes)
