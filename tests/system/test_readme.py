"""The README's first block is what a newcomer pastes: it runs here as it stands, but for the ports."""

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from scripts.tools.programs import free_port

ROOT = Path(__file__).parents[2]


def test_what_the_readme_says_to_paste_works_word_for_word() -> None:
    block = re.search(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    script = block[1].replace("8000", str(free_port()))
    script = script.replace("7940", str(free_port()))
    process = subprocess.Popen(
        ["bash", "-c", script], cwd=ROOT, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        out, errors = process.communicate(timeout=120)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what the block started and, on a failure, did not end
        process.wait()
    said = out.splitlines()
    told = f"{out}\n{errors}"
    assert [line for line in said if line.startswith("200 by")] == ["200 by one", "200 by two", "200 by three"], told
    assert [line for line in said if line.startswith("gone at")] == ["gone at two", "gone at three"], told
    states = [line.split()[3] for line in said if line.startswith("one ")]
    assert states == ["alive", "dead"], told
