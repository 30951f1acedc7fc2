"""`scripts/bench --against REVISION`: this tree and an older revision, side by side in one run.

The files from the bottom up:

    build.py             a tree with its dependencies in an environment of its own: the revision's, and ours
    row.py               what a row is given, its figures, and their aims
    requests.py          clients that cost little: pipelined requests of the local socket, many connections of HTTP
    changes.py           the rows `change-cpu` and `update`: what a change costs, and how soon all have it
    registering.py       the row `register-durable`
    asking.py            the rows `lookup`, `http`
    tables.py            the rows `table-memory` and `large-table`
    starting.py          the rows `start`, `idle`, `massjoin`
    command.py           the command: options, turns, the table

A row runs one repetition on a fresh cluster of one build, and returns its figures by name. The command runs it on the
two builds in turn, so that both meet the same load of the machine.
"""
