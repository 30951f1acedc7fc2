"""The paths for monitoring: metrics, whether the sidecar runs and is synced, targets for Prometheus, events."""

from collections.abc import Callable, Mapping

from gossipreg.gateway.http.ask import flag, one, pretty
from gossipreg.gateway.http.events import ConsulEvents, Stream
from gossipreg.gateway.http.metrics import CONTENT_TYPE, metrics_text
from gossipreg.model import CatalogInstance, Health
from gossipreg.net.http_message import HttpError, Request, Response, bad_request, json_response
from gossipreg.sidecar_api import SidecarApi

TEXT = "text/plain; charset=utf-8"
TARGETS_LIMIT = 64
"""Names or tags that one question may have."""


class Monitoring:
    def __init__(self, sidecar: SidecarApi, events: ConsulEvents, gauges: Callable[[], Mapping[str, float]]) -> None:
        """`gauges` gives the gateway's own metrics, by name."""
        self._sidecar = sidecar
        self._view = sidecar.view
        self._events = events
        self._gauges = gauges

    def alive(self, _request: Request) -> Response:
        return Response(200, b"ok\n", TEXT)

    def ready(self, _request: Request) -> Response:
        """Synced, or the first of its cluster: before that, answers may be incomplete."""
        if self._view.synced:
            return Response(200, b"ok\n", TEXT)
        return Response(503, f"not synced yet: {self._why()}\n".encode(), TEXT)

    def _why(self) -> str:
        return self._view.why_not_synced(self._sidecar.now())

    async def metrics(self, _request: Request) -> Response:
        sidecar = self._sidecar
        members = self._view.members(sidecar.now())
        info = {"cluster": sidecar.cluster, **await sidecar.figures()}
        catalog = self._view.catalog
        text = metrics_text(info, members, catalog.instances(), self._gauges(), catalog.gone.names())
        return Response(200, text.encode(), CONTENT_TYPE)

    def targets(self, request: Request) -> Response:
        names, tags = request.query.get("service", []), request.query.get("tag", [])
        if len(names) > TARGETS_LIMIT or len(tags) > TARGETS_LIMIT:
            raise bad_request(f"more than {TARGETS_LIMIT} services or tags")
        passing = flag(request, "passing")
        catalog = self._view.catalog
        if names:
            found = [one for name in names for one in catalog.lookup(name, tags=tuple(tags), all=True)]
        else:
            found = [one for one in catalog.instances() if set(tags) <= set(one.service.tags)]
        shown = [target(one) for one in found if not passing or one.health is Health.PASSING]
        knowledge = self._view.knowledge
        if knowledge.refuses or (knowledge.partial and not shown):  # Prometheus keeps the targets that it has
            raise HttpError(503, "not_synced", f"not synced, so the targets are not known yet: {self._why()}")
        return json_response(shown, pretty=pretty(request))

    def events(self, request: Request) -> Stream:
        return self._events.open(one(request, "service"))


def target(instance: CatalogInstance) -> dict[str, object]:
    """An entry of http_sd: https://prometheus.io/docs/prometheus/latest/http_sd/"""
    service = instance.service
    host = f"[{service.address}]" if ":" in service.address else service.address
    return {
        "targets": [f"{host}:{service.port}" if service.port else host],
        "labels": {
            "__meta_gossipreg_service": service.name,
            "__meta_gossipreg_service_id": service.id,
            "__meta_gossipreg_node": instance.node_name,
            "__meta_gossipreg_node_id": instance.node.hex(),
            "__meta_gossipreg_zone": instance.zone,
            "__meta_gossipreg_health": instance.health.name.lower(),
            "__meta_gossipreg_stale": str(instance.stale).lower(),
            # With the separator at both ends, as Prometheus does it itself, so that a rule can look for ,tag,
            "__meta_gossipreg_tags": f",{','.join(service.tags)},",
            **{f"__meta_gossipreg_service_meta_{label_name(key)}": value for key, value in service.meta},
        },
    }


def label_name(key: str) -> str:
    """The key, with the characters that Prometheus allows in the name of a label."""
    return "".join(char if char.isascii() and (char.isalnum() or char == "_") else "_" for char in key)
