"""The addresses at which the gateway listens."""

from pathlib import Path

import pytest

from gossipreg.gateway.xds.server.ports import listen_unix


def test_a_path_is_told_as_a_client_in_another_folder_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listener = listen_unix(Path("xds"), None)
    try:
        assert listener.text == f"unix:{tmp_path}/xds"
    finally:
        listener.close()
