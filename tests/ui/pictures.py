"""Draws the pictures of docs/page.md anew: `python -m tests.ui.pictures`. Look at them before you commit them."""

import tempfile
from pathlib import Path

import trio

import gossipreg
from scripts.tools.chromium import connected, new_tab, program, running_chromium
from tests.ui.fake_cluster import fake_cluster

FOLDER = Path(gossipreg.__file__).parent / "docs/pictures"
SAGA = "5f5f5f5f5f5f5f5f.order-1042"
# name -> (members, place, what says that it is shown, width, height, colours)
PICTURES = {
    "page-overview": (30, "", ".verdict .glyph", 1200, 660, "light"),
    "page-members": (1000, "#/members", "table.list tbody a", 1200, 800, "light"),
    "page-ring": (30, "#/members?map=ring&by=rtt", "table.list tbody a", 1200, 700, "dark"),
    "page-service": (30, "#/services/billing", ".instances", 1200, 860, "light"),
    "page-events": (30, "#/events", ".letters", 1200, 660, "light"),
    "page-saga": (30, f"#/sagas/{SAGA}", ".saga", 1200, 720, "dark"),
    "page-history": (30, "#/history", ".time-line", 1200, 660, "light"),
    "page-phone": (30, "", ".verdict .glyph", 360, 700, "dark"),
}


async def draw(profile: Path) -> None:
    with running_chromium(profile) as chromium:
        async with trio.open_nursery() as nursery, connected(chromium) as tools:
            for name, (members, place, shown, width, height, colours) in PICTURES.items():
                sidecar = await nursery.start(
                    fake_cluster(members_=members, writes="saga" in name or "events" in name).run
                )
                async with new_tab(tools) as tab:
                    await tab.size(width, height)
                    await tab.media(prefers_color_scheme=colours)
                    await tab.open(sidecar.address + place)
                    await tab.wait_for(f"document.querySelector('{shown}')")
                    await tab.evaluate(
                        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
                    )
                    await tab.picture(FOLDER / f"{name}.webp")
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    assert program() is not None, "there is no Chromium on this machine"
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        trio.run(draw, Path(folder))
