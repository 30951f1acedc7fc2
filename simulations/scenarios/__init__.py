"""The scenarios, by name: each module here has a `SCENARIO`."""

from importlib import import_module
from pkgutil import iter_modules

from simulations.scenario import Scenario


def all_scenarios() -> dict[str, Scenario]:
    """Every scenario there is, in order of name."""
    names = sorted(module.name for module in iter_modules(__path__))
    found: list[Scenario] = [import_module(f"{__name__}.{name}").SCENARIO for name in names]
    return {scenario.name: scenario for scenario in found}
