"""A start collects garbage seldom, and a sidecar that runs collects it as Python does."""

import gc
from collections.abc import Iterator

import pytest

from gossipreg.daemon import memory


@pytest.fixture(autouse=True)
def _unfrozen() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_a_start_collects_seldom_and_ends_with_pythons_thresholds() -> None:
    before = gc.get_threshold()
    memory.collect_seldom()
    assert gc.get_threshold() == (memory.START_THRESHOLD, *before[1:])
    memory.settle_memory()
    assert gc.get_threshold() == (memory.THRESHOLD, *before[1:])
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000


def test_what_stays_of_a_join_is_searched_once() -> None:
    with memory.settling():
        gc.collect()
        before = gc.get_freeze_count()
        stays = [[number] for number in range(1000)]
        gc.collect()
        assert gc.get_freeze_count() >= before + 1000
    gc.collect()
    before = gc.get_freeze_count()
    stays += [[number] for number in range(1000)]
    gc.collect()
    assert gc.get_freeze_count() <= before
