"""docs/metrics.md, the dashboard and the alerts are about the metrics that there are."""

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from gossipreg.gateway.http.metric_names import FAMILIES, all_metrics
from scripts.metrics_table import page
from scripts.tools.dashboard import dashboard_text

DOCS = Path(str(files("gossipreg"))) / "docs"
ALERTS = DOCS / "prometheus-alerts.yml"
PAGE = (DOCS / "metrics.md").read_text()
DASHBOARD: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text())
METRICS = {one.name: one for one in all_metrics()}
PROMTOOL = shutil.which("promtool")
NAME = re.compile(r"\bgossipreg_\w+")

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here: apt install prometheus")


def expressions_of_dashboard() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


def expressions_of_alerts() -> list[str]:
    return re.findall(r"^ +expr: (.*)$", ALERTS.read_text(), re.MULTILINE)


def labels_asked(expression: str) -> list[tuple[str, str]]:
    """(metric, label) of each selector, but those that Prometheus adds itself."""
    found = re.findall(r"\b(gossipreg_\w+)\{([^}]*)\}", expression)
    return [
        (metric, label) for metric, inner in found for label in re.findall(r"(\w+)(?:=~|!=|=)", inner)
        if label not in ("instance", "job")
    ]  # fmt: skip


def test_the_tables_of_the_page_are_current() -> None:
    assert page(PAGE) == PAGE, "run: python -m scripts.metrics_table"


def test_the_dashboard_is_current() -> None:
    assert (DOCS / "grafana-dashboard.json").read_text() == dashboard_text(), "run: python -m scripts.metrics_table"


def test_names_are_unique_and_of_prometheus_form() -> None:
    assert len(METRICS) == len(all_metrics())
    for one in all_metrics():
        assert re.fullmatch(r"gossipreg_[a-z0-9_]+", one.name)
        assert (one.kind == "counter") == one.name.endswith("_total")
        assert one.text


@pytest.mark.parametrize("expression", [*expressions_of_dashboard(), *expressions_of_alerts()])
def test_a_query_asks_for_metrics_and_labels_that_there_are(expression: str) -> None:
    names = NAME.findall(expression)
    assert names or expression.startswith("up{")
    assert [name for name in names if name not in METRICS] == []
    assert [one for one in labels_asked(expression) if one[1] not in METRICS[one[0]].labels] == []
    for name in names:
        counted = METRICS[name].kind == "counter"
        assert counted == bool(re.search(rf"(rate|increase)\({name}\b", expression)), "rates are of counters alone"


def test_every_panel_is_bounded_to_the_chosen_sidecars() -> None:
    asked = expressions_of_dashboard()
    assert len(asked) > 30
    assert [one for one in asked if one.count('instance=~"$instance"') != len(NAME.findall(one))] == []


def test_panels_do_not_overlap_and_fill_their_rows() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_alert_says_what_to_do_and_stands_in_the_page() -> None:
    alerts = ALERTS.read_text().split("- alert: ")[1:]
    assert 10 <= len(alerts) <= 16, "few: each wants a person"
    table = dict(re.findall(r"^\| (Gossipreg\w+) \| .* \| (\w+) \|$", PAGE, re.MULTILINE))
    for alert in alerts:
        name = alert.split("\n", 1)[0]
        severity = re.search(r"severity: (\w+)", alert)
        assert severity is not None
        assert table.pop(name) == severity[1]
        assert re.search(r'^ +do: "\S.+"$', alert, re.MULTILINE), name
        assert re.search(r'^ +summary: "\S.+"$', alert, re.MULTILINE), name
    assert table == {}


def test_commands_that_an_alert_names_are_there() -> None:
    from gossipreg.cli.commands import COMMANDS

    named = set(re.findall(r"\bgossipreg ([a-z]+(?:-[a-z]+)*)", ALERTS.read_text()))
    assert len(named) > 6
    assert named - {*COMMANDS, "docs"} == set()


@needs_promtool
def test_prometheus_takes_the_alerts() -> None:
    assert PROMTOOL is not None
    ended = subprocess.run([PROMTOOL, "check", "rules", str(ALERTS)], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@needs_promtool
def test_prometheus_takes_every_query_of_the_dashboard(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    rules = tmp_path / "rules.yml"
    text = "groups:\n- name: g\n  rules:\n"
    for number, expression in enumerate(expressions_of_dashboard()):
        asked = expression.replace("$__rate_interval", "5m").replace("$instance", ".*")
        text += f"  - record: q{number}\n    expr: {json.dumps(asked)}\n"
    rules.write_text(text)
    ended = subprocess.run([PROMTOOL, "check", "rules", str(rules)], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_family_has_one_label() -> None:
    assert {prefix for prefix, (name, label, _) in FAMILIES.items() if METRICS[name].labels != (label,)} == set()
