"""Prometheus against a real sidecar; skipped where it is not (`scripts/check --clients` installs it)."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from scripts.tools.programs import free_port
from scripts.tools.sidecars import Sidecars
from scripts.tools.wait import BOUND_S, wait_for

HOW = "is not installed: scripts/check --clients installs it"


@contextmanager
def running(log: Path, *command: str) -> Iterator[None]:
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            yield
        finally:
            process.kill()


def get(url: str) -> str:
    """The answer of Prometheus; empty if it gives none."""
    try:
        with urlopen(url, timeout=BOUND_S) as reply:
            return str(reply.read().decode())
    except (URLError, OSError):
        return ""


PROMETHEUS = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: http_sd
    http_sd_configs:
      - url: http://127.0.0.1:{port}/sd/prometheus?passing
        refresh_interval: 1s
    relabel_configs:
      - source_labels: [__meta_gossipreg_service]
        target_label: service
"""


def test_clients_prometheus_finds_targets_and_reads_metrics(tmp_path: Path) -> None:
    prometheus = shutil.which("prometheus") or pytest.skip(f"prometheus {HOW}")
    with Sidecars() as cluster:
        one = cluster.start("one", "--http", "127.0.0.1:0").wait_ready()
        port = int(one.ready["http"].rpartition(":")[2])
        one.call("register", name="sidecar", port=port, address="127.0.0.1", tags=["v1"])
        config = tmp_path / "prometheus.yml"
        config.write_text(PROMETHEUS.format(port=port))
        web = free_port()
        flags = [
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{web}",
        ]

        def active() -> dict[str, Any]:
            text = get(f"http://127.0.0.1:{web}/api/v1/targets?state=active")
            return {t["labels"]["job"]: t for t in json.loads(text)["data"]["activeTargets"]} if text else {}

        with running(tmp_path / "log", prometheus, *flags):
            wait_for(lambda: {job: t["health"] for job, t in active().items()} == {"http_sd": "up"})
            assert active()["http_sd"]["labels"]["service"] == "sidecar"
            query = f"http://127.0.0.1:{web}/api/v1/query?query=gossipreg_members%7Bstate%3D%22alive%22%7D"
            wait_for(lambda: [r["value"][1] for r in json.loads(get(query))["data"]["result"]] == ["1"])
            one.call("deregister", id=f"sidecar-{port}")
            wait_for(lambda: active() == {})
