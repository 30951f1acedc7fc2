from collections.abc import Iterator

import pytest

from tests.systemd.machine import CannotBoot, Machine, why_not
from tests.systemd.unit import Unit


@pytest.fixture
def unit() -> Iterator[Unit]:
    """The manual's unit on a machine of its own, with a sidecar outside, joined and READY."""
    if why := why_not():
        pytest.skip(why)
    machine = Machine()
    try:
        machine.__enter__()
    except CannotBoot as error:
        pytest.skip(f"no machine of namespaces can be made here: {error}")
    try:
        with Unit(machine) as unit:
            yield unit
    finally:
        machine.close()
