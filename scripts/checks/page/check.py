"""The page with 1,000 members and 5,000 services: `scripts/check --page`. It fails beyond FIRST_CONTENT_MAX_MS or
HEAP_MAX_MB.

One real sidecar, the others simulated members with UDP sockets of their own in one process; a real Chromium. The bounds
are for a quiet machine, and the first line says how quiet it is. Each figure is the median of ROUNDS fresh tabs. First
content: the first rows, counted from the navigation; whole: the list says its final count. Heap: the largest that
JavaScript used, sampled while the list comes and changes.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import trio

from scripts.checks.page.simulated_members import PROFILE
from scripts.tools.chromium import Chromium, Tab, connected, new_tab, program, running_chromium
from scripts.tools.machine import cpu_s, quietness
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import wait_for

MEMBERS = 1000
SERVICES = 5000
FIRST_CONTENT_MAX_MS = 1500
HEAP_MAX_MB = 60
ROUNDS = 5
WATCH = """
    new MutationObserver(() => {
        window.firstMs ??= document.querySelector('table.list tbody a') ? performance.now() : undefined;
        const said = document.querySelector('.found')?.textContent ?? '';
        window.wholeMs ??= /^[0-9,]+ [a-z]+$/.test(said) ? performance.now() : undefined;
        window.heap = Math.max(window.heap ?? 0, performance.memory.usedJSHeapSize);
    }).observe(document, {subtree: true, childList: true, characterData: true});
"""
SCROLL = """
    new Promise((done) => {
        let last = performance.now(), worst = 0, step = 0;
        const frame = (now) => {
            worst = Math.max(worst, now - last);
            last = now;
            window.heap = Math.max(window.heap, performance.memory.usedJSHeapSize);
            scrollBy(0, 400);
            if (++step < 60) requestAnimationFrame(frame); else done(worst);
        };
        requestAnimationFrame(frame);
    })
"""


@dataclass(frozen=True, slots=True)
class Measured:
    first_ms: float
    whole_ms: float
    heap_mb: float
    frame_ms: float
    """The longest between two frames while the list is scrolled."""


def check_page(members: int = MEMBERS, services: int = SERVICES) -> int:
    if program() is None:
        print("there is no Chromium on this machine: apt install chromium")
        return 2
    with Sidecars(PROFILE) as sidecars, simulated(members - 1, services, sidecars.key_file) as seed:
        one = sidecars.start("real", "--http", "127.0.0.1:0", "--seed", seed).wait_ready()
        wait_for(lambda: one.call("info")["members"]["alive"] >= members)
        print(quietness())
        print(f"{members} members, {one.call('info')['services']} services", flush=True)
        with tempfile.TemporaryDirectory() as folder, running_chromium(Path(folder)) as chromium:
            return trio.run(_measure_all, chromium, one, members, services)


@contextmanager
def simulated(count: int, services: int, key_file: Path) -> Iterator[str]:
    """These members run; the address of one of them."""
    command = [sys.executable, "-m", "scripts.checks.page.simulated_members", str(count), str(services), str(key_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline().split()
        assert line[:1] == ["ready"], "the simulated members did not start"
        yield line[1]
        process.stdin.close()


async def _measure_all(chromium: Chromium, one: Sidecar, members: int, services: int) -> int:
    address = f"http://127.0.0.1:{one.port('http')}/ui/"
    failed = False
    async with connected(chromium) as tools:
        for place, expected in (("members", members), ("services", services)):
            rounds = []
            for _ in range(ROUNDS):
                async with new_tab(tools) as tab:
                    rounds.append(await _measure(tab, f"{address}#/{place}", f"{expected:,} {place}"))
            found = Measured(*(median(values) for values in zip(*map(_figures, rounds), strict=True)))
            print(
                f"{place}: first content {found.first_ms:.0f} ms, all {found.whole_ms:.0f} ms, "
                f"heap {found.heap_mb:.1f} MB, longest frame of a scroll {found.frame_ms:.0f} ms",
                flush=True,
            )
            failed |= found.first_ms > FIRST_CONTENT_MAX_MS or found.heap_mb > HEAP_MAX_MB
        async with new_tab(tools) as tab:
            await tab.open(f"{address}#/members")
            await tab.wait_for_text(f"{members:,} members")
            with_page = await _cpu_share(one)
            await tab.open("about:blank")
            print(f"the sidecar takes {with_page:.1%} of a core with a page open, {await _cpu_share(one):.1%} without")
    return int(failed)


def _figures(one: Measured) -> tuple[float, ...]:
    return one.first_ms, one.whole_ms, one.heap_mb, one.frame_ms


async def _measure(tab: Tab, address: str, whole: str) -> Measured:
    await tab.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
    await tab.open(address)
    await tab.wait_for_text(whole)
    frame_ms = await tab.evaluate(SCROLL)
    first_ms, whole_ms, heap = await tab.evaluate("[window.firstMs, window.wholeMs, window.heap]")
    return Measured(first_ms, whole_ms, heap / 1e6, frame_ms)


async def _cpu_share(one: Sidecar, seconds: float = 10.0) -> float:
    before = cpu_s(one.process.pid)
    await trio.sleep(seconds)
    return (cpu_s(one.process.pid) - before) / seconds
