"""Each alert of docs/prometheus-alerts.yml fires when it should, and not before: run by promtool on made-up samples."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import pytest

ALERTS = Path(str(files("gossipreg"))) / "docs" / "prometheus-alerts.yml"
PROMTOOL = shutil.which("promtool")
A = {"instance": "a"}


@dataclass(frozen=True)
class Case:
    """The samples come once a minute; the fault begins with the fifth."""

    alert: str
    series: dict[str, str]
    """Samples by series, in promtool's form."""
    quiet_at: int
    fires_at: int
    """Minutes."""
    labels: dict[str, str]
    value: str = "1"
    """As the text shows it."""
    more: dict[str, str] = field(default_factory=dict)
    """Other series, which are well."""


INFO = {f'gossipreg_info{{instance="{one}",cluster="c"}}': "1x60" for one in "ab"}
CASES = [
    Case("GossipregSidecarDown", {'up{job="gossipreg",instance="a"}': "1x4 0x20"}, 6, 8, {**A, "job": "gossipreg"}, "0",
         {'up{job="gossipreg",instance="b"}': "1x20", 'up{job="other",instance="c"}': "0x20"}),
    Case("GossipregNotSynced", {'gossipreg_synced{instance="a"}': "1x4 0x20"}, 9, 11, A, "0",
         {'gossipreg_synced{instance="b"}': "1x20"}),
    Case("GossipregIsolated", {'gossipreg_alone{instance="a"}': "0x4 1x20"}, 6, 8, A),
    Case("GossipregMembersDead", {'gossipreg_members{state="dead",instance="a"}': "0x4 1x40",
                                  'gossipreg_members{state="dead",instance="b"}': "0x4 2x40"}, 19, 21, {"cluster": "c"},
         "2", {**INFO, 'gossipreg_members{state="left",instance="a"}': "9x40"}),
    Case("GossipregServiceWithoutInstance", {'gossipreg_services_unavailable{instance="a"}': "0x4 1x40",
                                             'gossipreg_services_unavailable{instance="b"}': "0x4 2x40"}, 9, 11,
         {"cluster": "c"}, "2", INFO),
    Case("GossipregTrouble", {'gossipreg_troubles{instance="a"}': "0x4 1x40"}, 19, 21, A),
    Case("GossipregLoopLag", {'gossipreg_loop_lag_seconds{instance="a"}': "0x4 2.5x20"}, 9, 11, A, "2.5s"),
    Case("GossipregBug", {'gossipreg_bugs_total{where="check",instance="a"}': "_x5 1x20"}, 4, 6,
         {**A, "where": "check"}),
    Case("GossipregDeadLetters", {'gossipreg_group_dead_letters{group="mail",instance="a"}': "0x4 3x20",
                                  'gossipreg_group_dead_letters{group="mail",instance="b"}': "0x4 4x20"}, 9, 11,
         {"group": "mail"}, "7", {'gossipreg_group_dead_letters{group="stock",instance="a"}': "0x20"}),
    Case("GossipregEventsWait", {'gossipreg_group_oldest_seconds{group="mail",instance="a"}': "0x4 1000x20"}, 9, 11,
         {"group": "mail"}, "16m 40s", {'gossipreg_group_oldest_seconds{group="mail",instance="b"}': "30x20"}),
    Case("GossipregSagaStuck", {'gossipreg_sagas_stuck{instance="a"}': "0x4 2x20"}, 9, 11, A, "2"),
    Case("GossipregJournalCopiesMissing", {'gossipreg_journals_behind{instance="a"}': "0x4 1x40"}, 19, 21, A),
    Case("GossipregJournalLeaderless", {'gossipreg_journals_leaderless{instance="a"}': "0x4 2x20"}, 6, 8, A, "2"),
    Case("GossipregJournalFull", {'gossipreg_journal_fill_percent{instance="a"}': "50x4 85x20"}, 9, 11, A, "85"),
    Case("GossipregSpansDropped", {'gossipreg_drops_total{reason="span_queue_full",instance="a"}': "0x4 1+1x40"}, 10,
         25, {**A, "reason": "span_queue_full"}, more={'gossipreg_drops_total{reason="short",instance="a"}': "0+1x40"}),
]  # fmt: skip


def annotations(alert: str, labels: dict[str, str], value: str) -> dict[str, str]:
    """As they are written, with the labels and the value filled in."""
    body = ALERTS.read_text().partition(f"- alert: {alert}\n")[2].partition("- alert: ")[0]
    found = dict(re.findall(r'^ +(summary|do): "(.*)"$', body, re.MULTILINE))
    for name in found:
        filled = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: labels[match[1]], found[name])
        found[name] = re.sub(r"\{\{ \$value[^}]*\}\}", value, filled)
    return found


def severity(alert: str) -> str:
    found = re.search(rf"- alert: {alert}\n(?:.*\n)*?.*severity: (\w+)", ALERTS.read_text())
    assert found is not None
    return found[1]


def promtool_test(case: Case) -> dict[str, object]:
    """A test of promtool."""
    fired = {
        "exp_labels": {**case.labels, "severity": severity(case.alert)},
        "exp_annotations": annotations(case.alert, case.labels, case.value),
    }
    return {
        "name": case.alert,
        "interval": "1m",
        "input_series": [{"series": name, "values": some} for name, some in {**case.series, **case.more}.items()],
        "alert_rule_test": [
            {"eval_time": f"{case.quiet_at}m", "alertname": case.alert, "exp_alerts": []},
            {"eval_time": f"{case.fires_at}m", "alertname": case.alert, "exp_alerts": [fired]},
        ],
    }


JOBS = "static", "registry"
TWO_JOBS = [
    Case(alert, {f'{series},job="{job}",instance="a"}}': "0x4 2x40" for job in JOBS}, quiet, fires, labels, "2",
         {f'gossipreg_info{{instance="a",cluster="c",job="{job}"}}': "1x60" for job in JOBS})
    for alert, series, quiet, fires, labels in (
        ("GossipregMembersDead", 'gossipreg_members{state="dead"', 19, 21, {"cluster": "c"}),
        ("GossipregServiceWithoutInstance", 'gossipreg_services_unavailable{x="y"', 9, 11, {"cluster": "c"}),
        ("GossipregDeadLetters", 'gossipreg_group_dead_letters{group="mail"', 9, 11, {"group": "mail"}),
        ("GossipregSagaStuck", 'gossipreg_sagas_stuck{x="y"', 9, 11, A),
        ("GossipregJournalLeaderless", 'gossipreg_journals_leaderless{x="y"', 6, 8, A),
    )
]  # fmt: skip


def test_every_alert_has_a_case() -> None:
    assert [case.alert for case in CASES] == re.findall(r"- alert: (\w+)", ALERTS.read_text())


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here: apt install prometheus")
def test_alerts_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps({"rule_files": [str(ALERTS)], "tests": [promtool_test(case) for case in CASES]}))
    ended = subprocess.run([PROMTOOL, "test", "rules", str(cases)], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here: apt install prometheus")
def test_alerts_fire_where_two_jobs_scrape_one_sidecar(tmp_path: Path) -> None:
    """One for SidecarDown, from a list of machines, and one from the registry."""
    assert PROMTOOL is not None
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps({"rule_files": [str(ALERTS)], "tests": [promtool_test(case) for case in TWO_JOBS]}))
    ended = subprocess.run([PROMTOOL, "test", "rules", str(cases)], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here: apt install prometheus")
def test_a_case_that_is_wrong_is_seen(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    wrong = promtool_test(CASES[0])
    wrong["alert_rule_test"] = [{"eval_time": "1m", "alertname": CASES[0].alert, "exp_alerts": [{"exp_labels": A}]}]
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps({"rule_files": [str(ALERTS)], "tests": [wrong]}))
    assert subprocess.run([PROMTOOL, "test", "rules", str(cases)], capture_output=True, timeout=60).returncode == 1
