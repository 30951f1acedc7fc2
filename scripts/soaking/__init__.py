"""`scripts/soak`: real sidecars under faults, and whether everything held.

The files from the bottom up:

    world.py      sidecars that can be hurt in many ways, and the answers that clients got
    looker.py     a client that looks up all the time
    stranger.py   a sender of rubbish
    judge.py      what must hold at the end
    soak.py       the command: rounds of faults, the report

Of events, `scripts/soak --events`:

    events_judge.py     what must hold of what the programs wrote down
    event_notes.py      the files in which they write it down
    event_publisher.py  a program that publishes
    event_handler.py    a program that handles the events of a group
    events_world.py     sidecars that are hosts of their own, with these programs beside them
    events_soak.py      rounds of faults, the end, the report
"""
