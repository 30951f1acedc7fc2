"""Connections that the system has no room for: a line of the log and a trouble, however often it is tried."""

import errno
import io
import time

import pytest

from gossipreg.daemon import logs, reports
from gossipreg.daemon.logs import Log
from gossipreg.daemon.reports import Reports
from gossipreg.daemon.troubles import Troubles


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EMFILE, "this sidecar has as many files and connections open as it may, "),
        (errno.ENFILE, "this machine has as many files and connections open as it may: "),
        (errno.ENOBUFS, "this machine is short of memory: "),
    ],
)
def test_connections_without_room_are_reported_seldom(number: int, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now, heard, written = 1000.0, [], io.StringIO()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    log, troubles = Log(stream=written), Troubles(lambda: now)
    log.hears = lambda _, kind, fields: heard.append((kind, str(fields["message"])))
    reported = Reports(log, troubles)
    lasts_s = 2 * logs.REPEAT_S
    while now < 1000.0 + lasts_s:
        reported.cannot_accept(OSError(number, "no room"))
        now += 0.1
    assert written.getvalue().count("error cannot_accept") == lasts_s / logs.REPEAT_S
    assert len(heard) == pytest.approx(lasts_s / reports.ACCEPT_SAID_S, abs=1)
    assert all(kind == "cannot_accept" and message.startswith(told) for kind, message in heard)
    [trouble] = troubles.shapes()
    assert trouble["message"].startswith(told)
