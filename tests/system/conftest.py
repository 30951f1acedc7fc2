from collections.abc import Iterator

import pytest

from tests.system.sidecars import Sidecars


@pytest.fixture
def cluster() -> Iterator[Sidecars]:
    with Sidecars() as cluster:
        yield cluster
