"""One Chromium for all tests of a run, and a tab for each; skipped where there is no browser."""

from collections.abc import AsyncIterator, Iterator

import pytest
import trio

from scripts.tools.chromium import Chromium, Tab, connected, new_tab, program, running_chromium
from tests.ui.fake_cluster import fake_cluster
from tests.ui.fake_sidecar import FakeSidecar


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if program() is None:
        pytest.skip("there is no Chromium on this machine (Debian: apt install chromium)")
    with running_chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
async def tab(chromium: Chromium, nursery: trio.Nursery) -> AsyncIterator[Tab]:  # noqa: ARG001  # sidecars outlive it
    """An open tab, of which nothing may be left in the list of errors."""
    async with connected(chromium) as tools, new_tab(tools) as opened:
        yield opened
        # the browser fetches the icon when it likes, also while the sidecar of the test ends
        assert [error for error in opened.errors if "/icon.svg" not in error] == []


@pytest.fixture
async def sidecar(nursery: trio.Nursery) -> FakeSidecar:
    """A cluster of 30 members, with trouble, at a sidecar without --ui-writes."""
    made: FakeSidecar = await nursery.start(fake_cluster().run)
    return made
