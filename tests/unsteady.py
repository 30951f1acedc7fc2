"""Run the few tests that failed once more, alone; `scripts/test` loads it in both of its runs.

The first run notes with `--note-failed=FILE` what failed, and the second one runs that with `--failed-again=FILE`: a
test that passes then is unsteady, and is named with its first failure. FILE is written only where the second run could
end well: tests failed and nothing else, and no more than UNSTEADY_MAX. The `=` is needed: pytest takes a word by itself
for a path of tests, and looks for its configuration there.
"""

import json
from pathlib import Path

import pytest

UNSTEADY_MAX = 3
"""More in one run have a reason in common, such as a change that nobody may land."""


class Failures:
    """What fails in this run, written to a file at its end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._texts: dict[str, str] = {}
        """By id of a test, each with the text of its first failure."""
        self._others = False
        """Whether anything but a test has failed."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._texts.setdefault(report.nodeid, report.longreprtext)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._others |= report.failed

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        only_tests = exitstatus == pytest.ExitCode.TESTS_FAILED and not self._others
        if only_tests and 1 <= len(self._texts) <= UNSTEADY_MAX:
            self._file.write_text(json.dumps(self._texts))


class Again:
    """A run of what failed before."""

    def __init__(self, file: Path) -> None:
        self.texts: dict[str, str] = json.loads(file.read_text())
        self._passed: set[str] = set()
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self._passed.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """A test that is skipped now, or not found, has not passed."""
        if exitstatus == pytest.ExitCode.OK and self._passed != self.texts.keys():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for id, text in self.texts.items():
            if id in self._passed - self._failed:
                terminalreporter.section(f"unsteady: {id}", yellow=True)
                terminalreporter.write_line(text)
                terminalreporter.write_line(f"unsteady: {id} failed as above, and passed alone: mend it first")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--note-failed", type=Path, help="write what fails to this file, if it is worth a second run")
    parser.addoption("--failed-again", type=Path, help="run what this file says has failed, and nothing else")


def pytest_configure(config: pytest.Config) -> None:
    if (file := config.getoption("--note-failed")) is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Failures(file))
    if (file := config.getoption("--failed-again")) is not None:
        again = Again(file)
        config.args = list(again.texts)  # as they are: a shell, or a file of arguments, would change odd characters
        config.pluginmanager.register(again)
