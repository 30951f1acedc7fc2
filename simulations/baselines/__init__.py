"""SWIM and Lifeguard, to compare with: the detectors and the gossip of their papers, in the place of our own.

A `BaselineConfig` (`config.py`) has a member run as a `BaselineNode` (`node.py`), which takes its prober (`prober.py`),
its suspicions (`suspicion.py`) and its dissemination (`dissemination.py`) from this folder, and all else from
`gossipreg.core`: table, sessions, join and anti-entropy are the same, so a comparison is of the detectors.
"""
