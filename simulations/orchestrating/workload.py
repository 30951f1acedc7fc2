"""The programs and participants of a run with sagas, drawn from the seed.

Owns: which services there are and where, and what each saga is. Never knows: what programs and participants do with it
(`program.py`, `participant.py`).
"""

import random
from collections.abc import Callable
from typing import Any

from gossipreg.sagas.saga_definition import definition_untrusted, encode_definition
from gossipreg.sagas.saga_model import SagaKind
from simulations.host import Host
from simulations.orchestrating.key_ledger import KeyLedger
from simulations.orchestrating.observer import SagaObserver
from simulations.orchestrating.participant import Instance
from simulations.orchestrating.program import TWISTS
from simulations.orchestrating.saga_run import SagaRun, WantedStep
from simulations.world import World

SERVICES = ("stock", "payment", "shipping", "mail")
_PORT = 8000
_DECLARED, _TWISTED, _SIDE_BY_SIDE, _OPTIONAL, _REPEATED, _HARMLESS, _LAST, _STRICT = (
    0.35, 0.45, 0.25, 0.1, 0.15, 0.05, 0.15, 0.2,
)  # fmt: skip
"""The shares of sagas that are declared, whose program does something on purpose, that have steps side by side, that
undo strictly in reverse; and of steps that are optional, whose undo needs their result, that are harmless, or that have
no undo where they are the last."""
_SAGA_MS = (6_000, 15_000, 40_000, 100_000)
_STEP_MS = (3_000, 6_000, 12_000)
_ATTEMPT_MS = (700, 1_500)

SagaDraw = Callable[[int, int], SagaRun]
"""Returns the next saga of the program on this host, of this number."""


def place_services(world: World, hosts: list[Host], watcher: SagaObserver) -> list[Instance]:
    """Two instances of each service, on different hosts as far as there are some."""
    rng = world.randomness.of("participants")
    placed: list[Instance] = []
    for number, service in enumerate(SERVICES):
        ledger = KeyLedger(service)
        for at, host in enumerate(rng.sample(hosts, min(2, len(hosts)))):
            own = world.randomness.of("participant", service, at)
            placed.append(Instance(world, ledger, host, _PORT + number, watcher, own))
    return placed


def draw_saga(rng: random.Random) -> SagaDraw:
    def draw(host: int, number: int) -> SagaRun:
        declared = rng.random() < _DECLARED
        id = f"s{host}-{number}"
        steps = _steps(rng, rng.randint(1, 4))
        after = tuple(_after(rng, at) for at in range(rng.choice([0, 0, 1, 2])))
        twist = rng.choice(TWISTS) if rng.random() < _TWISTED else ""
        timeout_ms = rng.choice(_SAGA_MS[:2]) if twist == "forgets" else rng.choice(_SAGA_MS)
        strict = rng.random() < _STRICT
        input = b'{"order": "%s", "total": %d}' % (id.encode(), rng.randint(1, 99))
        run = SagaRun(
            host, id, "declared-order" if declared else "create-order",
            SagaKind.DECLARED if declared else SagaKind.BY_CODE, input, timeout_ms, strict, (), after, b"", twist, 0,
        )  # fmt: skip
        if declared:
            run.definition = _define(rng, run, steps)
        else:
            run.groups = _grouped(rng, steps)
            run.twist_at = rng.randrange(len(run.groups))
        return run

    return draw


def _grouped(rng: random.Random, steps: list[WantedStep]) -> tuple[tuple[WantedStep, ...], ...]:
    groups: list[tuple[WantedStep, ...]] = []
    for step in steps:
        beside = groups and len(groups[-1]) == 1 and rng.random() < _SIDE_BY_SIDE
        if beside and "result." not in str(step.template) and step.template["undo"] is not None:
            groups[-1] = (*groups[-1], step)
        else:
            groups.append((step,))
    return tuple(groups)


def _define(rng: random.Random, run: SagaRun, steps: list[WantedStep]) -> bytes:
    tables = [dict(step.template) for step in steps]
    for place, table in enumerate(tables):
        if place and rng.random() < _SIDE_BY_SIDE and table["undo"] is not None:
            table["needs"] = rng.choice([[], [tables[0]["name"]]])
        if table["undo"] is None and not table.get("harmless"):
            table["needs"] = [one["name"] for one in tables[:place]]
    given = {
        "name": run.name, "timeout_ms": run.timeout_ms, "strict": run.strict, "step": tables,
        "after": [step.template for step in run.after],
    }  # fmt: skip
    return encode_definition(definition_untrusted(given))


def _steps(rng: random.Random, count: int) -> list[WantedStep]:
    found: list[WantedStep] = []
    for place in range(count):
        name, service = f"step{place}", rng.choice(SERVICES[:3])
        template: dict[str, Any] = {
            "name": name, "service": service, "method": "PUT", "path": "/do/{key}",
            "json": {"order": "{input.order}", "total": "{input.total}"},
            "undo": {"method": "DELETE", "path": "/do/{key}"},
            "timeout_ms": rng.choice(_STEP_MS), "attempt_timeout_ms": rng.choice(_ATTEMPT_MS),
        }  # fmt: skip
        drawn = rng.random()
        if drawn < _REPEATED:
            template |= {
                "method": "POST", "path": "/do/orders", "unknown": "repeat",
                "undo": {"method": "DELETE", "path": f"/do/orders/{{result.{name}.number}}"},
            }  # fmt: skip
        elif drawn < _REPEATED + _HARMLESS:
            template |= {"undo": None, "harmless": True}
        elif place == count - 1 and drawn < _REPEATED + _HARMLESS + _LAST:
            template |= {"undo": None}
        elif place and drawn > 0.85 and not found[-1].optional:
            template["path"] = f"/do/{{key}}?after={{result.step{place - 1}.number}}"
        if rng.random() < _OPTIONAL:
            template["optional"] = True
        found.append(WantedStep(name, service, template))
    return found


def _after(rng: random.Random, place: int) -> WantedStep:
    name = f"after{place}"
    template = {
        "name": name, "service": "mail", "method": "POST", "path": "/after/{key}", "json": {"order": "{input.order}"},
        "attempt_timeout_ms": rng.choice(_ATTEMPT_MS),
    }  # fmt: skip
    return WantedStep(name, "mail", template)
