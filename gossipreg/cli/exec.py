"""`gossipreg exec --service NAME --port P -- CMD...`: a program, registered for as long as it runs."""

import os
import select
import signal
import subprocess
from contextlib import suppress
from time import monotonic
from types import FrameType
from typing import Any

import click

from gossipreg.cli.attached import Attached
from gossipreg.cli.options import Chosen, client_options, pass_chosen, service_options, service_params
from gossipreg.cli.output import say, say_error
from gossipreg.cli.pid_one import split_where_pid_one
from gossipreg.cli.units import Duration
from gossipreg.errors import Unreachable
from gossipreg.model import Address

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""Programs end on these signals, so the service leaves the answers first."""
FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
"""A terminal sends these to the program too: if they were passed on, it would get them twice."""
NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""As shells say it."""


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
    Example:
      gossipreg exec --service billing --port 8080 --check http://127.0.0.1:8080/health -- ./billing --port 8080
    """,
)
@click.option("--service", metavar="NAME", required=True, help="The name to register it under.")
@service_options(required=True)
@click.option(
    "--drain", metavar="DURATION", type=Duration(3600.0), default="1s",
    help="Time between leaving the answers and passing on SIGTERM, SIGINT or SIGQUIT (1s).",
)  # fmt: skip
@click.argument("command", nargs=-1, required=True, metavar="CMD...")
@client_options
@pass_chosen
def exec(chosen: Chosen, /, service: str, command: tuple[str, ...], drain: float, **flags: Any) -> int:
    """Run CMD; register it when it is healthy (without --check: when its port takes connections), take it out when it
    ends. Passes signals and the exit code on.

    SIGTERM, SIGINT and SIGQUIT take the service out of the answers first and reach CMD after --drain, so that clients
    have stopped connecting when it stops listening; a second one reaches it at once. If no sidecar answers, CMD runs
    all the same, and is registered when there is one. CMD finds the sidecar's socket in GOSSIPREG_SOCKET.
    """
    split_where_pid_one()
    params = {"name": service, **service_params(flags)}
    if params["port"]:
        params.setdefault("checks", [f"tcp://{Address(params.get('address', '127.0.0.1'), params['port'])}"])
    signals = Signals()
    with Attached(chosen, params) as attached:
        try:
            attached.register()
        except Unreachable as error:
            say(f"{error}; the program runs all the same, and is registered as soon as a sidecar answers")
        environment = {**os.environ, **attached.environment()}
        try:
            process = subprocess.Popen(command, env=environment)
        except OSError as error:
            say_error("cannot_run", f"cannot run {command[0]!r}: {error.strerror}", json=chosen.json)
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        return Program(process, attached, signals, drain).follow()


class Signals:
    """The signals to pass on, in the order in which they came, with a descriptor that is readable when there are
    some."""

    def __init__(self) -> None:
        self._got: list[int] = []
        self._readable, self._written = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._written, False)
        for number in PASSED_ON:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._got.append(number)
        with suppress(BlockingIOError):  # it is readable already
            os.write(self._written, b"x")

    def fileno(self) -> int:
        return self._readable

    def take(self) -> list[int]:
        """The signals that came since the last call."""
        with suppress(BlockingIOError):
            os.read(self._readable, 4096)
        got, self._got = self._got, []
        return got


class Program:
    """The program from its start to its end."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", attached: Attached, signals: Signals, drain_s: float
    ) -> None:
        self._process = process
        self._attached = attached
        self._signals = signals
        self._drain_s = drain_s
        self._registered = True
        """Whether it is to stay registered."""
        self._held_back: int | None = None
        """The signal to pass on at `_pass_at`."""
        self._pass_at = 0.0

    def follow(self) -> int:
        """Follow the program until it has ended; return its exit code."""
        ended = os.pidfd_open(self._process.pid)
        try:
            while self._process.poll() is None:
                self._wait(ended)
                for number in self._signals.take():
                    self._on_signal(number)
                if self._held_back is not None and monotonic() >= self._pass_at:
                    self._pass_held_back()
        finally:
            os.close(ended)
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def _wait(self, ended: int) -> None:
        """Wait until it ends, a signal comes, or it is time to pass one on. Meanwhile it stays registered."""
        if self._registered:
            # False: somebody else took the service out, so from now on only the end of the program is waited for.
            self._registered = self._attached.keep(ended, self._signals.fileno())
        else:
            bound_s = None if self._held_back is None else max(0.0, self._pass_at - monotonic())
            select.select([ended, self._signals.fileno()], [], [], bound_s)

    def _on_signal(self, number: int) -> None:
        at_terminal = number in FROM_THE_TERMINAL and os.isatty(0)
        if number in ENDING and self._registered:
            self._registered = False
            self._pass_at = monotonic() + self._drain_s
            if self._attached.take_out(self._drain_s) and not at_terminal:
                self._held_back = number
                return
        if self._held_back is not None and number in ENDING:
            self._pass_held_back()  # a second signal ends the wait; both could kill a program that is ending
        elif not at_terminal:
            self._process.send_signal(number)

    def _pass_held_back(self) -> None:
        number, self._held_back = self._held_back, None
        if number is not None:
            self._process.send_signal(number)
