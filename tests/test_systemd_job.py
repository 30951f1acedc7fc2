"""What systemd says of the unit's job, read from its texts; the real one is asked in `scripts/check --systemd`."""

import os
from pathlib import Path

import pytest

from gossipreg import systemd_job
from gossipreg.systemd_job import is_restarted, restart_job, unit_of

JOBS = """ 871 gossipreg.service  restart running
 872 app.service        start   waiting
"""


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/gossipreg.service\n", ("gossipreg.service", False)),
        ("0::/system.slice/system-gossipreg.slice/gossipreg@web.service\n", ("gossipreg@web.service", False)),
        ("12:cpu:/x.service\n1:name=systemd:/system.slice/gossipreg.service\n0::/\n", ("gossipreg.service", False)),
        ("0::/user.slice/user-7.slice/user@7.service/app.slice/gossipreg.service\n", ("gossipreg.service", True)),
        ("0::/user.slice/user-7.slice/user@7.service/session.slice\n", None),
        ("0::/system.slice/gossipreg.service/checks\n", ("gossipreg.service", False)),
        ("0::/\n", None), ("0::/user.slice/user-0.slice/session-1.scope\n", None), ("", None), ("nonsense", None),
    ],
)  # fmt: skip
def test_the_unit_is_the_innermost_service_of_the_cgroup(text: str, unit: tuple[str, bool] | None) -> None:
    assert unit_of(text) == unit


@pytest.mark.parametrize(
    ("unit", "jobs", "restarted"),
    [
        ("gossipreg.service", JOBS, True), ("app.service", JOBS, False), ("other.service", JOBS, False),
        ("gossipreg.service", JOBS.replace("restart", "stop   "), False), ("gossipreg.service", "", False),
        ("gossipreg.service", "No jobs running.\n", False),
    ],
)  # fmt: skip
def test_only_a_restart_job_of_the_unit_counts(unit: str, jobs: str, restarted: bool) -> None:
    assert is_restarted(unit, jobs) is restarted


SYSTEMCTL = """#!/bin/sh
echo "$@" >"$0.asked"
{then}
"""


@pytest.mark.parametrize(
    ("then", "unit"),
    [("echo '1 x.service restart running'", "x.service"), ("echo '1 x.service stop running'", ""), ("exit 1", ""),
     ("exec sleep 60", "")],
)  # fmt: skip
def test_the_restart_job_is_the_one_that_systemctl_lists(
    then: str, unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(SYSTEMCTL.format(then=then))
    systemctl.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("INVOCATION_ID", "0" * 32)
    monkeypatch.setattr(systemd_job, "unit_of", lambda _: ("x.service", False))
    monkeypatch.setattr(systemd_job, "ASK_S", 0.5)
    assert restart_job() == unit
    assert (tmp_path / "systemctl.asked").read_text().split()[:2] == ["list-jobs", "--no-legend"]


def test_outside_systemd_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("INVOCATION_ID", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert restart_job() == ""
