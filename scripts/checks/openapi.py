"""`scripts/check --schemathesis`: what the HTTP gateway answers, against its own /openapi.json."""

import subprocess
from pathlib import Path

from scripts.tools.programs import environment
from scripts.tools.sidecars import Sidecars

FOLDER = Path(__file__).parents[2] / ".venv-schemathesis"
"""Schemathesis has an environment of its own: it brings much, and other versions of what the tests use too."""
LOOSE = "positive_data_acceptance,negative_data_rejection,not_a_server_error,unsupported_method"


def schemathesis() -> int:
    """Left out is what Consul's API is loose about, so that a schema cannot say it: texts with a grammar (filters,
    durations) are refused though they are texts, and flags are taken in many spellings. That a service is ill is said
    with 503, which is no failure here; those are counted inside. A write to the key-value store is 501, not 405.
    """
    environment(FOLDER, "st", "schemathesis>=4")
    with Sidecars() as sidecars:
        one = sidecars.start("one", "--http", "127.0.0.1:0").wait_ready()
        one.call("register", name="web", port=80, checks=["ttl:1h"])
        apart = ["/events", "/v1/agent/leave"]  # the one has no end, the other ends the sidecar
        given = [word for path in apart for word in ("--exclude-path", path)]
        given += ["--exclude-checks", LOOSE, "--max-examples", "20"]
        url = f"http://{one.ready['http']}/openapi.json"
        command = [str(FOLDER / "bin" / "st"), "run", url, *given]
        ended = subprocess.run(command, check=False, cwd=sidecars.folder)  # it leaves files
        bugs = {name: count for name, count in one.call("info")["counters"].items() if name.startswith("bug.")}
        print("failures inside:", bugs or "none")
        return ended.returncode or len(bugs)
