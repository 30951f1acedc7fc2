"""The unit in the manual is one that systemd understands."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gossipreg.cli.commands import gossipreg

OPERATIONS = Path(__file__).parent.parent / "gossipreg" / "docs" / "operations.md"
ANALYZE = shutil.which("systemd-analyze")


def unit() -> str:
    found = re.search(r"```ini\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def verify(folder: Path, text: str) -> "subprocess.CompletedProcess[str]":
    assert ANALYZE is not None
    path = folder / "gossipreg.service"
    path.write_text(text.replace("/usr/local/bin/gossipreg", "/bin/true"))
    return subprocess.run([ANALYZE, "verify", path], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_the_unit_in_the_manual_is_valid(tmp_path: Path) -> None:
    good = verify(tmp_path, unit())
    assert (good.returncode, good.stderr) == (0, "")
    assert verify(tmp_path, unit().replace("ProtectSystem=strict", "ProtectSystem=very")).stderr != ""


@pytest.mark.parametrize("directive", ["ExecStart", "ExecStop", "ExecReload"])
def test_the_commands_of_the_unit_are_commands_of_ours(directive: str) -> None:
    line = unit().replace("\\\n", "").split(f"{directive}=")[1].split("\n")[0]
    words = line.partition("/usr/local/bin/gossipreg ")[2].split()
    ctx = gossipreg.make_context("gossipreg", words)
    name, command, args = gossipreg.resolve_command(ctx, [*ctx._protected_args, *ctx.args])
    assert command is not None
    command.make_context(name, args, parent=ctx)
