"""What an error text says of an optional part can be pasted."""

import shlex
import sys
from pathlib import Path

import gossipreg
from gossipreg.extras import install_command


def test_an_installed_package_is_installed_by_its_name(tmp_path: Path) -> None:
    line = install_command("xds", tmp_path / "site-packages" / "gossipreg")
    assert shlex.split(line) == [sys.executable, "-m", "pip", "install", "gossipreg[xds]"]


def test_a_checkout_is_installed_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "my work").mkdir()
    (tmp_path / "my work" / "pyproject.toml").touch()
    line = install_command("grpc", tmp_path / "my work" / "gossipreg")
    assert shlex.split(line)[-1] == f"{tmp_path}/my work[grpc]"


def test_the_tested_package_is_named() -> None:
    root = Path(gossipreg.__file__).parent.parent
    assert shlex.split(install_command("xds"))[-1] in (f"{root}[xds]", "gossipreg[xds]")
