"""Ending a maintenance says what another one keeps out of the answers."""

from pathlib import Path

from tests.daemon.conftest import ME
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import running
from tests.gateway.http.ui.page_reader import call
from tests.gateway.http.ui.test_page_requests import Writing


async def test_what_stays_out_of_the_answers_is_told(tmp_path: Path) -> None:
    async with running(Writing(tmp_path, MemoryNetwork(), "one")) as served:
        await served.register("web", 80)
        await served.services.maintain("web-80", "disk", by=ME)
        await served.services.maintain(None, "move", by=ME)
        said = (await call(served, "maint", {"service": "web-80", "off": True})).json["result"]
        assert said["still_out"].startswith("web-80: the whole sidecar is in maintenance")
        await served.services.maintain("web-80", "disk", by=ME)
        said = (await call(served, "maint", {"off": True})).json["result"]
        assert said["still_out"].startswith("web-80: each has a maintenance of its own")
        assert (await call(served, "maint", {"service": "web-80", "off": True})).json["result"]["still_out"] == ""
