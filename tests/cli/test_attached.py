"""Registrations that live with a process, where the sidecar that comes after does not want them."""

from types import SimpleNamespace
from typing import Any

import pytest

from gossipreg.cli import attached
from gossipreg.cli.attached import Attached
from gossipreg.cli.options import Chosen
from gossipreg.errors import RequestError, TooLarge, Unreachable
from gossipreg.retry import Retry


class Client:
    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def attach(self, **_params: Any) -> Any:
        if self._error is not None:
            raise self._error
        return SimpleNamespace(result={"id": "web-80"})


def test_a_refusal_is_said_once_while_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    full, leaving = TooLarge("this sidecar has 4096 services already"), RequestError("this sidecar is leaving")
    answers = iter([Unreachable("nobody"), leaving, full, full, full, None])
    monkeypatch.setattr(attached, "RETRY", Retry(0.0, 0.0))
    monkeypatch.setattr(Chosen, "client", lambda *_: Client(next(answers)))
    assert Attached(Chosen(), {"name": "web", "port": 80})._again([])
    assert capsys.readouterr().err.splitlines() == [
        f"not registered: {leaving}; trying again", f"not registered: {full}; trying again",
    ]  # fmt: skip
