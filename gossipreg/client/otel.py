"""OpenTelemetry metrics of the requests that a registry's services make.

    import gossipreg.client.otel

    gossipreg.client.otel.observe(registry)

OpenTelemetry is imported here and nowhere else, so it costs nothing without this call, and is no dependency. The
figures are those of `Service.stats()`, read when a metric reader collects. Each counter is `gossipreg.client.NAME`, by
the names of `picking/counters.py`, with the attribute `gossipreg.service`.

Owns: which registries are observed, and with which meters. Never knows: how the figures are exported.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from gossipreg.client.picking.counters import COUNTERS, GAUGES
from gossipreg.client.registry import Registry
from gossipreg.errors import BadParams
from gossipreg.model import fold_name

if TYPE_CHECKING:
    from gossipreg.client.service import Service

PREFIX = "gossipreg.client"
SERVICE = "gossipreg.service"
"""The attribute with the name of the service."""

_OBSERVED: "WeakKeyDictionary[Any, WeakSet[Registry]]" = WeakKeyDictionary()
"""By meter. A meter complains of a second instrument of the same name, so all registries share the first."""


def observe(registry: object, meter: Any = None) -> None:
    """Have the requests to the services of this registry counted by this meter; None: by that of the global meter
    provider. It ends with the registry. A second call for the same registry changes nothing.

    `registry`: of `gossipreg.connect` or `gossipreg.aio.connect`.

    Raises BadParams if `registry` is none, or if opentelemetry-api is not installed.
    """
    found = getattr(registry, "registry", registry)
    if not isinstance(found, Registry):
        raise BadParams(f"registry {registry!r} is no registry: give what gossipreg.connect() returns")
    try:
        from opentelemetry import metrics
    except ImportError:
        raise BadParams("opentelemetry-api is not installed: install it, or leave out observe()") from None
    if meter is None:
        meter = metrics.get_meter(PREFIX)
    registries = _OBSERVED.get(meter)
    if registries is None:
        registries = _OBSERVED[meter] = WeakSet()
        _make_instruments(meter, registries, metrics.Observation)
    registries.add(found)


def _make_instruments(meter: Any, registries: "WeakSet[Registry]", observation: Any) -> None:
    def read(name: str) -> Callable[[Any], list[Any]]:
        def callback(_options: Any) -> list[Any]:
            return [observation(value, {SERVICE: service}) for service, value in _totals(registries, name).items()]

        return callback

    for name, description in COUNTERS.items():
        meter.create_observable_counter(f"{PREFIX}.{name}", [read(name)], "1", description)
    for name, description in GAUGES.items():
        meter.create_observable_up_down_counter(f"{PREFIX}.{name}", [read(name)], "1", description)


def _totals(registries: Iterable[Registry], name: str) -> "Counter[str]":
    """By service, over all registries, and over a service's tags, zones and settings."""
    found: Counter[str] = Counter()
    for registry in list(registries):
        for service in registry.services():
            for stats in _stats(service):
                found[fold_name(service.name)] += int(stats[name])
    return found


def _stats(service: "Service") -> list[dict[str, int | str]]:
    """Nothing if no request was made: then the service is only looked up."""
    return [picker.stats() for picker in service.pickers]
