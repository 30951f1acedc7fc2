"""SWIM and Lifeguard, to compare with: the failure detectors and the dissemination of their papers, in place of ours.

A member with a `BaselineConfig` (`config.py`) runs as a `BaselineNode` (`node.py`), which takes its detector
(`detector.py`, made of `turns.py`, `prober.py` and `suspicion.py`) and its dissemination (`dissemination.py`) from this
folder. All else is from `gossipreg.core`. So table, sessions, join and anti-entropy are the same, and a comparison
shows the difference between the detectors.
"""
