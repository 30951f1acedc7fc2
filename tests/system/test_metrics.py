"""All that a real sidecar gives to Prometheus is in the table of metrics, with its type and its labels."""

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import gossipreg
from gossipreg.gateway.http.metric_names import all_metrics
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import wait_for
from tests.otlp.collector import Collector
from tests.system.participants import Participant
from tests.system.test_sagas import HARMLESS, client
from tests.test_docs_metrics import expressions_of_alerts, expressions_of_dashboard

TABLE = {one.name: one for one in all_metrics()}
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
SOURCE = Path(gossipreg.__file__).parent


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sidecar, str]]:
    """What a sidecar says that was asked to do everything once."""
    folder, stock = tmp_path_factory.mktemp("m"), Participant()
    with Collector().serving() as collector, Sidecars() as cluster, stock.serving():
        one = cluster.start(
            "m0", "--data-dir", str(folder / "d"), "--otlp", collector.url, "--http", "127.0.0.1:0",
            "--dns", "127.0.0.1:0", "--xds", "127.0.0.1:0",
        ).wait_ready()  # fmt: skip
        other = cluster.start("m1").wait_ready()
        stock.register(one, "stock")
        stock.register(other, "gone")
        wait_for(lambda: bool(one.lookup("stock") and one.lookup("gone")))
        _use_events(one)
        with client(one) as program:
            for end in ("saga-commit", "saga-abort"):
                saga = program.call("saga-begin", name="order", input={})["saga"]
                program.call("saga-step", saga=saga, step=HARMLESS)
                program.call(end, saga=saga)
        other.kill()
        wait_for(lambda: one.states()["m1"] == "dead")
        wait_for(lambda: one.call("info")["counters"].get("spans_exported", 0) > 0)
        with urllib.request.urlopen(f"http://127.0.0.1:{one.port('http')}/metrics", timeout=30) as answer:
            yield one, answer.read().decode()


def _use_events(one: Sidecar) -> None:
    def handle(event: gossipreg.Event) -> None:
        if event.type == "order.rejected":
            raise gossipreg.Reject("no")
        if event.type == "order.failed" and event.attempt == 1:
            raise gossipreg.Retry(after=0.0)

    with gossipreg.connect(str(one.socket)) as registry, registry.subscribe("order.*", "billing", handle):
        for type in ("order.created", "order.rejected", "order.failed"):
            registry.publish(type, {})

        def settled() -> bool:
            counters = one.call("info")["counters"]
            return bool(counters.get("events.acked", 0) >= 2 and counters.get("events.dead"))

        wait_for(settled)


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            yield match[1], dict(re.findall(r'(\w+)="([^"]*)"', match[2] or "")), float(match[3])


def test_every_metric_is_in_the_table_as_it_is(scraped: tuple[Sidecar, str]) -> None:
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", scraped[1], re.MULTILINE))
    assert {name: kind for name, kind in types.items() if name not in TABLE or TABLE[name].kind != kind} == {}
    for name, labels, _ in samples(scraped[1]):
        one = TABLE.get(name) or TABLE[re.sub(r"_(sum|count)$", "", name)]
        assert tuple(labels) == one.labels or name != one.name, name


def test_what_alerts_and_dashboard_ask_for_is_there(scraped: tuple[Sidecar, str]) -> None:
    """But what only trouble brings."""
    found = {name for name, _, _ in samples(scraped[1])}
    asked = {name for one in (*expressions_of_alerts(), *expressions_of_dashboard())
             for name in re.findall(r"gossipreg_\w+", one)}  # fmt: skip
    assert asked - found == {"gossipreg_bugs_total"}


def test_label_values_that_queries_name_are_there(scraped: tuple[Sidecar, str]) -> None:
    said = list(samples(scraped[1]))
    for one in (*expressions_of_alerts(), *expressions_of_dashboard()):
        for metric, inner in re.findall(r"(gossipreg_\w+)\{([^}]*)\}", one):
            for label, value in re.findall(r'(state|event|health|quantile)=~?"([^"$]+)"', inner):
                known = {labels[label] for name, labels, _ in said if name == metric}
                assert [name for name in value.split("|") if name not in {*known, "stuck_steps"}] == [], one


def test_a_gauge_is_no_counter_without_a_name(scraped: tuple[Sidecar, str]) -> None:
    """What the daemon counts and nobody named would be shown as a counter of the core."""
    others = {labels["event"] for name, labels, _ in samples(scraped[1]) if name == "gossipreg_core_total"}
    counted = {
        name for path in SOURCE.rglob("*.py")
        for name in re.findall(r"""(?:count\(|counts\[)f?["']([a-z_.]+)["']""", path.read_text())
    }  # fmt: skip
    assert others - counted == set()


def test_the_service_of_a_dead_member_is_unavailable(scraped: tuple[Sidecar, str]) -> None:
    values = {name: value for name, labels, value in samples(scraped[1]) if not labels}
    assert values["gossipreg_services_unavailable"] == 1
    assert values["gossipreg_journal_fill_percent"] < 50
    assert values["gossipreg_spans_exported_total"] > 0
