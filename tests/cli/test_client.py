"""The client libraries for other languages: where they are."""

import json
from pathlib import Path

import pytest

from gossipreg.cli import client
from tests.cli.conftest import Command

FOLDER = Path(client.__file__).parents[1] / "client" / "node"


def test_the_path_of_the_node_client_is_a_package(command: Command) -> None:
    ended = command("client", "node", "--print-path")
    assert (ended.code, ended.out) == (0, f"{FOLDER}\n")
    assert json.loads((FOLDER / "package.json").read_text())["name"]
    assert json.loads(command("client", "node", "--json").out) == {"language": "node", "path": str(FOLDER)}
    assert f"npm install {FOLDER}" in command("client", "node").out


def test_an_installation_without_that_client_says_so(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "files", lambda _: tmp_path)
    ended = command("client", "node", "--print-path")
    assert (ended.code, ended.out) == (4, "")
    assert str(tmp_path) in ended.err


def test_a_language_without_a_client_is_wrong_usage(command: Command) -> None:
    ended = command("client", "cobol")
    assert ended.code == 2
    assert "node" in ended.err
