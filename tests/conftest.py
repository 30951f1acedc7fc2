"""Hypothesis without a deadline: the machine may be busy, and durations are measured, not asserted.

Tests that are marked `wide` take too long for every run; `scripts/check --wide` runs them. `--hypothesis-profile wide`
draws ten times as many examples.
"""

import gc
import signal

import pytest
from hypothesis import settings

from tests.long_first import long_first

settings.register_profile("busy", deadline=None, max_examples=20)  # there are many properties, and two cores
settings.register_profile("wide", deadline=None, max_examples=200)
settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--wide", action="store_true", help="run the tests that are marked wide, and no others")


def pytest_configure() -> None:
    """Hear SIGINT, which a job in the background of a shell ignores: processes that tests start would ignore it too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wide = bool(config.getoption("--wide"))
    chosen: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        (chosen if _is_wide(item) is wide else others).append(item)
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = chosen
    if (worker := getattr(config, "workerinput", None)) is not None:
        items[:] = long_first(items, worker["workercount"], lambda item: item.nodeid)


gc.disable()  # while tests are collected: every worker would spend a quarter of that time in garbage collections


def pytest_collection_finish() -> None:
    """Leave 350,000 objects of the collection out of every later garbage collection: 0.4 s each time."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _is_wide(item: pytest.Item) -> bool:
    """A server of PostgreSQL is for `--wide` alone: it has to be fetched where there is none."""
    return item.get_closest_marker("wide") is not None or "postgres" in getattr(item, "fixturenames", ())
