"""A server of the gateway for each test that asks for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.xds.served import ServedXds, serving


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[ServedXds]:
    async with serving(tmp_path) as one:
        yield one
