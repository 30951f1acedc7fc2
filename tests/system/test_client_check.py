"""A short form of both parts of `scripts/check --client`: nothing fails, hangs or leaks. Times are not judged here."""

import shutil

import pytest

from scripts.checks.client.outages import OutageSize, outages
from scripts.checks.client.storm import StormSize, storm


@pytest.mark.wide  # 40 s of CPU; the tests of forks, threads and adapters are in every run
def test_threads_forks_and_servers_outlive_their_sidecar() -> None:
    pytest.importorskip("gunicorn")
    pytest.importorskip("uvicorn")
    result = storm(StormSize(seconds=14, threads=8, children=3, restarts=3, senders=4))
    assert (result.faults, result.restarts) == ([], 3), result.tables


@pytest.mark.wide
def test_services_that_call_each_other_outlive_kills_and_hangs() -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    result = outages(OutageSize(warm_s=0.5, quiet_s=1, outages=4, seconds=12, rate=60))
    assert result.faults == [], result.tables
