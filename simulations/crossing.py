"""The way of one datagram: the files of the core that it crosses until the catalog has changed.

A member changes the health of a service, and the datagram that says so is given to another member while Python reports
every call. What is counted is how many files a maintainer has to open to follow a change from `Node.receive` to the
answers of lookups, not how long it takes.
"""

import sys
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import click

import gossipreg
from gossipreg.core.effects import Send
from gossipreg.core.table.catalog import Catalog
from gossipreg.model import Health
from simulations.world import World

_PACKAGE = Path(gossipreg.__file__).parent
_CHANGES_ANSWERS = Catalog._put.__code__
"""The catalog has changed when this returns."""


class Crossing(NamedTuple):
    files: tuple[str, ...]
    """Relative to `gossipreg/`, in the order in which they were entered."""
    functions: int
    """How many calls were made in them."""
    files_after: tuple[str, ...]
    """Those entered later in the same input, when what follows from the change is sent."""


def one_datagram() -> Crossing:
    """Follow one datagram with one changed service between two members that know each other."""
    world = World(1, sealed=True)
    writer, reader = world.form(2, services=1)
    world.run(5)
    service = next(iter(writer.node.own_services))
    world.act(writer, writer.node.set_health(service, Health.CRITICAL, world.now)[1])
    world.run(5)  # the first change compiles methods that later ones find
    now = world.now
    reader.node.advance(now)  # it runs all the time: only an input after a pause looks whether it was stalled
    effects = writer.node.set_health(service, Health.WARNING, now)[1] + writer.node.advance(now)
    sent = [effect for effect in effects if isinstance(effect, Send) and effect.destination == reader.address]
    assert len(sent) == 1, "one change is one datagram"
    tracer = _Tracer()
    sys.setprofile(tracer)
    try:
        reader.node.receive(sent[0].datagram, writer.address, now)
    finally:
        sys.setprofile(None)
    assert tracer.changed, "the datagram changed the catalog"
    return Crossing(tuple(tracer.files), tracer.functions, tuple(tracer.files_after))


def main() -> int:
    """Print the files in order, and how many they are."""
    found = one_datagram()
    for file in found.files:
        click.echo(f"gossipreg/{file}")
    click.echo(f"{len(found.files)} files and {found.functions} calls until the catalog has changed")
    click.echo(f"then {', '.join(found.files_after)}")
    return 0


class _Tracer:
    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self.files_after: dict[str, None] = {}
        self.functions = 0
        self.changed = False

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if event == "return" and code is _CHANGES_ANSWERS:
            self.changed = True
        path = Path(code.co_filename)
        if event != "call" or not path.is_relative_to(_PACKAGE):
            return
        file = str(path.relative_to(_PACKAGE))
        if self.changed:
            if file not in self.files:
                self.files_after[file] = None
        else:
            self.files[file] = None
            self.functions += 1
