"""A real browser: Chromium without a window, driven by its DevTools protocol over a pipe.

One process serves any number of tabs; each has a browser context of its own, so storage and cookies are new. There
is no sleep here: `Tab.wait_for` polls the page until an expression of JavaScript holds.
"""

import json
import os
import shutil
import signal
import subprocess
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import trio

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
WAIT_S = 30.0
"""For anything that a page does: it is loaded machines that need it, not the page."""
_FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--mute-audio", "--hide-scrollbars", "--enable-precise-memory-info",
)  # fmt: skip


class PageError(AssertionError):
    """The page threw, or never got into the expected state."""


def program() -> str | None:
    """The browser, if this machine has one."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Chromium:
    """The process. `commands` and `answers` are the ends of its pipe."""

    def __init__(self, process: "subprocess.Popen[bytes]", commands: int, answers: int) -> None:
        self.process = process
        self.commands = commands
        self.answers = answers


@contextmanager
def running_chromium(folder: Path) -> Iterator[Chromium]:
    """`folder` is where it keeps its profile."""
    found = program()
    assert found is not None, "ask program() first"
    (read_commands, commands), (answers, write_answers) = os.pipe(), os.pipe()
    # the protocol's descriptors are 3 and 4, whatever ours are
    redirected = ["bash", "-c", f'exec "$@" 3<&{read_commands} 4>&{write_answers}', "bash"]
    process = subprocess.Popen(
        [*redirected, found, *_FLAGS, f"--user-data-dir={folder}", "about:blank"],
        pass_fds=(read_commands, write_answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    os.close(read_commands)
    os.close(write_answers)
    try:
        yield Chromium(process, commands, answers)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(commands)
        os.close(answers)


class DevTools:
    """Commands and their answers; events go to the tab whose session they name."""

    def __init__(self, chromium: Chromium) -> None:
        self._commands = trio.lowlevel.FdStream(os.dup(chromium.commands))
        self._answers = trio.lowlevel.FdStream(os.dup(chromium.answers))
        self._number = int(trio.current_time() * 1e6) % 10**9  # answers to an earlier test are not ours
        self._waiting: dict[int, tuple[trio.Event, dict[str, Any]]] = {}
        self.tabs: dict[str, Tab] = {}

    async def run(self) -> None:
        rest = b""
        while data := await self._answers.receive_some(1 << 20):
            *messages, rest = (rest + data).split(b"\0")
            for message in messages:
                self._take(json.loads(message))
        raise PageError("Chromium ended")

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            came, answer = self._waiting.pop(message["id"], (None, {}))
            if came is not None:
                answer.update(message)
                came.set()
        elif (tab := self.tabs.get(message.get("sessionId", ""))) is not None:
            tab.take(message["method"], message["params"])

    async def call(
        self, method: str, params: dict[str, Any] | None = None, session: str | None = None
    ) -> dict[str, Any]:
        self._number += 1
        number, came, answer = self._number, trio.Event(), dict[str, Any]()
        self._waiting[number] = (came, answer)
        message = {
            "id": number,
            "method": method,
            "params": params or {},
            **({"sessionId": session} if session else {}),
        }
        await self._commands.send_all(json.dumps(message).encode() + b"\0")
        with trio.fail_after(WAIT_S):
            await came.wait()
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer.get("result", {})
        return result

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await self._commands.aclose()
            await self._answers.aclose()


class Tab:
    """One open page."""

    def __init__(self, tools: DevTools, session: str) -> None:
        self._tools = tools
        self._session = session
        self.errors: list[str] = []
        """What the page threw, or wrote to its console as an error: also what its Content-Security-Policy forbade."""
        self.requests: list[str] = []
        """The addresses that the page asked for."""

    def take(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        return await self._tools.call(method, params, self._session)

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        await self.wait_for("document.readyState === 'complete'")

    async def go(self, place: str) -> None:
        """Another place of the page that is open, such as `#/members`; until the page has gone there."""
        there = json.dumps(place or "#/")
        await self.evaluate(
            "new Promise((done) => {"
            f" if (location.hash === {there}) return done();"
            f" addEventListener('hashchange', done, {{once: true}}); location.hash = {there};"
            " }).then(() => 0)"
        )

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript; promises are awaited."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description") or details["text"])
        return found["result"].get("value")

    async def wait_for(self, expression: str) -> None:
        """Until it is true, as JavaScript understands that."""
        with trio.move_on_after(WAIT_S):
            while True:
                try:
                    if await self.evaluate(f"Boolean({expression})"):
                        return
                except PageError as error:
                    if "navigated or closed" not in str(error) and "Cannot find context" not in str(error):
                        raise
                await trio.sleep(0.02)
        text = await self.evaluate("document.body.innerText")
        raise PageError(f"never true: {expression}\nerrors: {self.errors}\nthe page shows:\n{text[:3000]}")

    async def wait_for_text(self, text: str) -> None:
        """Until the page shows this text; a run of spaces and line ends counts as one space."""
        await self.wait_for(f"document.body?.innerText.replace(/\\s+/g, ' ').includes({json.dumps(text)})")

    async def click(self, selector: str, text: str | None = None) -> None:
        """Click the first element that matches and, where given, whose text is this one: by the mouse, where it is."""
        wanted = json.dumps(text)
        find = (
            f"[...document.querySelectorAll({json.dumps(selector)})].find((one) => one.offsetParent !== null && "
            f"({wanted} === null || one.textContent.trim() === {wanted}))"
        )
        await self.wait_for(find)
        await self.evaluate(f"{find}.scrollIntoView({{block: 'center'}})")
        box = await self.evaluate(
            f"(() => {{ const box = {find}.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    async def press(self, key: str, *, shift: bool = False) -> None:
        """A key by its name: `Tab`, `Enter`, `ArrowDown`, `a`."""
        codes = {
            "Tab": 9,
            "Enter": 13,
            "Escape": 27,
            "PageDown": 34,
            "End": 35,
            "Home": 36,
            "ArrowUp": 38,
            "ArrowDown": 40,
        }
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        common = {"key": key, "code": key, "windowsVirtualKeyCode": codes.get(key, 0), "modifiers": 8 if shift else 0}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    async def type(self, text: str) -> None:
        await self.call("Input.insertText", text=text)

    async def size(self, width: int, height: int) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    async def media(self, **features: str) -> None:
        """Such as `prefers_color_scheme="dark"`."""
        named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        await self.call("Emulation.setEmulatedMedia", features=named)

    async def picture(self, path: Path, *, whole: bool = False) -> None:
        """A screenshot as PNG or WebP, by the ending of the name."""
        format = path.suffix.removeprefix(".")
        quality = {"quality": 80} if format == "webp" else {}
        found = await self.call("Page.captureScreenshot", format=format, captureBeyondViewport=whole, **quality)
        await trio.Path(path).write_bytes(b64decode(found["data"]))


@asynccontextmanager
async def connected(chromium: Chromium) -> AsyncIterator[DevTools]:
    tools = DevTools(chromium)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tools.run)
            yield tools
            nursery.cancel_scope.cancel()
    finally:
        await tools.aclose()


@asynccontextmanager
async def new_tab(tools: DevTools) -> AsyncIterator[Tab]:
    """A tab in a browser context of its own."""
    context = (await tools.call("Target.createBrowserContext"))["browserContextId"]
    target = await tools.call("Target.createTarget", {"url": "about:blank", "browserContextId": context})
    attached = await tools.call("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})
    tab = Tab(tools, attached["sessionId"])
    tools.tabs[attached["sessionId"]] = tab
    for domain in ("Page", "Runtime", "Log", "Network"):
        await tab.call(f"{domain}.enable")
    await tab.size(1440, 900)
    try:
        yield tab
    finally:
        with trio.CancelScope(shield=True):
            await tools.call("Target.disposeBrowserContext", {"browserContextId": context})
