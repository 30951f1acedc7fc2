"""Ansible's modules for Consul's agents against a real sidecar.

`scripts/check --clients` installs Ansible into an environment of its own. Without it the test is skipped.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.tools.sidecars import Sidecars
from scripts.tools.wait import BOUND_S

PLAYBOOK = Path(__file__).parents[3] / ".venv" / "peers" / "ansible" / "bin" / "ansible-playbook"

WEB: dict[str, Any] = {
    "id": "web-1",
    "name": "web",
    "service_port": 80,
    "address": "10.0.0.9",
    "tags": ["b", "a"],
    "meta": {"k": "v"},
}
TCP: dict[str, Any] = {"id": "web-tcp", "name": "tcp", "tcp": "127.0.0.1:1", "interval": "60s", "service_id": "web-1"}
TASKS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("registered", "service", WEB),
    ("the same again", "service", WEB),
    ("another port", "service", WEB | {"service_port": 81}),
    ("a check", "check", TCP),
    ("no check", "check", {"id": "web-tcp", "state": "absent"}),
)


def test_clients_ansible_registers_changes_and_checks_a_service(tmp_path: Path) -> None:
    if not PLAYBOOK.exists():
        pytest.skip("`scripts/check --clients` fetches Ansible")
    (tmp_path / "tokens").write_text("a-token-that-nobody-guesses\n")
    with Sidecars() as cluster:
        one = cluster.start("one", "--http", "127.0.0.1:0", "--http-token-file", str(tmp_path / "tokens")).wait_ready()
        door = {"host": "127.0.0.1", "port": int(one.ready["http"].rpartition(":")[2])}
        door["token"] = "a-token-that-nobody-guesses"

        def play(*tasks: tuple[str, str, dict[str, Any]]) -> dict[str, bool]:
            steps = [
                {"name": name, f"community.general.consul_agent_{kind}": door | given} for name, kind, given in tasks
            ]
            plays = [{"hosts": "localhost", "gather_facts": False, "tasks": steps}]
            (tmp_path / "play.json").write_text(json.dumps(plays))  # JSON is YAML
            done = subprocess.run(
                [PLAYBOOK, "-i", "localhost,", "-c", "local", tmp_path / "play.json"],
                env=os.environ | {
                    "ANSIBLE_HOME": str(tmp_path), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
                    "ANSIBLE_PYTHON_INTERPRETER": sys.executable, "ANSIBLE_NOCOLOR": "1",
                },
                capture_output=True, text=True, timeout=4 * BOUND_S, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            results = json.loads(done.stdout)["plays"][0]["tasks"]
            return {task["task"]["name"]: task["hosts"]["localhost"]["changed"] for task in results}

        assert play(*TASKS[:4]) == {"registered": True, "the same again": False, "another port": True, "a check": True}
        [web] = one.call("lookup", name="web", all=True)
        assert (web["id"], web["address"], web["port"], web["tags"]) == ("web-1", "10.0.0.9", 81, ["b", "a"])
        assert (web["meta"], web["health"]) == ({"k": "v"}, "critical")
        play(TASKS[4])
        [web] = one.call("lookup", name="web")
        assert web["port"] == 81
        play(("gone", "service", {"id": "web-1", "state": "absent"}))
        assert one.call("lookup", name="web", all=True) == []
