"""One seed is one run, byte for byte, whatever the order of sets: Python salts the hashes of text and bytes.

Iterating over a set in the core shows as another run under another PYTHONHASHSEED. So no rule forbids it in the text.
"""

import os
import subprocess
import sys

HASH_SEEDS = ("1", "2")

RUN = """
import sys
from hashlib import blake2b
from gossipreg.core.node import Node
from simulations.scenario import Case
from simulations.scenarios import swarm

seen, inputs = blake2b(), 0
in_the_order_of_a_set = sys.argv[1] == "in the order of a set"

def noted(name):
    handle = getattr(Node, name)
    def noting(self, *given):
        global inputs
        effects = handle(self, *given)
        if in_the_order_of_a_set:
            effects = list(set(effects))
        inputs += 1
        seen.update(repr((name, self.id, given, effects)).encode())
        return effects
    setattr(Node, name, noting)

for name in ("receive", "advance", "refused", "leave"):
    noted(name)
swarm.run(Case(nodes=7, seed=5, duration_s=20.0))
print(inputs, seen.hexdigest())
"""
"""A run whose output is a hash of every input to every core, and of all that the cores answered."""


def outputs(how: str) -> list[str]:
    return [
        subprocess.run(
            [sys.executable, "-c", RUN, how],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in HASH_SEEDS
    ]


def test_the_same_seed_is_the_same_run_under_any_hash_seed() -> None:
    one, other = outputs("as it is")
    assert one == other
    assert int(one.split()[0]) > 1000


def test_a_core_that_iterates_over_a_set_is_found() -> None:
    one, other = outputs("in the order of a set")
    assert one != other
