"""A datagram crosses few files on its way from the node to the catalog."""

import pytest

from simulations.cli import main
from simulations.crossing import one_datagram

FILES_MAX = 22
"""Lower it when a change makes the way shorter. The last file, `wire/sharing.py`, halves the memory of a service."""


def test_a_datagram_crosses_no_more_files_than_it_did() -> None:
    crossing = one_datagram()
    assert crossing.files[0] == "core/node.py"
    assert "core/table/catalog.py" in crossing.files
    assert len(crossing.files) <= FILES_MAX, crossing.files


def test_two_runs_cross_the_same_files() -> None:
    assert one_datagram() == one_datagram()


def test_the_command_prints_each_file_and_their_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crossing"]) == 0
    lines = capsys.readouterr().out.splitlines()
    files = [line for line in lines if line.startswith("gossipreg/")]
    assert files == [f"gossipreg/{file}" for file in one_datagram().files]
    assert lines[len(files)].startswith(f"{len(files)} files")
