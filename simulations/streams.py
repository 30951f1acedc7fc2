"""Random streams: one seed, a separate generator for each thing that is drawn.

Owns: how a stream's seed follows from the run's seed and the stream's name. A scenario that draws one more fault must
not move every latency, and a member more must not move the others, so nobody shares a generator.
"""

import random


class Streams:
    def __init__(self, seed: int) -> None:
        self.seed = seed

    def of(self, *name: object) -> random.Random:
        """A generator of its own for this name; the same for the same seed and name, in any process: text seeds go
        through SHA-512 (`random.seed`, version 2), not through `hash`."""
        return random.Random("/".join(str(part) for part in (self.seed, *name)))
