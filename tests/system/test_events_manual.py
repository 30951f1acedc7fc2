"""What docs/events.md says to paste: an order service, stock and mail, and a publisher's host that burns."""

import os
import re
import sys
from pathlib import Path
from random import Random

import pytest

from tests.system.test_readme import ROOT, free_ports, run

PAGE = (ROOT / "gossipreg" / "docs" / "events.md").read_text()


def blocks() -> list[str]:
    """The indented blocks of "Try it", each as a script."""
    section = PAGE.partition("\n## Try it\n")[2].partition("\n## ")[0]
    found = re.findall(r"(?:^ {4}.*\n)+", section, re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in found]


def run_in(folder: Path, *scripts: str) -> tuple[str, str]:
    """Run blocks one after the other in one shell, in this folder, with this gossipreg and free ports."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = "".join(scripts)
    assert "127.0.0.1:794" in script
    script = script.replace("127.0.0.1:794", f"127.0.0.1:{free_ports(Random())}")
    begin = f"export PATH='{path}' PYTHONPATH='{ROOT}' GOSSIPREG_KEY=; cd '{folder}'"
    return run(f"{begin}\ntrap 'kill -9 $(jobs -p)' EXIT\n{script}")


def test_the_story_of_the_manual_survives_the_publishers_host(tmp_path: Path) -> None:
    story = blocks()
    assert len(story) == 3
    _, told = run_in(tmp_path, story[0], story[1])
    for name in ("stock", "mail"):
        file = tmp_path / f"{name}.jsonl"
        assert file.exists(), told
        got = re.findall(r'"id": *([789])\b', file.read_text())
        assert (got.count("7") >= 1, got.count("8") >= 1) == (True, True), told
    assert not (tmp_path / "data1").exists()


@pytest.mark.wide
def test_with_one_copy_the_manual_has_the_restart_deliver(tmp_path: Path) -> None:
    out, told = run_in(tmp_path, blocks()[2])
    assert re.search(r'"takeover": *false', out), told
    assert re.search(r'"id": *9\b', out), told
