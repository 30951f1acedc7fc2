"""The demonstration from its start to its end.

Whatever ends it (the play, `quit`, the end of stdin, SIGINT, SIGTERM, SIGHUP, an error), all processes are killed, and
the folder is deleted. If it is killed itself, the kernel kills the processes (`child.py`), and another process deletes
the folder (`cleaner.py`).
"""

import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass

import trio

from gossipreg.demo.opening import DemoOpening
from gossipreg.demo.processes import DemoFolder
from gossipreg.demo.stage import DemoStage
from gossipreg.demo.story import SCENES
from gossipreg.demo.teller import Teller
from gossipreg.demo.trade import Draw
from gossipreg.errors import GossipregError

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_S = 0.5
PROMPT = "demo> "
FAULTS = 1
"""The exit code if something that was claimed did not come true."""


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What the user chose."""

    play_s: float | None
    """The length of the play in seconds; None: take commands from stdin."""
    open_browser: bool
    as_json: bool
    prompt: bool
    """Whether a person types the commands."""


def run_demo(settings: DemoSettings, write: Callable[[str], None], draw: Draw) -> int:
    """Run the demonstration; returns the exit code. `write` prints a line at once. Raises CannotStart, and what `write`
    raises."""
    return trio.run(Demonstration(settings, write, draw).run)


class Demonstration:
    def __init__(self, settings: DemoSettings, write: Callable[[str], None], draw: Draw) -> None:
        self._settings = settings
        self._write = write
        self._draw = draw
        self._failure: GossipregError | None = None
        self._deaf: Exception | None = None
        """What `write` raised."""
        self._over = trio.CancelScope()
        self._faults: list[str] = []

    async def run(self) -> int:
        teller = Teller(self._say, as_json=self._settings.as_json)
        heard = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]  # nohup, or `&`
        with trio.open_signal_receiver(*heard) as signals, ExitStack() as stack:
            folder = DemoFolder()
            stack.callback(folder.delete)
            opening = DemoOpening(folder.path, teller)
            stack.callback(opening.close)
            with self._over:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._end_on, signals, teller)
                    nursery.start_soon(opening.relays.run)
                    try:
                        await self._show(opening, teller, nursery)
                    except GossipregError as error:  # not in a group with those of other tasks
                        self._failure = error
                    nursery.cancel_scope.cancel()
            count = opening.running
            opening.close()
            if not folder.delete():
                self._faults.append(f"the folder {folder.path} could not be deleted: delete it by hand")
            text = f"The end: {count} processes are killed, and {folder.path} is deleted. Nothing stays behind."
            teller.tell("ended", self._faults[-1] if folder.path.exists() else text, processes=count)
        if failure := self._deaf or self._failure:
            raise failure
        return FAULTS if self._faults else 0

    def _say(self, line: str) -> None:
        """Print a line. If that fails, nobody listens any more: the demonstration ends."""
        if self._deaf is None:
            try:
                self._write(line)
            except Exception as error:
                self._deaf = error
                self._over.cancel()

    async def _end_on(self, signals: AsyncIterator[int], teller: Teller) -> None:
        async for number in signals:
            teller.tell("signal", f"{signal.Signals(number).name}: everything ends now.")
            self._over.cancel()

    async def _show(self, opening: DemoOpening, teller: Teller, nursery: trio.Nursery) -> None:
        cast = await opening.open(nursery)
        self._faults = cast.faults
        nursery.start_soon(self._watch, opening, teller)
        if self._settings.open_browser:
            await opening.show_page()
        stage = DemoStage(cast, self._draw)
        if self._settings.play_s is None:
            await self._obey(stage, teller)
        else:
            await self._play(stage, teller, self._settings.play_s)

    async def _play(self, stage: DemoStage, teller: Teller, play_s: float) -> None:
        begun, length_s = trio.current_time(), max(0.0, play_s - teller.elapsed_s)
        for scene in SCENES:
            await trio.sleep_until(begun + scene.share * length_s)
            teller.tell("scene", f"-- {scene.text}")
            for line in scene.commands:
                await self._perform(stage, teller, line)

    async def _obey(self, stage: DemoStage, teller: Teller) -> None:
        """Carry out the lines of stdin until it ends, or one says `quit`."""
        if self._settings.prompt:
            teller.tell("prompt", "Type a command: kill host-3, fail-payment, cut host-5, status, help, quit.")
        while line := await trio.to_thread.run_sync(self._read_line, abandon_on_cancel=True):
            if not await self._perform(stage, teller, line):
                return

    def _read_line(self) -> str:
        if not self._settings.prompt:
            return sys.stdin.readline()
        try:
            return input(PROMPT) + "\n"
        except EOFError:
            return ""

    async def _perform(self, stage: DemoStage, teller: Teller, line: str) -> bool:
        try:
            return await stage.perform(line)
        except GossipregError as error:
            teller.tell("error", f"Error: {error}.", code=error.code)
            if not self._settings.prompt:
                self._faults.append(str(error))
            return True

    async def _watch(self, opening: DemoOpening, teller: Teller) -> None:
        """Tell if a process ends that nobody killed."""
        told: set[str] = set()
        while True:
            for text in opening.ended_by_themselves():
                if text not in told:
                    told.add(text)
                    self._faults.append(text)
                    teller.tell("process_ended", f"A process has ended that nobody killed: {text}.")
            await trio.sleep(LOOK_S)
