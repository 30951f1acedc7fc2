"""The objects whose methods answer requests. A route names one of their methods."""

from collections.abc import Callable, Iterable
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


class Parts:
    def __init__(
        self, sidecar: SidecarApi, monitoring: Monitoring, clock_us: Callable[[], int],
        describe: Callable[[], dict[str, Any]], is_token: Callable[[bytes], bool],
    ) -> None:  # fmt: skip
        """`describe` makes the answer of /openapi.json; `is_token` says whether a value of Authorization is a token of
        ours."""
        self._is_token = is_token
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

    def close(self) -> None:
        """No request follows."""
        if self._dapr is not None:
            self._dapr.close()

    def changed(self, changes: Iterable[Change]) -> None:
        """The catalog's answers have changed."""
        if self._eureka is not None:
            self._eureka.changed(changes)
