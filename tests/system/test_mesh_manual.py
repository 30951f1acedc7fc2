"""What docs/mesh.md says to paste: three instances, two gRPC clients and an Envoy; a crash, a drain and a split."""

import ast
import os
import re
import sys
from pathlib import Path
from random import Random
from shutil import which

import pytest

from scripts.checks.mesh.check import missing
from scripts.checks.mesh.mesh_caller import PEERS
from scripts.tools.programs import free_port
from tests.system.test_readme import ROOT, free_ports, run

PAGE = (ROOT / "gossipreg" / "docs" / "mesh.md").read_text()
PORTS = ("127.0.0.1:18000", "127.0.0.1:10000", "127.0.0.1:9901")


def blocks() -> list[str]:
    """The indented blocks of "Try it", each as a script, without the first, which installs."""
    section = PAGE.partition("\n## Try it\n")[2].partition("\n## ")[0]
    found = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", section, re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in found][1:]


def counts(line: str) -> dict[str, int]:
    """Of a line that a client of the tour prints: `[('v1-1', 33), ...]` or `{ 'v1-1': 34, ... }`."""
    return dict(ast.literal_eval(line))


@pytest.mark.wide
@pytest.mark.skipif(bool(missing("envoy") or missing("grpc-js")), reason="scripts/check --mesh fetches Envoy and npm's")
def test_tour_of_the_mesh_does_what_it_says(tmp_path: Path) -> None:
    assert which("curl")
    (tmp_path / "envoy").symlink_to(PEERS / "envoy")
    (tmp_path / "node_modules").symlink_to(PEERS / "node_modules")
    script = "".join(blocks())
    for port in PORTS:
        assert port in script
    listen = free_port()
    listen, admin = free_port(), free_port()
    listens = rf"[listen]\nport = {listen}\n"
    for old, new in (
        ("127.0.0.1:18000", f"127.0.0.1:{free_port()}"),
        ("127.0.0.1:10000", f"127.0.0.1:{listen}"),
        ("127.0.0.1:9901", f"127.0.0.1:{admin}"),
        ("127.0.0.1:794", f"127.0.0.1:{free_ports(Random())}"),
        ("5005", str(free_ports(Random()))),
        ("bootstrap --envoy", f"bootstrap --envoy --admin-port {admin}"),
        ("touch policy.toml", f"printf '{listens}' > policy.toml"),
        ("printf '[service", f"printf '{listens}[service"),
    ):
        script = script.replace(old, new)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    begin = f"export PATH='{path}' PYTHONPATH='{ROOT}' GOSSIPREG_KEY=; cd '{tmp_path}'"
    out, told = run(f"{begin}\ntrap 'kill -9 $(jobs -p)' EXIT\n{script}")
    seen = [counts(line) for line in out.splitlines() if "'v1-" in line]
    assert len(seen) == 8, told
    python, node, envoy = seen[:3]
    assert python.keys() == node.keys() == envoy.keys() == {"v1-1", "v1-2", "v1-3"}
    assert seen[3:5] == [{"v1-3": 100}] * 2
    for one in seen[5:]:
        assert sum(one.values()) == 100
        assert 0 < one["v2-4"] < 40, told
    assert 'envoy_cluster_upstream_rq_total{envoy_cluster_name="greeter"} 200' in out
    assert 'envoy_cluster_upstream_rq_total{envoy_cluster_name="v2_greeter"}' in out
