"""The rows of the comparison of policies: what `sweep balance` runs, and `scripts/simulate balance` prints.

Each row is a case for all policies. Its length is chosen so that most runs have some ten thousand requests.
"""

from dataclasses import replace
from typing import NamedTuple

from simulations.scenario import Case

POLICIES = ("random", "round_robin", "least_request", "peak_ewma", "prequal", "ours", "ours_load")


class Row(NamedTuple):
    group: str
    says: str
    nodes: int
    label: str
    duration_s: float

    def case(self, base: Case, policy: str) -> Case:
        label, duration_s = f"policy={policy} {self.label}", min(base.duration_s, self.duration_s)
        return replace(base, nodes=self.nodes, label=label, duration_s=duration_s)

    def has(self, policy: str) -> bool:
        """Prequal knows no weights."""
        return policy != "prequal" or self.group != "weights"


ROWS = (
    *(Row("equal", "load 0.1", nodes, "load=0.1", s) for nodes, s in ((2, 120), (3, 100), (5, 60), (50, 12), (500, 4))),
    *(Row("equal", "load 0.8", nodes, "load=0.8", s) for nodes, s in ((2, 30), (3, 30), (5, 22), (50, 6))),
    Row("equal", "load 0.8, work of 50 ms", 500, "load=0.8 service_ms=50", 3.5),
    *(
        Row("mixed", f"speeds 1, 2, 4; load {load}", nodes, f"load={load} speeds=mixed", s)
        for nodes, load, s in ((3, 0.3, 30), (12, 0.3, 15), (50, 0.3, 6), (3, 0.7, 20), (12, 0.7, 9), (50, 0.7, 4))
    ),
    *(
        Row("antagonists", f"antagonists; load {load}", nodes, f"load={load} fault=antagonists", s)
        for nodes, load, s in ((5, 0.3, 30), (12, 0.3, 30), (50, 0.3, 10), (5, 0.6, 30), (12, 0.6, 20), (50, 0.6, 8))
    ),
    *(
        Row(fault, f"one {fault.replace('_', ' ')}; load 0.4", nodes, f"load=0.4 fault={fault}", s)
        for fault in ("fails_fast", "hangs", "restarts")
        for nodes, s in ((2, 30), (3, 30), (12, 20))
    ),
    *(Row("bursts", "bursts; load 0.5", nodes, "load=0.5 bursts=1", s) for nodes, s in ((3, 30), (12, 20), (50, 8))),
    Row("few", "200 clients, 1 request/s; work of 120 ms", 10, "clients=200 service_ms=120 load=0.6", 60),
    Row("few", "... 220 ms; speeds 1, 2, 4", 10, "clients=200 service_ms=220 load=0.5 speeds=mixed", 60),
    *(
        Row("cold", "work of 2 ms, 40 ms to connect; load 0.1", nodes, "load=0.1 service_ms=2 connect_ms=40", s)
        for nodes, s in ((2, 30), (3, 30), (12, 12))
    ),
    *(
        Row("weights", f"weights 1 to 100; load {load}", nodes, f"load={load} weights=1_to_100 service_ms={ms}", s)
        for nodes, load, ms, s in (
            (2, 0.1, 10, 12), (2, 0.8, 10, 3.5), (3, 0.1, 10, 12), (3, 0.8, 10, 3.5), (50, 0.1, 100, 12),
            (50, 0.8, 100, 3.5),
        )
    ),
)  # fmt: skip


def cases(base: Case) -> list[Case]:
    return [row.case(base, policy) for row in ROWS for policy in POLICIES if row.has(policy)]
