"""OpenTelemetry metrics, read by the SDK: what `stats()` counts, by service."""

import gc
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import gossipreg
from gossipreg import aio
from gossipreg.client import otel
from gossipreg.client.picking.counters import COUNTERS, GAUGES
from gossipreg.client.registry import Registry
from gossipreg.errors import BadParams
from tests.client.programs import run_program
from tests.client.talking_sidecar import TalkingSidecar, at

sdk = pytest.importorskip("opentelemetry.sdk.metrics")
reading = pytest.importorskip("opentelemetry.sdk.metrics.export")


class Metrics:
    """A meter, and what a reader collects of it."""

    def __init__(self) -> None:
        self._reader = reading.InMemoryMetricReader()
        self._provider = sdk.MeterProvider([self._reader])
        self.meter = self._provider.get_meter("test")

    def read(self) -> dict[tuple[str, str], Any]:
        """By metric and service: its point."""
        data = self._reader.get_metrics_data()
        found: dict[tuple[str, str], Any] = {}
        for resource in [] if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        key = metric.name.removeprefix("gossipreg.client."), point.attributes["gossipreg.service"]
                        assert key not in found
                        found[key] = point.value
        return found

    def shutdown(self) -> None:
        self._provider.shutdown()


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    made = Metrics()
    yield made
    made.shutdown()


def test_the_decisions_of_each_service_are_metrics(registry: Registry, metrics: Metrics) -> None:
    otel.observe(registry, metrics.meter)
    assert metrics.read() == {}
    web = registry.service("web")
    for _ in range(3):
        web.call(lambda one: one.port)
    with web.pick():
        found = metrics.read()
    assert {name for name, _ in found} == {*COUNTERS, *GAUGES}
    assert (found["calls_succeeded", "web"], found["in_flight", "web"], found["picks", "web"]) == (3, 1, 4)


def test_a_service_is_one_series_whatever_its_settings(registry: Registry, metrics: Metrics) -> None:
    otel.observe(registry, metrics.meter)
    otel.observe(registry, metrics.meter)
    registry.service("web").call(lambda one: one.port)
    registry.service("web").configure(policy="random").call(lambda one: one.port)
    registry.service("Web").call(lambda one: one.port)
    with pytest.raises(gossipreg.NoInstance):
        registry.service("web", tags=["none"]).call(lambda one: one.port)
    assert metrics.read()["calls", "web"] == 4


def test_two_registries_add_up_and_end_with_themselves(talking: TalkingSidecar, metrics: Metrics) -> None:
    talking.services["web"] = [at(1)]
    with gossipreg.connect(str(talking.path), timeout=30) as one, gossipreg.connect(str(talking.path)) as other:
        for registry in (one, other, other):
            otel.observe(aio.AsyncRegistry(registry), metrics.meter)
            registry.service("web").call(lambda instance: instance.port)
        assert metrics.read()["calls", "web"] == 3
    del one, other, registry
    gc.collect()
    assert metrics.read() == {}


def test_counters_only_grow_when_the_first_list_comes(talking: TalkingSidecar, metrics: Metrics) -> None:
    talking.silent = True
    with gossipreg.connect(str(talking.path), timeout=0.01) as registry:
        otel.observe(registry, metrics.meter)
        web = registry.service("web")
        assert web.call(lambda one: one.port, fallback=lambda: 7) == 7
        assert metrics.read()["fallbacks", "web"] == 1
        talking.end()
        with TalkingSidecar(talking.path) as again:
            again.services["web"] = [at(1)]
            assert [one.port for one in web.wait(timeout=30)] == [1]
            assert web.call(lambda one: one.port) == 1
        assert metrics.read()["fallbacks", "web"] == 1


def test_what_is_no_registry_is_refused(metrics: Metrics) -> None:
    with pytest.raises(BadParams, match="registry 'billing' is no registry"):
        otel.observe("billing", metrics.meter)


def test_without_opentelemetry_it_says_so(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(BadParams, match="opentelemetry-api is not installed"):
        otel.observe(registry)


def test_a_program_that_observes_nothing_does_not_load_it(talking: TalkingSidecar) -> None:
    talking.services["web"] = [at(1)]
    said = run_program(
        "web.call(lambda one: one.port); import gossipreg.client.otel\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])", talking.path
    )  # fmt: skip
    assert said == "[]\n"
