"""The Grafana dashboard of gossipreg: its panels as a table, and the JSON that Grafana imports.

Every query is bounded to the chosen cluster and sidecars. `docs/grafana-dashboard.json` is written by
`python -m scripts.metrics_table`.
"""

import json
from dataclasses import dataclass
from typing import Any

WHERE = 'instance=~"$instance"'
"""What each query is bounded to; a variable of the dashboard, which follows that of the cluster."""
WIDTH = 24
STAT_HEIGHT, GRAPH_HEIGHT = 4, 8


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    queries: tuple[tuple[str, str], ...]
    """(PromQL, in which WHERE stands for the bounds; legend)"""
    about: str
    unit: str = "short"
    kind: str = "timeseries"
    """Or `stat`: one number, red where it is more than 0 unless `good`."""
    good: bool = False

    @property
    def width(self) -> int:
        return 4 if self.kind == "stat" else 8

    @property
    def height(self) -> int:
        return STAT_HEIGHT if self.kind == "stat" else GRAPH_HEIGHT


def stat(title: str, query: str, about: str, *, good: bool = False) -> Panel:
    return Panel(title, ((query, ""),), about, kind="stat", good=good)


def graph(title: str, about: str, *queries: tuple[str, str], unit: str = "short") -> Panel:
    return Panel(title, queries, about, unit)


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "What is wrong",
        (
            stat("Sidecars", "count(gossipreg_info{WHERE})", "Sidecars that answer", good=True),
            stat("Not synced", "count(gossipreg_synced{WHERE} == 0) or vector(0)", "Their answers may be incomplete"),
            stat(
                "Members dead",
                'max(gossipreg_members{state="dead", WHERE})',
                "As the sidecar says that sees most of them",
            ),
            stat("Services without an instance", "max(gossipreg_services_unavailable{WHERE})", "No instance passes"),
            stat("Troubles", "sum(gossipreg_troubles{WHERE})", "`gossipreg info` at each sidecar names them"),
            stat(
                "Sagas stuck", "sum(gossipreg_sagas_stuck{WHERE}) or vector(0)", "`gossipreg saga list --state stuck`"
            ),
        ),
    ),
    (
        "Members and services",
        (
            graph(
                "Members by state",
                "As the worst sidecar sees them",
                ("max by (state) (gossipreg_members{WHERE})", "{{state}}"),
            ),
            graph(
                "Instances by health",
                "As the best-informed sidecar sees them",
                ("max by (health) (gossipreg_instances{WHERE})", "{{health}}"),
            ),
            graph(
                "Lookups",
                "Through the local socket",
                ("sum(rate(gossipreg_lookups_total{WHERE}[$__rate_interval]))", "all"),
                unit="reqps",
            ),
            graph(
                "Checks",
                "Run, and waiting for a free slot",
                ("sum(rate(gossipreg_checks_run_total{WHERE}[$__rate_interval]))", "run"),
                ("sum(gossipreg_queue_checks{WHERE})", "waiting"),
            ),
            graph(
                "Suspicions",
                "Members that did not ack in time, and what became of it",
                ("sum(rate(gossipreg_suspicions_total{WHERE}[$__rate_interval]))", "suspected"),
                ("sum(rate(gossipreg_suspicions_cleared_total{WHERE}[$__rate_interval]))", "cleared"),
                ("sum(rate(gossipreg_verdicts_total{WHERE}[$__rate_interval]))", "declared dead"),
            ),
            graph(
                "Local health score",
                "0 is healthy; a sidecar with a high one is slow itself",
                ("topk(5, gossipreg_health_score{WHERE})", "{{instance}}"),
            ),
        ),
    ),
    (
        "Network",
        (
            graph(
                "Gossip",
                "UDP payload, all sidecars",
                *(
                    (f"sum(rate(gossipreg_{way}_bytes_total{{WHERE}}[$__rate_interval]))", way)
                    for way in ("sent", "received")
                ),
                unit="Bps",
            ),
            graph(
                "Round trips",
                "Over all sidecars and members",
                *(
                    (f'max(gossipreg_rtt_seconds{{quantile="{share}", WHERE}})', name)
                    for share, name in (("0.5", "median"), ("0.9", "90 %"), ("1", "longest"))
                ),
                unit="s",
            ),
            graph(
                "Drops",
                "`gossipreg docs metrics` has the reasons",
                ("topk(8, sum by (reason) (rate(gossipreg_drops_total{WHERE}[$__rate_interval])))", "{{reason}}"),
            ),
        ),
    ),
    (
        "Events",
        (
            graph(
                "Events",
                "By what became of them",
                (
                    'sum by (event) (rate(gossipreg_events_total{event=~"published|acked|failed|dead", WHERE}'
                    "[$__rate_interval]))",
                    "{{event}}",
                ),
            ),
            graph(
                "Waiting events",
                "That a group has not acknowledged",
                ("topk(8, sum by (group) (gossipreg_group_pending{WHERE}))", "{{group}}"),
            ),
            graph(
                "Oldest waiting event",
                "In led time",
                ("topk(8, max by (group) (gossipreg_group_oldest_seconds{WHERE}))", "{{group}}"),
                unit="s",
            ),
            graph(
                "Dead letters",
                "`gossipreg events dead` shows them",
                ("topk(8, sum by (group) (gossipreg_group_dead_letters{WHERE}))", "{{group}}"),
            ),
        ),
    ),
    (
        "Sagas and journals",
        (
            graph(
                "Open sagas",
                "Of journals that are led by these sidecars",
                *(
                    (f"sum(gossipreg_sagas_{state}{{WHERE}})", state)
                    for state in ("running", "undoing", "finishing", "stuck")
                ),
            ),
            graph(
                "Decisions of sagas",
                "Per second",
                (
                    'sum by (event) (rate(gossipreg_sagas_total{event=~"committed|aborted|stuck_steps", WHERE}'
                    "[$__rate_interval]))",
                    "{{event}}",
                ),
            ),
            graph(
                "Journals",
                "Led, behind with a copy, copies whose disk failed, without owner, without leader",
                *(
                    (f"sum(gossipreg_journals_{what}{{WHERE}})", what)
                    for what in ("led", "behind", "out", "orphaned", "leaderless")
                ),
            ),
            graph(
                "Fullest journal",
                "At 100 % nothing is published to it",
                ("topk(5, gossipreg_journal_fill_percent{WHERE})", "{{instance}}"),
                unit="percent",
            ),
            graph("Disk of journals", "All copies", ("sum(gossipreg_journal_bytes{WHERE})", "all"), unit="bytes"),
            graph(
                "Writes that wait for the disk",
                "A slow disk shows here first",
                ("topk(5, gossipreg_queue_journal_writes{WHERE})", "{{instance}}"),
            ),
        ),
    ),
    (
        "The sidecars themselves",
        (
            graph(
                "Event loop",
                "The longest recent delay",
                ("topk(5, gossipreg_loop_lag_seconds{WHERE})", "{{instance}}"),
                unit="s",
            ),
            graph(
                "Clients",
                "Of the local socket, of HTTP and of xDS",
                ("sum(gossipreg_clients{WHERE})", "socket"),
                ("sum(gossipreg_http_connections{WHERE})", "HTTP"),
                ("sum(gossipreg_xds_connections{WHERE})", "xDS"),
            ),
            graph(
                "Spans",
                "Taken by the collector, and lost",
                ("sum(rate(gossipreg_spans_exported_total{WHERE}[$__rate_interval]))", "exported"),
                ('sum(rate(gossipreg_drops_total{reason=~"span_.*", WHERE}[$__rate_interval]))', "lost"),
            ),
        ),
    ),
)


def dashboard_text() -> str:
    return json.dumps(dashboard(), indent=1) + "\n"


def dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        panels.append(_row(len(panels) + 1, title, top))
        top += 1
        left = height = 0
        for panel in row:
            if left + panel.width > WIDTH:
                left, top, height = 0, top + height, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            panels.append(_panel(len(panels) + 1, panel, place))
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return {
        "title": "gossipreg",
        "uid": "gossipreg",
        "tags": ["gossipreg"],
        "schemaVersion": 39,
        "editable": True,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": _variables()},
        "panels": panels,
    }


def _variables() -> list[dict[str, Any]]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    queried = {"type": "query", "datasource": source, "refresh": 2, "sort": 1, "includeAll": True, "multi": True}
    everything = {"selected": True, "text": "All", "value": "$__all"}
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        {
            **queried, "name": "cluster", "label": "cluster", "current": everything,
            "query": "label_values(gossipreg_info, cluster)",
        },
        {
            **queried, "name": "instance", "label": "sidecar", "current": everything,
            "query": 'label_values(gossipreg_info{cluster=~"$cluster"}, instance)',
        },
    ]  # fmt: skip


def _row(id: int, title: str, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {"id": id, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(id: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    limits = [{"color": "green", "value": None}, *([] if panel.good else [{"color": "red", "value": 1}])]
    is_stat = panel.kind == "stat"
    bounds = {"thresholds": {"mode": "absolute", "steps": limits}} if is_stat else {"min": 0}
    return {
        "id": id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, **bounds},
            "overrides": [],
        },
        "options": {"colorMode": "background", "reduceOptions": {"calcs": ["lastNotNull"]}} if is_stat else {
            "legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + number), "datasource": source, "expr": query.replace("WHERE", WHERE),
                **({"instant": True} if is_stat else {"legendFormat": legend, "range": True}),
            }
            for number, (query, legend) in enumerate(panel.queries)
        ],
    }  # fmt: skip
