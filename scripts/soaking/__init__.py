"""`scripts/soak`: real sidecars under faults, and whether everything held.

The files from the bottom up:

    world.py      sidecars that can be hurt in many ways, and the answers that clients got
    looker.py     a client that looks up all the time
    stranger.py   a sender of rubbish
    judge.py      what must hold at the end
    soak.py       the command: rounds of faults, the report

Of journals, beneath the next two:

    members_world.py    sidecars that are hosts of their own, each with a small disk
    fault_rounds.py     rounds of faults at them and at the programs beside them

Of events, `scripts/soak --events`:

    events_judge.py     what must hold of what the programs wrote down
    event_notes.py      the files in which they write it down
    event_publisher.py  a program that publishes
    event_handler.py    a program that handles the events of a group
    events_world.py     these programs beside the sidecars
    events_soak.py      the end, the report

Of sagas, `scripts/soak --sagas`:

    sagas_judge.py      what must hold of the services' books, the list of sagas, and what programs were told
    saga_notes.py       the files in which programs write that down
    saga_service.py     a service with a ledger, which keeps a participant's rules
    saga_program.py     a program that takes sagas, by code and declared
    sagas_world.py      these beside the sidecars
    sagas_soak.py       the end, the report
"""
