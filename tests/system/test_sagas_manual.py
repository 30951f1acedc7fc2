"""What docs/sagas.md says to paste: an order over a stock and a payment, and a host that burns in the middle of it."""

import os
import re
import sys
from pathlib import Path
from random import Random

from tests.system.test_readme import ROOT, free_ports, run

PAGE = (ROOT / "gossipreg" / "docs" / "sagas.md").read_text()


def story() -> str:
    """The indented blocks of "Try it", one after the other."""
    section = PAGE.partition("\n## Try it\n")[2].partition("\n## ")[0]
    found = re.findall(r"(?:^(?: {4}.*)?\n)+?(?=\S|\Z)", section, re.MULTILINE)
    return re.sub(r"^ {4}", "", "".join(block for block in found if "    " in block), flags=re.MULTILINE)


def test_an_order_of_the_manual_is_whole_though_its_host_burns(tmp_path: Path) -> None:
    script = story()
    assert "127.0.0.1:794" in script
    ports = str(free_ports(Random()))
    script = script.replace("127.0.0.1:794", f"127.0.0.1:{ports}")
    for number in (1, 2):
        script = script.replace(f"795{number}", f"{ports}{number + 4}")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    begin = f"export PATH='{path}' PYTHONPATH='{ROOT}' GOSSIPREG_KEY=; cd '{tmp_path}'"
    out, told = run(f"{begin}\ntrap 'kill -9 $(jobs -p)' EXIT\n{script}")
    booked = [int(count) for count in re.findall(r'"booked": *(\d)', out)]
    assert booked == [1, 1, 2, 2], out + told
    assert re.search(r"pay .* refused +422", out), out
    assert re.search(r"reserve .* undone", out), out
    assert not (tmp_path / "data1").exists()
