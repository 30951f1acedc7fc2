"""What a run of the tests costs: CPU time of all its processes, and its slowest files; `scripts/test` loads it.

Printed and never judged: on a busy machine the same work takes more of both.
"""

import resource
from collections import Counter
from typing import Any

import pytest

SHOWN = 10


def used_s() -> float:
    """CPU seconds of this process and of those that it started and that have ended."""
    used = [resource.getrusage(which) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Costs:
    def __init__(self) -> None:
        self.workers_s = 0.0
        self.files: Counter[str] = Counter()

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            output["cpu_s"] = used_s()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.workers_s += getattr(node, "workeroutput", {}).get("cpu_s", 0.0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.files[report.nodeid.partition("::")[0]] += report.duration  # type: ignore[assignment]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(f"CPU: {self.workers_s or used_s():.0f} s; files by the time of their tests:")
        for file, seconds in self.files.most_common(SHOWN):
            terminalreporter.write_line(f"{seconds:7.1f} s  {file}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Costs())
