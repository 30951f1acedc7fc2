"""Writes the tables of metrics into gossipreg/docs/metrics.md, and the dashboard beside it:
python -m scripts.metrics_table

Both are made of the code (`gateway/http/metric_names.py`, `drops.py`, `scripts/tools/dashboard.py`), so they are never
edited by hand; tests compare them.
"""

from pathlib import Path

from gossipreg.drops import DROPS, FAMILIES
from gossipreg.gateway.http.metric_names import all_metrics
from scripts.tools.dashboard import dashboard_text
from scripts.tools.figures import markdown

DOCS = Path(__file__).parent.parent / "gossipreg" / "docs"
MANUAL, DASHBOARD = DOCS / "metrics.md", DOCS / "grafana-dashboard.json"
BEGIN, END = "<!-- table of {} -->\n", "<!-- end of the table of {} -->\n"


def metrics_table() -> str:
    rows = [
        [f"`{one.name}`", one.kind, " ".join(f"`{label}`" for label in one.labels), one.text] for one in all_metrics()
    ]
    return markdown(["name", "type", "labels", "what it says"], rows)


def drops_table() -> str:
    """What the label `reason` of gossipreg_drops_total may be."""
    rows = [[f"`{reason}`", text] for reason, text in DROPS.items()]
    rows += [[f"`{prefix}...`", text] for prefix, text in FAMILIES.items()]
    return markdown(["reason", "what was dropped"], rows)


def page(text: str) -> str:
    """The page with both tables as they are now."""
    for name, table in (("metrics", metrics_table()), ("drops", drops_table())):
        before, begin, rest = text.partition(BEGIN.format(name))
        _, end, after = rest.partition(END.format(name))
        text = f"{before}{begin}{table}\n{end}{after}"
    return text


if __name__ == "__main__":
    MANUAL.write_text(page(MANUAL.read_text()))
    DASHBOARD.write_text(dashboard_text())
