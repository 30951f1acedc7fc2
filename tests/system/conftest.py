from collections.abc import Iterator

import pytest

from scripts.tools.sidecars import Sidecars


@pytest.fixture
def cluster() -> Iterator[Sidecars]:
    with Sidecars() as cluster:
        yield cluster
