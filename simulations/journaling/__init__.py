"""Journals in the laboratory: the shipped `gossipreg.journal` beside each node, over simulated disks and streams.

    journaling   all processes of a world, who leads what, and what was proposed
    process      the journals of one process: disk, streams, timers, effects
    follower     what stands on the journals of one process
    stored       what a list of transactions leads to
    observer     what checkers and measurements see
    faults       the faults of a run, drawn from the seed
    doer         carries them out
    breaks       ways to break the journals, for the test of the checkers

The checkers are in `simulations/checkers/journals/`, the scenarios are `journal` and `takeover`.
"""
