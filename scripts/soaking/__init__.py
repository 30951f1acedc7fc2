"""`scripts/soak`: real sidecars under faults, and whether everything held.

The files from the bottom up:

    world.py      sidecars that can be hurt in many ways, and the answers that clients got
    looker.py     a client that looks up all the time
    stranger.py   a sender of rubbish
    judge.py      what must hold at the end
    soak.py       the command: rounds of faults, the report
"""
