"""The costs of a run are printed, with workers and without."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_says_its_cpu_time_and_its_slowest_file(workers: str, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_a.py").write_text(
        "import time\ndef test_a():\n    end = time.process_time() + 0.5\n    while time.process_time() < end: pass\n"
    )
    (tmp_path / "test_b.py").write_text("def test_b(): pass\n")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "tests.costs", "-p", "no:cacheprovider", "-n", workers],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(
        r"^CPU: [1-9]\d* s; .*\n +\d+\.\d s  test_a\.py\n +0\.0 s  test_b\.py$", ended.stdout, re.MULTILINE
    )
