"""History: what a sidecar saw, one line for each thing that happened, in words for people. Pure.

    history_line     one line, and the shape in which clients, the page and other members get it
    history_query    what a reader wants to see, and which lines are that

Where lines come from and are kept is in `daemon/history/`.
"""
