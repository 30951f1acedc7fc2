"""Which host has which programs. Each service has two instances on different hosts, so that one may die."""

from dataclasses import dataclass

EVENT_GROUPS = ("stock", "mail")
"""The services that handle `order.created`, which are groups of the same names."""
SERVICES = (*EVENT_GROUPS, "billing", "api")


@dataclass(frozen=True, slots=True)
class ProgramPlan:
    """One program of the shop."""

    name: str
    """For people: `stock-3` is the instance of stock on host-3."""
    service: str
    host: str
    in_node: bool = False


@dataclass(frozen=True, slots=True)
class HostPlan:
    """One host: a sidecar, and the programs beside it."""

    name: str
    zone: str
    programs: tuple[ProgramPlan, ...]


_SHOP: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a", ("api",)),
    ("a", ("api", "billing")),
    ("b", ("stock",)),
    ("b", ("billing", "mail")),
    ("c", ("stock", "mail")),
)
"""For host-1 to host-5 the zone, and the services there."""
NODE_PROGRAM = "api-2"
"""This instance runs in Node.js, where there is one."""


def plan(*, with_node: bool) -> tuple[HostPlan, ...]:
    """The hosts; `with_node`: one program runs in Node.js."""
    return tuple(
        HostPlan(f"host-{number}", zone, tuple(_program(number, name, with_node) for name in services))
        for number, (zone, services) in enumerate(_SHOP, 1)
    )


def _program(number: int, service: str, with_node: bool) -> ProgramPlan:
    name = f"{service}-{number}"
    return ProgramPlan(name, service, f"host-{number}", in_node=with_node and name == NODE_PROGRAM)
