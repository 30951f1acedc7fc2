"""The opening of the demonstration: five hosts start, find each other, and the shop opens.

Owns: all processes and relays, which `close` ends.
"""

import webbrowser
from os import environ
from pathlib import Path
from random import Random

import trio

from gossipreg.demo.cast import Cast
from gossipreg.demo.crowd import Crowd
from gossipreg.demo.hosts import NODE_LEAST, DemoHost, node_version, write_key
from gossipreg.demo.layout import NODE_PROGRAM, plan
from gossipreg.demo.link_relay import LinkRelays
from gossipreg.demo.links import Links
from gossipreg.demo.lookout import Holds, Lookout, answers_with, sees_alive
from gossipreg.demo.orders import Orders
from gossipreg.demo.ports import FreePorts
from gossipreg.demo.teller import Teller
from gossipreg.errors import CannotStart, CannotStartYet, GossipregError

START_S = 60.0
"""It takes a few seconds; more on a machine that is busy."""
PIECE_S = 0.5
PAUSE_S = 0.2


class DemoOpening:
    def __init__(self, folder: Path, teller: Teller) -> None:
        self._folder = folder
        self._teller = teller
        self._node = node_version()
        self._key = write_key(folder)
        self._links = Links()
        self.relays = LinkRelays(self._links, self._pids)
        self._ports = FreePorts(Random())
        plans = plan(with_node=self._node is not None and self._node >= NODE_LEAST)
        self._hosts = [DemoHost(one, number, folder, self._ports, self.relays) for number, one in enumerate(plans)]
        self._lookout = Lookout(self._hosts)
        self._crowd: Crowd | None = None

    def _pids(self) -> dict[int, str]:
        return {host.sidecar_pid: host.name for host in self._hosts if host.sidecar_pid is not None}

    @property
    def running(self) -> int:
        """How many processes run, beside this one."""
        return sum(host.count for host in self._hosts) + (self._crowd is not None)

    def ended_by_themselves(self) -> list[str]:
        """What ended though nobody killed it, each with its last words."""
        customers = [] if self._crowd is None or self._crowd.process.is_running else ["customers"]
        return [text for host in self._hosts for text in host.ended_by_themselves()] + customers

    def close(self) -> None:
        """Kill all processes and close all sockets; a second time does nothing."""
        for host in self._hosts:
            host.kill()
        if self._crowd is not None:
            self._crowd.process.kill()
        self._lookout.close()
        self.relays.close_all()
        self._ports.close()

    async def open(self, nursery: trio.Nursery) -> Cast:
        """Start everything, and wait until the shop is open. Raises CannotStart."""
        self._tell_what_starts()
        for host in self._hosts:
            host.start(self._key, [one.advertised for one in self._hosts])
        orders = Orders()
        self._crowd = Crowd(self._folder, self._hosts[0].socket, orders)
        nursery.start_soon(self._crowd.run)
        names = [host.name for host in self._hosts]
        await self._wait(sees_alive(names), "not all five sidecars know each other")
        self._teller.tell("all_started", "All five sidecars know each other.")
        for service, instances in self._instances().items():
            await self._wait(answers_with(service, instances), f"a sidecar does not answer with all of {service}")
        await self._wait_for_copies()
        self._teller.tell(
            "open",
            "The shop is open: every sidecar answers with all its programs, and each journal has three copies. "
            f"See it at {self._hosts[0].page} (each sidecar has such a page: `status` lists them).",
            pages=[host.page for host in self._hosts], sockets=[str(host.socket) for host in self._hosts],
        )  # fmt: skip
        return Cast(self._hosts, self._links, self._lookout, orders, self._crowd, self._teller, self._folder, self._key)

    def _tell_what_starts(self) -> None:
        node = f"{NODE_PROGRAM} in Node.js {self._node}, the others in Python"
        if self._node is None or self._node < NODE_LEAST:
            have = "no Node.js here" if self._node is None else f"Node.js {self._node} here is too old"
            node = f"all in Python, since there is {have}"
        programs = sum(len(host.plan.programs) for host in self._hosts)
        text = (
            f"Five sidecars start, and {programs} programs of a small shop beside them ({node}). All that they "
            f"write is in {self._folder}."
        )
        self._teller.tell("starts", text, folder=str(self._folder), node=self._node)

    def _instances(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for host in self._hosts:
            for program in host.plan.programs:
                found.setdefault(program.service, []).append(program.name)
        return found

    async def _wait(self, question: Holds, otherwise: str) -> None:
        """Wait until it holds at all sidecars. Raises CannotStart: a process has ended, or it takes too long."""
        left, since = {host.name for host in self._hosts}, trio.current_time()
        while left:
            left -= (await self._lookout.wait(left, question, PIECE_S, since)).keys()
            if ended := self.ended_by_themselves():
                raise CannotStartYet(f"a process of the demonstration has ended: {ended[0]}; start it again")
            if left and trio.current_time() - since > START_S:
                where = ", ".join(sorted(left))
                raise CannotStart(f"after {START_S:g} s {otherwise} ({where}): is this machine very busy?")

    async def _wait_for_copies(self) -> None:
        """Wait until the journals of those sidecars that lead sagas have all their copies."""
        left = {host.name for host in self._hosts if any(one.service == "api" for one in host.plan.programs)}
        bound = trio.current_time() + START_S
        while left:
            lacks = {name: await self._lacks_copies(name) for name in sorted(left)}
            left = {name for name, why in lacks.items() if why}
            if left and trio.current_time() > bound:
                name = min(left)
                raise CannotStart(f"after {START_S:g} s the journal of {name} takes nothing: {lacks[name]}")
            await trio.sleep(PAUSE_S if left else 0)

    async def _lacks_copies(self, host: str) -> str:
        """Why the journal of this sidecar does not have all its copies yet; empty: it does."""
        try:
            await self._lookout.ask(host, "publish", type="shop.opened")  # --min-copies 3: refused before
        except GossipregError as error:
            return str(error)
        return ""

    async def show_page(self) -> None:
        """Open the page in a browser, if there is one."""
        page = self._hosts[0].page
        seen = any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
        if not seen or not await trio.to_thread.run_sync(webbrowser.open, page):
            self._teller.tell("no_browser", f"No browser can be started here: open {page} yourself.", page=page)
