"""`gossipreg exec --service NAME --port P -- CMD...`: a program, registered for as long as it runs."""

import os
import signal
import subprocess
from types import FrameType
from typing import Any

import click

from gossipreg.cli.attached import Attached
from gossipreg.cli.options import Chosen, client_options, pass_chosen, service_options, service_params
from gossipreg.cli.output import say
from gossipreg.errors import Unreachable
from gossipreg.model import Address

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
"""At a terminal the program gets these itself: it would get them twice."""
NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""As shells say it."""


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
    Example:
      gossipreg exec --service billing --port 8080 --check http://127.0.0.1:8080/health -- ./billing --port 8080
    """,
)
@click.option("--service", metavar="NAME", required=True, help="Under this name.")
@service_options(required=True)
@click.argument("command", nargs=-1, required=True, metavar="CMD...")
@client_options
@pass_chosen
def exec(chosen: Chosen, /, service: str, command: tuple[str, ...], **flags: Any) -> int:
    """Run CMD; register it when it is healthy (without --check: when its port takes connections), take it out when it
    ends. Passes signals and the exit code on. Where no sidecar answers, CMD runs all the same, and is registered when
    there is one."""
    params = {"name": service, **service_params(flags)}
    params.setdefault("checks", [f"tcp://{Address(params.get('address', '127.0.0.1'), params['port'])}"])
    with Attached(chosen, params) as attached:
        try:
            attached.register()
        except Unreachable as error:
            say(f"{error}; running the program all the same")
        return _run(command, attached)


def _run(command: tuple[str, ...], attached: Attached) -> int:
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if process is None:
            early.append(number)
        elif number not in FROM_THE_TERMINAL or not os.isatty(0):
            process.send_signal(number)

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        say(f"Error: cannot run {command[0]!r}: {error.strerror}")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
    for missed in early:
        process.send_signal(missed)
    ended = os.pidfd_open(process.pid)
    try:
        attached.keep(ended)
    finally:
        os.close(ended)
    code = process.wait()
    return code if code >= 0 else 128 - code
