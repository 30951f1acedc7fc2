"""The rows `table-memory` and `large-table`: many services of others in the table of one member."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from gossipreg.client.connection import Client
from gossipreg.errors import NotSynced
from scripts.benchmarks.against.requests import pipelined
from scripts.benchmarks.against.row import Aim, Figure, Measured, Row, Started, Turn
from scripts.benchmarks.cluster import Failed
from scripts.tools.figures import percentile
from scripts.tools.machine import anonymous_kib, cpu_s
from scripts.tools.sidecars import Sidecar
from scripts.tools.wait import wait_for

A_SIDECAR = 4000
"""Services that each sidecar registers: the most are 4,096."""
SYNCED_S = 300.0
SIDECARS = 25
FILLED_S = 900.0
"""Until all of them know the services of all."""


def _services_of(number: int) -> list[dict[str, Any]]:
    """The registrations of a sidecar."""
    return [
        {
            "name": f"service-{serial % 400}",
            "port": 1024 + serial,
            "id": f"service-{number}-{serial}",
            "tags": ["blue", f"v{serial % 7}"],
            "meta": {"version": f"1.{serial % 7}.0", "team": f"team-{serial % 20}"},
        }
        for serial in range(A_SIDECAR)
    ]


def _registered(started: Started, sidecars: int) -> list[Sidecar]:
    """So many sidecars, each of which gossips its services one after the other; all know all."""
    full = [started.start(f"n{number}").wait_ready() for number in range(sidecars)]
    for number, one in enumerate(full):
        pipelined(str(one.socket), "register", _services_of(number))
    wait_for(lambda: _equal(full), SYNCED_S, 0.2)
    return full


def _started_full(started: Started, sidecars: int) -> list[Sidecar]:
    """So many sidecars, each of which has its services from a file when it starts, so that others pull its whole row:
    25 that gossip 4,000 services one after the other take ten times as long. All know all."""
    first = started.start("n0", "--services", str(_file_of_services(started, 0))).wait_ready(FILLED_S)
    others = [
        started.start(f"n{number}", "--services", str(_file_of_services(started, number)))
        for number in range(1, sidecars)
    ]
    full = [first, *(one.wait_ready(FILLED_S) for one in others)]
    wait_for(lambda: _equal(full) and _services_at(full[0]) == sidecars * A_SIDECAR, FILLED_S, 1.0)
    return full


def _file_of_services(started: Started, number: int) -> Path:
    file = started.sidecars.folder / f"services-{number}.toml"
    file.write_text("".join(map(_in_toml, _services_of(number))))
    return file


def _in_toml(service: dict[str, Any]) -> str:
    meta = ", ".join(f"{key} = {json.dumps(text)}" for key, text in service["meta"].items())
    fields = [f"{key} = {json.dumps(value)}" for key, value in service.items() if key != "meta"]
    return "\n".join(["[[service]]", *fields, f"meta = {{ {meta} }}", ""])


def _services_at(sidecar: Sidecar) -> int:
    with Client(str(sidecar.socket), timeout_s=SYNCED_S) as client:
        return _services(client)


def _equal(sidecars: list[Sidecar]) -> bool:
    return len({one.call("info")["fingerprint"] for one in sidecars}) == 1


def _services(client: Client) -> int:
    return sum(one["instances"] for one in client.call("services", limit=10_000))


def table_memory(turn: Turn) -> Measured:
    """Anonymous memory that a service of another member takes, of 8,000 from two sidecars with two tags and two fields
    of meta each, at a member that joined before them and at one that joins after them."""
    with turn.sidecars() as started:
        early = started.start("early").wait_ready()
        before = anonymous_kib(early.process.pid)
        full = _registered(started, 2)
        wait_for(lambda: _equal([early, *full]), SYNCED_S, 0.2)
        late = started.start("late").wait_ready()
        wait_for(lambda: _equal([late, *full]), SYNCED_S, 0.2)
        number = len(full) * A_SIDECAR
        return {
            "table-memory": (anonymous_kib(late.process.pid) - before) / number,
            "table-memory-early": (anonymous_kib(early.process.pid) - before) / number,
        }


def large_table(turn: Turn) -> Measured:
    """A member joins 25 sidecars with 100,000 services: from its start until it is in sync, its CPU time until then and
    its anonymous memory, and lookups of one service meanwhile, at it (refused as long as it does not know the service)
    and at the member that it lists."""
    with turn.sidecars() as started:
        full = _started_full(started, SIDECARS)
        joiner = started.start("joiner").wait_ready()
        at_joiner: list[float] = []
        at_old: list[float] = []
        with (
            Client(str(joiner.socket), timeout_s=SYNCED_S) as client,
            Client(str(full[0].socket), timeout_s=SYNCED_S) as old,
        ):
            while not client.call("info")["synced"]:
                at_joiner.append(_lookup_ms(client))
                at_old.append(_lookup_ms(old))
            synced_s, used_s = time.perf_counter() - joiner.started_at, cpu_s(joiner.process.pid)
            wait_for(lambda: _services(client) == len(full) * A_SIDECAR, SYNCED_S)
        if len(at_joiner) < 100:
            raise Failed(f"only {len(at_joiner)} lookups while it joined: too few for their p99")
        return {
            "large-table-synced": synced_s,
            "large-table-cpu": used_s,
            "large-table-memory": anonymous_kib(joiner.process.pid) / 1024,
            "large-table-lookup-p99": percentile(at_joiner, 0.99) or 0.0,
            "large-table-lookup-old-p99": percentile(at_old, 0.99) or 0.0,
        }


def _lookup_ms(client: Client) -> float:
    since = time.perf_counter()
    with suppress(NotSynced):
        client.call("lookup", name="service-1")
    return 1000 * (time.perf_counter() - since)


TABLE_MEMORY = Row(
    table_memory,
    (
        Figure("table-memory", "KiB", Aim(ratio_at_most=0.55)),
        Figure("table-memory-early", "KiB", Aim(ratio_at_most=0.55)),
    ),
    reps=3,
)
LARGE_TABLE = Row(
    large_table,
    (
        Figure("large-table-synced", "s", Aim(at_most=6)),
        Figure("large-table-cpu", "s"),
        Figure("large-table-memory", "MiB", Aim(at_most=140)),
        Figure("large-table-lookup-p99", "ms", Aim(at_most=5)),
        Figure("large-table-lookup-old-p99", "ms", Aim(at_most=5)),
    ),
    reps=1,
    named_only=True,
)
