"""Randomness: one seed, and a separate generator for each purpose.

Owns: how a generator's seed follows from the run's seed and the generator's name. One more fault must not change all
latencies, and one more member must not change the others, so no two purposes share a generator.
"""

import random


class Randomness:
    def __init__(self, seed: int) -> None:
        self.seed = seed

    def of(self, *name: object) -> random.Random:
        """Return the generator of this name. The same seed and name give the same one in any process: a text seed goes
        through SHA-512 (`random.seed`, version 2), not through `hash`."""
        return random.Random("/".join(str(part) for part in (self.seed, *name)))
