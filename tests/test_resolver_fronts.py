"""The configurations of gossipreg/docs/dns.md as `scripts/check --resolvers` runs them: none is left out, and each is
run with the ports of the sidecar under test."""

import re
from pathlib import Path

import pytest

from scripts.checks import front_configs, fronts
from scripts.checks.front_configs import FRONTS
from scripts.checks.fronts import Front, Missing, Place, blocks_of_page
from scripts.checks.resolvers import check_resolvers

PORTS = {"dns": 45_001, "backend": 45_002}


class Noted(dict[str, str]):
    """The blocks, and which of them were asked for."""

    def __init__(self) -> None:
        super().__init__(blocks_of_page(PORTS))
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)


def written(front: Front, folder: Path, blocks: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """All that it is configured by."""
    monkeypatch.setattr(front_configs, "_from_pypi", lambda program: program)
    folder.mkdir()
    command = front.start(Place(folder, 45_003, blocks))
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in ("passwd", "group"))
    return " ".join(command) + "".join(path.read_text() for path in files)


def test_every_named_block_of_the_page_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = Noted()
    for front in FRONTS:
        written(front, tmp_path / front.program, blocks, monkeypatch)
    # The anchor of systemd-resolved is a command for a person; the check writes the file that it makes.
    assert blocks.asked == set(blocks) - {"systemd-resolved-anchor"}


@pytest.mark.parametrize("front", FRONTS, ids=lambda front: front.program)
def test_a_block_is_run_with_the_ports_under_test(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = written(front, tmp_path / "f", blocks_of_page(PORTS), monkeypatch)
    assert re.search(r"\b45001\b", text), "the sidecar's"
    assert re.search(r"\b45003\b", text), "its own"
    assert not re.search(r"\b(8600|8080)\b", text), "the documented ones"


def test_an_unknown_program_is_an_error_that_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_resolvers(["bind"]) == 2
    assert "no program 'bind': there are dnsmasq, unbound, named" in capsys.readouterr().err


def test_a_program_that_cannot_be_had_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_configs, "PYPI", tmp_path)
    monkeypatch.setattr(fronts, "PEERS", tmp_path)
    place = Place(tmp_path, 1, blocks_of_page(PORTS))
    with pytest.raises(Missing, match="caddy is not in"):
        next(front for front in FRONTS if front.program == "caddy").start(place)
    front = Front("None", "no-such-program", lambda _: [])
    with pytest.raises(Missing, match="no-such-program"):
        fronts._placed(front, place, ["no-such-program"])
