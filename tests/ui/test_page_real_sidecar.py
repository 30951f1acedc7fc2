"""The page of a real sidecar: what the fake one of the other tests cannot get wrong is right here too."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from scripts.tools.chromium import Tab
from scripts.tools.sidecars import Sidecar, Sidecars

HOSTILE = "<script>window.ran=1;<b>"
TOKEN = "a-token-of-more-than-sixteen"


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Sidecar]:
    """With a token, a service whose check fails, and --ui-writes."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN}\n")
    with Sidecars() as sidecars:
        flags = (
            "--http",
            "127.0.0.1:0",
            "--ui-writes",
            "--http-token-file",
            str(tokens),
            "--data-dir",
            str(tmp_path / "d"),
        )
        one = sidecars.start("first", *flags).wait_ready()
        one.call("register", name="billing", port=8080, tags=[HOSTILE], checks=["ttl:60s"])
        one.call("heartbeat", id="billing-8080", status="passing")
        one.call("register", name=HOSTILE, port=9, id="hostile")
        yield one


async def test_the_page_of_a_real_sidecar_shows_and_changes_it(tab: Tab, real: Sidecar) -> None:
    await tab.open(f"http://127.0.0.1:{real.port('http')}/")
    assert (await tab.evaluate("location.pathname")) == "/ui/"
    await tab.wait_for_text("Nothing is wrong")
    for place, text in (
        ("#/members", "1 members"), (f"#/members/{real.id}", "MiB"), ("#/services", HOSTILE), ("#/events", "No group"),
        ("#/sagas", "No saga"), ("#/history", "billing-8080"), ("#/services/billing", "1 of 1 instance in the answers"),
    ):  # fmt: skip
        await tab.go(place)
        await tab.wait_for_text(text)
    await tab.click("button.action", "Maintenance")
    await tab.type("a new disk")
    await tab.click("dialog button.main")
    await tab.wait_for("document.activeElement.id === 'write-token'")  # over loopback only changes need a token
    await tab.type(TOKEN)
    await tab.click("dialog button.main")
    await tab.wait_for("document.querySelector('dialog .outcome').innerText === 'Done.'")
    await tab.click("dialog button", "Close")
    await tab.wait_for_text("in maintenance: a new disk")
    [shown] = await trio.to_thread.run_sync(lambda: real.call("lookup", name="billing", all=True))
    assert (shown["health"], shown["reason"]) == ("maintenance", "a new disk")
    await tab.click("button.action", "End maintenance")
    await tab.click("dialog button.main")
    await tab.wait_for_text("1 of 1 instance in the answers")
    await tab.go("#/history?at=1")
    await tab.wait_for("document.querySelector('#line-1.marked')")
    await tab.evaluate(
        "import('./static/rpc.js').then((rpc) => rpc.call('history', {before: 3, limit: 2}))"
        ".then((found) => { window.older = found.lines.map((line) => line.seq); })"
    )
    assert await tab.evaluate("window.older") == [1, 2]
    assert await tab.evaluate("window.ran") is None
    tab.errors.clear()  # the browser reports the 401
